@main
enum Generator {
    static func main() {
        print("usage: not written yet")
    }
}

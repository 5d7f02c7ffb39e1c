@main
enum Bench {
    static func main() {
        print("usage: not written yet")
    }
}

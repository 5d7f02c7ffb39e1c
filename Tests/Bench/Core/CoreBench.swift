@main
enum CoreBench {
    static func main() {
        print("usage: not written yet")
    }
}

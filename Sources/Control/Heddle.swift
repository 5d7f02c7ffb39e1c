/// The product itself.
package enum Heddle {
    package static let version = "0.1.0"
}

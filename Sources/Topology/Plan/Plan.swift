/// How to get from what is to what is declared: the difference, in an order that disturbs nothing
/// else.
package struct Plan: Sendable, Equatable {
    package var actions: [Action]

    package init(actions: [Action] = []) {
        self.actions = actions
    }

    package var isEmpty: Bool { actions.isEmpty }
}

import ArgumentParser
import ControlAPI
import Foundation
import Topology

struct TopologyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topology",
        abstract: "Check, plan, apply and show topologies.",
        subcommands: [
            TopologyValidateCommand.self, TopologyPlanCommand.self, TopologyApplyCommand.self,
            TopologyShowCommand.self, TopologyGraphCommand.self, TopologySchemaCommand.self,
        ])
}

/// A topology file on the command line.
struct TopologyFile: ParsableArguments {
    @Argument(help: "Topology file; - is standard input.", completion: .file(extensions: ["yaml"]))
    var file: String

    /// Reads the file, without looking at what it says.
    func document() throws -> TopologyDocument {
        let limit = Topology.byteLimit
        let name = file == "-" ? "standard input" : file
        let handle: FileHandle
        if file == "-" {
            handle = .standardInput
        } else {
            guard let opened = FileHandle(forReadingAtPath: file) else {
                throw CommandFailure("\(name): there is no such file, or it cannot be read")
            }
            handle = opened
        }
        var bytes = Data()
        do {
            while bytes.count <= limit,
                let chunk = try handle.read(upToCount: limit + 1 - bytes.count), !chunk.isEmpty
            {
                bytes += chunk
            }
        } catch {
            throw CommandFailure("\(name): the file cannot be read: is it a directory?")
        }
        guard bytes.count <= limit else {
            throw CommandFailure("\(name): the file is larger than \(limit >> 20) MiB")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(name): the file is not UTF-8 text")
        }
        return TopologyDocument(name: name, text: text)
    }

    /// Reads the file and checks it here, so that its errors need no running switch.
    func validated() throws -> (TopologyDocument, Topology) {
        let document = try document()
        do {
            return (document, try Topology.decode(document.text, file: document.name))
        } catch {
            throw CommandFailure(lines: error.lines)
        }
    }
}

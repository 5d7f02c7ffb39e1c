import Foundation

/// A value that crosses the control socket as JSON.
///
/// Field names are `snake_case` and stable: fields are only ever added, and a field that does not
/// apply is absent rather than null. What each field means is said once, in `schema`, from which
/// the OpenAPI document is made.
package protocol APIValue: Codable, Sendable, Equatable {
    static var schema: APISchema { get }
}

/// Shape of a JSON object: its name in the OpenAPI document and its fields.
package struct APISchema: Sendable, Equatable {
    /// Type of a field's value.
    package indirect enum Kind: Sendable, Equatable {
        case string, integer, number, boolean
        /// Any JSON value.
        case any
        case enumeration([String])
        case array(Kind)
        /// Another object, by its schema's name.
        case reference(String)
    }

    package struct Field: Sendable, Equatable {
        package let name: String
        package let kind: Kind
        package let isOptional: Bool
        package let meaning: String

        package init(_ name: String, _ kind: Kind, optional: Bool = false, _ meaning: String) {
            self.name = name
            self.kind = kind
            self.isOptional = optional
            self.meaning = meaning
        }
    }

    package let name: String
    package let meaning: String
    package let fields: [Field]

    package init(_ name: String, _ meaning: String, _ fields: [Field]) {
        self.name = name
        self.meaning = meaning
        self.fields = fields
    }

    /// Every object of the interface, in the order in which the OpenAPI document lists them.
    package static let all: [APISchema] = [
        VersionInfo.schema, TopologyDocument.schema, TopologyInfo.schema, PlanResult.schema,
        PlanChange.schema, ApplyResult.schema, PortList.schema, PortInfo.schema,
        PortAttachRequest.schema, NetworkList.schema, NetworkInfo.schema, TunnelList.schema,
        TunnelInfo.schema, FDBList.schema,
        FDBEntryInfo.schema, FDBChangeRequest.schema, FDBFlushRequest.schema,
        FDBFlushResult.schema, TraceRequest.schema, TraceInfo.schema, TraceStepInfo.schema,
        DropList.schema, DropInfo.schema, StatsInfo.schema,
        EventList.schema, EventInfo.schema, WhoResult.schema, StationInfo.schema,
        StationAddress.schema,
        PortStats.schema, FDBStats.schema, WorkerStats.schema, CaptureStats.schema,
        ProcessStats.schema, TrafficCounters.schema,
        Acknowledgement.schema, ErrorResponse.schema,
    ]
}

extension APIValue {
    /// The value as JSON: keys sorted, so that equal values give equal text.
    package func json(pretty: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return Array(try encoder.encode(self))
    }

    package init(json: [UInt8]) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(json))
    }
}

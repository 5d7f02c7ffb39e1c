import Wire

/// What only one port can have: a device, a socket, an address. And what attachments cannot mean.
extension TopologyDecoder {
    mutating func checkAttachment(of port: PortSpec, _ section: Section) {
        switch port.attachment {
        case .tap(let tap): checkMade(tap, "tap", of: port, section)
        case .veth(let veth): checkMade(veth, "veth", of: port, section)
        case .device(.name(let name)):
            claimDevice(
                name, in: nil, by: port, at: locations["\(section.path).device.name"],
                subject: section.subject, remedy: "name another one")
        case .device(.match(let match)): checkTemplate(match, section)
        case .vhostUser(let card):
            let place = locations["\(section.path).vhost-user.socket"]
            let subject = section.subject + "vhost-user: "
            checkFile(card.socket, "socket", at: place, subject: subject)
            claimSocket(card.socket, by: port, at: place, subject: subject)
        case .socket(let socket): checkSocket(socket, of: port, section)
        case .pcap: break
        }
    }

    // MARK: Devices

    private mutating func checkMade(
        _ device: some MadeDeviceSpec, _ key: String, of port: PortSpec, _ section: Section
    ) {
        let path = "\(section.path).\(key)"
        claimDevice(
            port.deviceName ?? port.name, in: device.namespace, by: port,
            at: locations["\(path).device"] ?? section.location, subject: section.subject,
            remedy: "give one of them another 'device'")
        if let name = port.switchEndName {
            claimDevice(
                name, in: nil, by: port, at: section.location, subject: section.subject,
                remedy: "call one of the ports differently")
        }
        if let mac = device.mac {
            claimStation(
                mac, by: port, at: locations["\(path).mac"], subject: "\(section.subject)\(key): ")
        }
        guard let network = untaggedNetwork(of: port) else { return }
        for element in section.section(key)?.list("address") ?? [] {
            guard case .address(let address) = element.value else { continue }
            let place = Place(
                host: scope(of: network, port), scope: network, thing: address.address)
            if let other = addresses.updateValue(port.name, forKey: place) {
                let whose =
                    other == port.name
                    ? "is given twice"
                    : "belongs to port '\(other)' already\(self.place(of: "ports.\(other)"))"
                diagnostics.report(
                    element.location,
                    "\(section.subject)\(key): \(address.address) on network '\(network)' \(whose)")
            }
        }
    }

    private mutating func claimDevice(
        _ name: String, in namespace: String?, by port: PortSpec, at location: SourceLocation?,
        subject: String, remedy: String
    ) {
        let claim = Place(host: port.host, scope: namespace ?? "", thing: name)
        guard let other = devices.updateValue(port.name, forKey: claim) else { return }
        let scope = namespace.map { "namespace '\($0)'" } ?? "the switch's namespace"
        diagnostics.report(
            location,
            "\(subject)device '\(name)' in \(scope) belongs to port '\(other)'"
                + "\(place(of: "ports.\(other)")): \(remedy)")
    }

    private mutating func checkTemplate(_ match: DeviceMatch, _ section: Section) {
        if match.group == nil, match.alias == nil, let name = match.name,
            name.allSatisfy({ $0 == "*" })
        {
            diagnostics.report(
                locations["\(section.path).device.match.name"],
                "\(section.subject)device: match: \(quoted(name)) takes every device, the host's own "
                    + "as well: say more, such as 'vnet*', or give a group")
        }
        if section.list("static")?.isEmpty == false {
            diagnostics.report(
                locations["\(section.path).static"],
                "\(section.subject)'static' addresses live at one port, and 'match' makes one of "
                    + "each device that matches")
        }
    }

    // MARK: Sockets

    private mutating func checkSocket(
        _ socket: SocketSpec, of port: PortSpec, _ section: Section
    ) {
        let place = locations["\(section.path).socket.path"]
        let subject = section.subject + "socket: "
        if socket.protocol == .vde {
            let limit = SocketPath.byteLimit - SocketPath.controlSuffix.utf8.count
            let count = socket.path.utf8.count
            if count > limit {
                diagnostics.report(
                    place,
                    "\(subject)'path' must have at most \(limit) bytes with vde, whose socket is "
                        + "'ctl' in that directory; it has \(count)")
            }
        } else {
            checkFile(socket.path, "path", at: place, subject: subject)
        }
        claimSocket(socket.socketPath, by: port, at: place, subject: subject)
        if let peer = socket.peer {
            let place = locations["\(section.path).socket.peer"]
            checkFile(peer, "peer", at: place, subject: subject)
            claimSocket(peer, by: port, at: place, subject: subject)
        }
    }

    private mutating func checkFile(
        _ path: String, _ key: String, at location: SourceLocation?, subject: String
    ) {
        guard path.utf8.last == UInt8(ascii: "/") else { return }
        diagnostics.report(
            location, "\(subject)'\(key)' is a directory: name the socket in it")
    }

    private mutating func claimSocket(
        _ path: String, by port: PortSpec, at location: SourceLocation?, subject: String
    ) {
        let claim = Place(host: port.host, scope: "", thing: SocketPath.normalized(path))
        guard let other = sockets.updateValue(port.name, forKey: claim) else { return }
        diagnostics.report(
            location,
            other == port.name
                ? "\(subject)'peer' is where this port receives: give the path at which QEMU does"
                : "\(subject)\(quoted(path)) belongs to port '\(other)' already"
                    + "\(place(of: "ports.\(other)")): give each a socket of its own")
    }

    // MARK: Addresses

    /// The network in which the device's own addresses live.
    private func untaggedNetwork(of port: PortSpec) -> String? {
        switch port.membership {
        case .access(let network): network
        case .trunk(_, let native): native
        }
    }

    /// A network with a VNI is one broadcast domain over all hosts; another is one on each.
    private func scope(of network: String, _ port: PortSpec) -> String? {
        networkIndex[network].flatMap { networks[$0].vni } == nil ? port.host : nil
    }

    /// Within a broadcast domain a MAC address belongs to one port.
    mutating func claimStation(
        _ mac: MACAddress, by port: PortSpec, at location: SourceLocation?, subject: String
    ) {
        var isReported = false
        for network in port.membership.networks {
            let place = Place(host: scope(of: network, port), scope: network, thing: mac)
            guard let other = stations.updateValue(port.name, forKey: place), other != port.name,
                !isReported
            else { continue }
            isReported = true
            diagnostics.report(
                location,
                "\(subject)\(mac) on network '\(network)' belongs to port '\(other)' already"
                    + self.place(of: "ports.\(other)"))
        }
    }
}

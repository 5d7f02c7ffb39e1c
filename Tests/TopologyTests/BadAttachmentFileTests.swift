import Testing

@testable import Topology

private let path107 = "/run/" + String(repeating: "s", count: 102)
private let pathExpectation =
    "must be an absolute path of at most 107 bytes, such as /run/heddle/web-1.sock"
private let modeReason =
    "makes sense with 'mode: server' only: a client uses the socket that another made"

/// A file with the attachment of port a, which begins in line 4, column 22.
private func file(_ attachment: String) -> String {
    portFile("  a: {network: blue, \(attachment)}")
}

extension BadFile {
    static let attachments: [BadFile] = [
        // veth.
        BadFile(
            file("veth: {namespce: x}"),
            "4:29: port 'a': veth: unknown key 'namespce' (did you mean 'namespace'?)"
        ),  // a misspelt key
        BadFile(
            file("veths: {}, tap: {}"),
            "4:22: port 'a': unknown key 'veths' (did you mean 'veth'?)"),  // a misspelt attachment
        BadFile(
            file("veth: {}, tap: {}"),
            "4:3: port 'a': needs exactly one attachment, 'tap', 'veth', 'device', 'vhost-user', "
                + "'socket' or 'pcap'; it has 'tap' and 'veth'"),  // two attachments
        BadFile(
            file("veth: {device: lo}"),
            "4:37: port 'a': veth: 'device' cannot be 'lo', which every namespace already uses"
        ),  // the loopback device's name
        BadFile(
            portFile(
                """
                  a: {network: blue, veth: {namespace: x, device: eth0}}
                  b: {network: green, tap: {namespace: x, device: eth0}}
                """),
            "5:51: port 'b': device 'eth0' in namespace 'x' belongs to port 'a' (line 4): give one "
                + "of them another 'device'"),  // a veth's end and a TAP
        BadFile(
            portFile(
                """
                  a: {network: blue, veth: {namespace: x}}
                  b: {network: green, device: {name: \(DeviceName.switchEnd(of: "a"))}}
                """),
            "5:38: port 'b': device 'a-uax5awyg' in the switch's namespace belongs to port 'a' "
                + "(line 4): name another one"),  // the end of a veth that is a port
        BadFile(
            portFile(
                """
                  a: {network: blue, veth: {namespace: x, address: [10.0.0.1/24]}}
                  b: {network: blue, tap: {address: [10.0.0.1/16]}}
                """),
            "5:38: port 'b': tap: 10.0.0.1 on network 'blue' belongs to port 'a' already (line 4)"
        ),  // an address of a veth and a TAP
        BadFile(
            portFile(
                """
                  a: {network: blue, tap: {mac: 02:00:00:00:00:01}}
                  b: {network: blue, veth: {mac: 02:00:00:00:00:01}}
                """),
            "5:34: port 'b': veth: 02:00:00:00:00:01 on network 'blue' belongs to port 'a' already "
                + "(line 4)"),  // a MAC address of a TAP and a veth

        // device.
        BadFile(
            file("device: eth1"),
            "4:30: port 'a': device: must be a mapping with 'name' or 'match', not 'eth1'"
        ),  // a name alone
        BadFile(
            file("device: {}"),
            "4:30: port 'a': device: needs exactly one selection, 'name' or 'match'; it has none"
        ),  // nothing selected
        BadFile(
            file("device: {name: eth1, match: {group: 7}}"),
            "4:30: port 'a': device: needs exactly one selection, 'name' or 'match'; it has 'name' "
                + "and 'match'"),  // both
        BadFile(
            file("device: {name: \"vnet*\"}"),
            "4:37: port 'a': device: 'name' must be a device name: up to 15 letters, digits, '.', "
                + "'_' and '-', the first not a sign, not the text \"vnet*\": a pattern is given "
                + "by 'device: {match: …}'"),  // a pattern for a name
        BadFile(
            file("device: {name: eth1, address: [10.0.0.1/24]}"),
            "4:43: port 'a': device: unknown key 'address'; known are 'name' and 'match'"
        ),  // an address, which is its owner's business
        BadFile(
            portFile(
                """
                  a: {network: blue, device: {name: eth1}}
                  b: {network: green, device: {name: eth1}}
                """),
            "5:38: port 'b': device 'eth1' in the switch's namespace belongs to port 'a' (line 4): "
                + "name another one"),  // a device for two ports
        BadFile(
            portFile(
                "  a: {network: blue, device: {name: b}}\n  b: {network: green, tap: {}}"),
            "5:3: port 'b': device 'b' in the switch's namespace belongs to port 'a' (line 4): "
                + "give one of them another 'device'"),  // a TAP of the name of another's device
        BadFile(
            file("device: {match: }"),
            "4:38: port 'a': device: match: needs 'name', 'group' or 'alias', or several"
        ),  // nothing to match
        BadFile(
            file("device: {match: {name: }}"),
            "4:45: port 'a': device: match: 'name' must be a pattern of device names, such as "
                + "vnet*: letters, digits, '.', '_', '-', '*' for any text and '?' for any "
                + "character, not nothing"),  // no pattern
        BadFile(
            file("device: {match: {name: \"vnet[0-9]\"}}"),
            "4:45: port 'a': device: match: 'name' must have '*' for any text and '?' for any "
                + "character: '[' means nothing in 'vnet[0-9]'"),  // a set, as a shell knows it
        BadFile(
            file("device: {match: {alias: \"{a,b}\"}}"),
            "4:46: port 'a': device: match: 'alias' must have '*' for any text and '?' for any "
                + "character: '{' means nothing in '{a,b}'"),  // alternatives of a shell
        BadFile(
            file("device: {match: {name: vnet 1}}"),
            "4:45: port 'a': device: match: 'name' must be a pattern of device names, such as "
                + "vnet*: letters, digits, '.', '_', '-', '*' for any text and '?' for any "
                + "character, not 'vnet 1'"),  // what no name has
        BadFile(
            file("device: {match: {alias: \"\"}}"),
            "4:46: port 'a': device: match: 'alias' must be a pattern on one line, such as web-*, "
                + "with '*' for any text and '?' for any character, not the text \"\""
        ),  // an empty pattern
        BadFile(
            file("device: {match: {name: \"**\"}}"),
            "4:45: port 'a': device: match: '**' takes every device, the host's own as well: say "
                + "more, such as 'vnet*', or give a group"),  // all there is
        BadFile(
            file("device: {match: {name: *vnet}}"),
            "4:45: alias '*vnet' has no anchor before it: text that begins with '*' needs quotes"
        ),  // a pattern that YAML takes for an alias
        BadFile(
            file("device: {match: {name: *}}"),
            "4:46: not valid YAML: text that begins with '*' or '&' needs quotes"),  // nor this
        BadFile(
            file("device: {match: {group: 0}}"),
            "4:46: port 'a': device: match: 'group' must be a whole number from 1 to 4294967295, "
                + "not '0'"),  // the group of all that are in none
        BadFile(
            file("device: {match: {group: 4294967296}}"),
            "4:46: port 'a': device: match: 'group' must be a whole number from 1 to 4294967295, "
                + "not '4294967296'"),  // past 32 bits
        BadFile(
            file("device: {match: {name: x, grup: 7}}"),
            "4:48: port 'a': device: match: unknown key 'grup' (did you mean 'group'?)"
        ),  // a misspelt key
        BadFile(
            file("static: [02:00:00:00:00:01], device: {match: {group: 7}}"),
            "4:30: port 'a': 'static' addresses live at one port, and 'match' makes one of each "
                + "device that matches"),  // one address behind many devices

        // vhost-user.
        BadFile(
            file("vhost-user: {}"),
            "4:34: port 'a': vhost-user: 'socket' is missing: it \(pathExpectation)"
        ),  // no socket
        BadFile(
            file("vhost-user: {socket: /a, path: /a}"),
            "4:47: port 'a': vhost-user: unknown key 'path'; known are 'socket', 'mode', "
                + "'queues', 'user', 'group' and 'permissions'"),  // another's key
        BadFile(
            file("vhost_user: {socket: /a}, tap: {}"),
            "4:22: port 'a': unknown key 'vhost_user' (did you mean 'vhost-user'?)"
        ),  // an underscore
        BadFile(
            file("vhost-user: {socket: a.sock}"),
            "4:43: port 'a': vhost-user: 'socket' \(pathExpectation), not 'a.sock'"
        ),  // a path relative to who knows what
        BadFile(
            file("vhost-user: {socket: \(path107)s}"),
            "4:43: port 'a': vhost-user: 'socket' \(pathExpectation), not "
                + "'/run/sssssssssssssssssssssssssssssssssss…': it has 108"),  // one byte too many
        BadFile(
            file("vhost-user: {socket: \"@heddle\"}"),
            "4:43: port 'a': vhost-user: 'socket' \(pathExpectation), not the text \"@heddle\": "
                + "sockets without a file (Linux's abstract ones) are not supported"
        ),  // an abstract socket
        BadFile(
            file("vhost-user: {socket: \"/a\\n\"}"),
            "4:43: port 'a': vhost-user: 'socket' \(pathExpectation), not the text \"/a\\u{a}\""
        ),  // a line break
        BadFile(
            file("vhost-user: {socket: /run/}"),
            "4:43: port 'a': vhost-user: 'socket' is a directory: name the socket in it"
        ),  // a directory
        BadFile(
            file("vhost-user: {socket: /a, mode: serve}"),
            "4:53: port 'a': vhost-user: 'mode' must be 'client' or 'server', not 'serve' (did you "
                + "mean 'server'?)"),  // a misspelt mode
        BadFile(
            file("vhost-user: {socket: /a, queues: 0}"),
            "4:55: port 'a': vhost-user: 'queues' must be a whole number from 1 to 16, not '0'"
        ),  // no queues
        BadFile(
            file("vhost-user: {socket: /a, queues: 17}"),
            "4:55: port 'a': vhost-user: 'queues' must be a whole number from 1 to 16, not '17'"
        ),  // one too many
        BadFile(
            file("vhost-user: {socket: /a, user: qemu}"),
            "4:53: port 'a': vhost-user: 'user' \(modeReason)"),  // a client by default
        BadFile(
            file("vhost-user: {socket: /a, mode: client, group: kvm}"),
            "4:68: port 'a': vhost-user: 'group' \(modeReason)"),  // a client by its word
        BadFile(
            file("vhost-user: {socket: /a, mode: server, permissions: 0660}"),
            "4:74: port 'a': vhost-user: 'permissions' must be octal digits in quotes, such as "
                + "\"0660\", not '0660': write \"0660\", which YAML cannot take for a number"
        ),  // a number, to some readers 432
        BadFile(
            file("vhost-user: {socket: /a, mode: server, permissions: 660}"),
            "4:74: port 'a': vhost-user: 'permissions' must be octal digits in quotes, such as "
                + "\"0660\", not '660': write \"660\", which YAML cannot take for a number"
        ),  // a decimal number
        BadFile(
            file("vhost-user: {socket: /a, mode: server, permissions: \"0888\"}"),
            "4:74: port 'a': vhost-user: 'permissions' must be octal digits in quotes, such as "
                + "\"0660\", not the text \"0888\""),  // not octal
        BadFile(
            file("vhost-user: {socket: /a, mode: server, permissions: \"4755\"}"),
            "4:74: port 'a': vhost-user: 'permissions' must be octal digits in quotes, such as "
                + "\"0660\", not the text \"4755\""),  // more than permissions
        BadFile(
            file("vhost-user: {socket: /a, mode: server, permissions: rw-rw----}"),
            "4:74: port 'a': vhost-user: 'permissions' must be octal digits in quotes, such as "
                + "\"0660\", not 'rw-rw----'"),  // as ls shows them
        BadFile(
            file("vhost-user: {socket: /a, mode: server, user: \"\"}"),
            "4:67: port 'a': vhost-user: 'user' must be the name or the number of a user or a "
                + "group, not the text \"\""),  // nobody
        BadFile(
            file("vhost-user: {socket: /a, mode: server, user: \"qemu:kvm\"}"),
            "4:67: port 'a': vhost-user: 'user' must be the name or the number of a user or a "
                + "group, not the text \"qemu:kvm\""),  // as chown takes them
        BadFile(
            portFile(
                """
                  a: {network: blue, vhost-user: {socket: /run/a}}
                  b: {network: green, vhost-user: {socket: /run//./a}}
                """),
            "5:44: port 'b': vhost-user: '/run//./a' belongs to port 'a' already (line 4): give "
                + "each a socket of its own"),  // one socket, written differently

        // socket.
        BadFile(
            file("socket: {path: /a}"),
            "4:30: port 'a': socket: 'protocol' is missing: it must be 'qemu-stream', "
                + "'qemu-dgram', 'bess' or 'vde'"),  // no protocol
        BadFile(
            file("socket: {protocol: vde}"),
            "4:30: port 'a': socket: 'path' is missing: it \(pathExpectation)"),  // no path
        BadFile(
            file("socket: {path: /a, protocol: qemu-steam}"),
            "4:51: port 'a': socket: 'protocol' must be 'qemu-stream', 'qemu-dgram', 'bess' or "
                + "'vde', not 'qemu-steam' (did you mean 'qemu-stream'?)"),  // a misspelt protocol
        BadFile(
            file("socket: {path: /a, protocol: qemu-stream, peer: /b}"),
            "4:70: port 'a': socket: 'peer' makes sense with 'protocol: qemu-dgram' only: the "
                + "others have one path"),  // a peer of a stream
        BadFile(
            file("socket: {path: /a, protocol: qemu-dgram, peer: /b, mode: server}"),
            "4:79: port 'a': socket: 'mode' makes sense with 'protocol: qemu-stream', 'protocol: "
                + "bess' or 'protocol: vde' only: a datagram socket neither connects nor listens"
        ),  // a mode where there is none
        BadFile(
            file("socket: {path: /a, protocol: vde, mode: client, permissions: \"0600\"}"),
            "4:83: port 'a': socket: 'permissions' \(modeReason)"),  // another's socket
        BadFile(
            file("socket: {path: /a, protocol: qemu-dgram, peer: b}"),
            "4:69: port 'a': socket: 'peer' \(pathExpectation), not 'b'"),  // a relative peer
        BadFile(
            file("socket: {path: /a, protocol: qemu-dgram, peer: /a}"),
            "4:69: port 'a': socket: 'peer' is where this port receives: give the path at which "
                + "QEMU does"),  // one path for both
        BadFile(
            file("socket: {path: \(path107.dropLast(3)), protocol: vde}"),
            "4:37: port 'a': socket: 'path' must have at most 103 bytes with vde, whose socket is "
                + "'ctl' in that directory; it has 104"),  // no room for its socket
        BadFile(
            file("socket: {path: /run/a/, protocol: bess}"),
            "4:37: port 'a': socket: 'path' is a directory: name the socket in it"
        ),  // a directory
        BadFile(
            portFile(
                """
                  a: {network: blue, socket: {path: /a, protocol: qemu-dgram, peer: /b}}
                  b: {network: green, socket: {path: /b, protocol: qemu-dgram, peer: /c}}
                """),
            "5:38: port 'b': socket: '/b' belongs to port 'a' already (line 4): give each a socket "
                + "of its own"),  // two ports that talk to each other
        BadFile(
            portFile(
                """
                  a: {network: blue, socket: {path: /a, protocol: qemu-dgram, peer: /c}}
                  b: {network: green, socket: {path: /b, protocol: qemu-dgram, peer: /c}}
                """),
            "5:70: port 'b': socket: '/c' belongs to port 'a' already (line 4): give each a socket "
                + "of its own"),  // one QEMU behind two ports
        BadFile(
            portFile(
                """
                  a: {network: blue, socket: {path: /a/, protocol: vde}}
                  b: {network: green, vhost-user: {socket: /a/ctl}}
                """),
            "5:44: port 'b': vhost-user: '/a/ctl' belongs to port 'a' already (line 4): give each "
                + "a socket of its own"),  // the socket of a VDE switch
        BadFile(
            portFile(
                """
                  a: {network: blue, socket: {path: /a, protocol: vde, mode: client}}
                  b: {network: green, socket: {path: /a, protocol: vde, mode: client}}
                """),
            "5:38: port 'b': socket: '/a/ctl' belongs to port 'a' already (line 4): give each a "
                + "socket of its own"),  // a VDE switch for two ports
    ]
}

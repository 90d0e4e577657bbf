//! Which ports the host's own programs listen on, in the network namespace of the process.
//!
//! Read from `/proc/net` (`man 5 proc_net`), which is text, but has been the same since Linux 2.2 and
//! needs no privilege; `sock_diag` would be faster with thousands of sockets.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which table of the kernel a port stands in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PortTable {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// A socket that waits for whoever comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ListeningPort {
    /// Its protocol.
    pub table: PortTable,
    /// Where it listens. `::` often means every IPv4 address too.
    pub address: SocketAddr,
    /// The socket's inode, by which its process is found ([`holders`]).
    pub inode: u64,
}

/// State of a TCP socket that listens, and of a UDP socket without a peer (`include/net/tcp_states.h`).
const LISTENING: (&str, &str) = ("0A", "07");

/// Returns all listening TCP sockets and all UDP sockets without a peer.
///
/// # Errors
///
/// When `/proc` is not there. A kernel without IPv6 has no tables for it, which is no error.
pub fn listening_ports() -> io::Result<Vec<ListeningPort>> {
    let mut ports = Vec::new();
    for (file, table) in [
        ("tcp", PortTable::Tcp),
        ("tcp6", PortTable::Tcp),
        ("udp", PortTable::Udp),
        ("udp6", PortTable::Udp),
    ] {
        match fs::read_to_string(format!("/proc/thread-self/net/{file}")) {
            Ok(text) => ports.extend(text.lines().skip(1).filter_map(|line| parse(line, table))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.ends_with('6') => {}
            Err(error) => return Err(error),
        }
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// Returns who has the sockets with these inodes open, such as `nginx (pid 17)`, as far as this process
/// may see. Looks at every descriptor of every process: some milliseconds.
pub fn holders(inodes: &[u64]) -> HashMap<u64, String> {
    let mut found = HashMap::new();
    let Ok(processes) = fs::read_dir("/proc") else {
        return found;
    };
    for process in processes.flatten() {
        if found.len() == inodes.len() {
            break;
        }
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let inode = fs::read_link(descriptor.path())
                .ok()
                .and_then(|target| socket_inode(target.to_str()?));
            if let Some(inode) = inode.filter(|inode| inodes.contains(inode)) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                found
                    .entry(inode)
                    .or_insert_with(|| format!("{} (pid {pid})", name.trim()));
            }
        }
    }
    found
}

fn socket_inode(target: &str) -> Option<u64> {
    let number = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

/// Reads one line: number, local address, remote address, state, four fields, UID, timeout, inode.
fn parse(line: &str, table: PortTable) -> Option<ListeningPort> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let address = socket_address(fields.next()?)?;
    let state = fields.nth(1)?;
    let wanted = match table {
        PortTable::Tcp => LISTENING.0,
        PortTable::Udp => LISTENING.1,
    };
    if state != wanted {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    Some(ListeningPort {
        table,
        address,
        inode,
    })
}

/// Reads an address as the kernel prints it: words in the byte order of the machine, and the port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = [0; 16];
    let mut count = 0;
    while let Some(word) = address.get(2 * count..2 * count + 8) {
        let word = u32::from_str_radix(word, 16).ok()?;
        bytes
            .get_mut(count..count + 4)?
            .copy_from_slice(&word.to_ne_bytes());
        count += 4;
    }
    let address = match (count, bytes) {
        (4, [a, b, c, d, ..]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        (16, bytes) => IpAddr::V6(Ipv6Addr::from(bytes)),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::process;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernel_are_understood() {
        let v4 = "   1: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000     \
                  0        0 4711 1 0000000000000000 100 0 0 10 0";
        let expected = ListeningPort {
            table: PortTable::Tcp,
            address: "127.0.0.1:631".parse().unwrap(),
            inode: 4711,
        };
        assert_eq!(parse(v4, PortTable::Tcp), Some(expected));
        assert_eq!(parse(v4, PortTable::Udp), None);
        let v6 = "  2: B80D01200000000000000000010000FF:14E9 \
                  00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 \
                  0 0 9 2 0000000000000000 0";
        let port = parse(v6, PortTable::Udp).unwrap();
        assert_eq!(port.address, "[2001:db8::ff00:1]:5353".parse().unwrap());
        let established = v4.replace(" 0A ", " 01 ");
        assert_eq!(parse(&established, PortTable::Tcp), None);
        for bad in ["", "1:", "1: x:1 y 0A", "1: 0100007F 0:0 0A 0 0 0 0 0 1"] {
            assert_eq!(parse(bad, PortTable::Tcp), None, "{bad}");
        }
    }

    #[test]
    fn what_listens_is_listed_with_its_holder_and_a_connection_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0"));
        let udp = udp.unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ports = listening_ports().unwrap();
        let find = |table, address| {
            ports
                .iter()
                .find(|port| port.table == table && port.address == address)
        };
        let found = find(PortTable::Tcp, listener.local_addr().unwrap()).unwrap();
        assert!(find(PortTable::Udp, udp.local_addr().unwrap()).is_some());
        assert!(find(PortTable::Tcp, connection.local_addr().unwrap()).is_none());
        let holders = holders(&[found.inode]);
        assert!(holders[&found.inode].ends_with(&format!("(pid {})", process::id())));
    }
}

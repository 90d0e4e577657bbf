//! Probes of the path to a peer: questions that some station behind it answers, as long as the
//! question is said to be.
//!
//! No VTEP answers for itself: VXLAN has no echo, and a peer may be anything that speaks it. The
//! stations behind it do, for they have to answer their neighbours:
//!
//! - In a network of frames an ARP probe (RFC 5227 §2.1.1) goes to the MAC of a station, or a
//!   neighbor solicitation to one of which only an IPv6 address is known, filled up behind the
//!   packet, where Ethernet allows what it pads short frames with. It comes from a MAC that is
//!   the daemon's own and no gateway's, since that of the gateway is there too. The answer is short:
//!   what it proves is the way there.
//! - Where hosts route to each other, the gateway's address sends an ICMP echo request, with DF, to
//!   an address behind the peer. The answer is as long, so it proves the way there and back, and
//!   its first bytes name the question.
//!
//! The switch knows nothing of either.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapweave_net::checksum::Sum;
use tapweave_net::{
    ArpOperation, ArpPacket, EtherType, EthernetView, Icmpv4Type, Icmpv4View, Icmpv6Type,
    Icmpv6View, IpProtocol, Ipv4View, Ipv6View, MacAddr, NdMessage,
};

/// A station behind a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Station {
    /// Its MAC address; zero where packets travel without.
    pub mac: MacAddr,
    /// Its address.
    pub addr: IpAddr,
}

impl Station {
    /// Returns the station that sent an inner frame, if the frame says both of its addresses.
    pub fn of_frame(frame: &[u8]) -> Option<Self> {
        let ethernet = EthernetView::parse(frame).ok()?;
        let (mac, packet) = (ethernet.src(), frame.get(ethernet.payload_offset()..)?);
        let addr = match ethernet.ethertype() {
            EtherType::ARP => {
                let arp = ArpPacket::parse(packet).ok()?;
                (arp.sender_mac == mac).then_some(IpAddr::V4(arp.sender_ip))?
            }
            EtherType::IPV4 | EtherType::IPV6 => source(packet)?,
            _ => return None,
        };
        (mac.is_station() && is_host(addr)).then_some(Self { mac, addr })
    }

    /// Returns the station that sent an inner packet.
    pub fn of_packet(packet: &[u8]) -> Option<Self> {
        let addr = source(packet).filter(|addr| is_host(*addr))?;
        let mac = MacAddr::ZERO;
        Some(Self { mac, addr })
    }
}

fn source(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(Ipv4View::parse(packet).ok()?.src().into()),
        6 => Some(Ipv6View::parse(packet).ok()?.src().into()),
        _ => None,
    }
}

/// Tells whether a host can be asked by this address. Link-local ones are left out: ports of a bridge have
/// them too, send from them, and never answer.
fn is_host(addr: IpAddr) -> bool {
    let is_link_local = matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local());
    !addr.is_unspecified() && !addr.is_multicast() && addr != Ipv4Addr::BROADCAST && !is_link_local
}

/// Who asks in networks of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prober {
    mac: MacAddr,
}

impl Prober {
    /// Returns a prober whose MAC is made of four random octets: stations and switches on all hosts
    /// of a network learn it, and no two daemons may have the same.
    pub const fn new([a, b, c, d]: [u8; 4]) -> Self {
        Self {
            mac: MacAddr::new([0x06, 0x50, a, b, c, d]),
        }
    }

    /// Returns a frame of `len` bytes that `station` answers, `None` when the shortest is longer.
    pub fn question(self, station: Station, len: usize) -> Option<Vec<u8>> {
        let mut frame = [station.mac.octets(), self.mac.octets()].concat();
        match station.addr {
            IpAddr::V4(target) => {
                let probe = ArpPacket {
                    operation: ArpOperation::Request,
                    sender_mac: self.mac,
                    sender_ip: Ipv4Addr::UNSPECIFIED,
                    target_mac: MacAddr::ZERO,
                    target_ip: target,
                };
                frame.extend(EtherType::ARP.0.to_be_bytes());
                frame.extend(probe.encode());
            }
            IpAddr::V6(target) => {
                let mut body = vec![0; 4];
                body.extend(target.octets());
                // Source Link-Layer Address (RFC 4861 §4.6.1).
                body.extend([1, 1]);
                body.extend(self.mac.octets());
                let kind = Icmpv6Type::NEIGHBOR_SOLICITATION;
                frame.extend(EtherType::IPV6.0.to_be_bytes());
                frame.extend(icmpv6(
                    kind,
                    self.link_local(),
                    target,
                    ND_HOP_LIMIT,
                    &body,
                )?);
            }
        }
        if frame.len() > len {
            return None;
        }
        frame.resize(len, 0);
        Some(frame)
    }

    /// Tells whether an inner frame is for the prober. Nobody else wants it.
    #[inline]
    pub fn is_addressee(self, frame: &[u8]) -> bool {
        frame.first_chunk() == Some(&self.mac.octets())
    }

    /// Tells whether a frame for the prober is what `station` answers.
    pub fn is_answer(self, station: Station, frame: &[u8]) -> bool {
        self.answered(frame) == Some(station.addr)
    }

    /// Returns whose address is told by an answer.
    fn answered(self, frame: &[u8]) -> Option<IpAddr> {
        let ethernet = EthernetView::parse(frame).ok()?;
        let packet = frame.get(ethernet.payload_offset()..)?;
        match ethernet.ethertype() {
            EtherType::ARP => {
                let arp = ArpPacket::parse(packet).ok()?;
                let is_reply = arp.operation == ArpOperation::Reply && arp.target_mac == self.mac;
                is_reply.then_some(arp.sender_ip.into())
            }
            EtherType::IPV6 => {
                let ip = Ipv6View::parse(packet).ok()?;
                let icmp = Icmpv6View::parse(packet.get(Ipv6View::LEN..)?).ok()?;
                let is_advertisement = ip.next_header() == IpProtocol::ICMPV6
                    && ip.dst() == self.link_local()
                    && icmp.kind() == Icmpv6Type::NEIGHBOR_ADVERTISEMENT;
                let message = NdMessage::parse(&icmp).ok()?;
                let NdMessage::NeighborAdvertisement { target, .. } = message else {
                    return None;
                };
                is_advertisement.then_some(target.into())
            }
            _ => None,
        }
    }

    /// The address of RFC 4291 §2.5.6.
    const fn link_local(self) -> Ipv6Addr {
        const PREFIX: u128 = 0xfe80 << 112;
        Ipv6Addr::from_bits(PREFIX | self.mac.interface_id() as u128)
    }
}

/// The Hop Limit of Neighbor Discovery (RFC 4861 §7.1).
const ND_HOP_LIMIT: u8 = 255;
const ECHO_HOP_LIMIT: u8 = 64;

/// Returns an echo request of `len` bytes that names itself `nonce`. `None` when the addresses are of
/// two families, the shortest request is longer, or none is so long.
pub fn echo_request(from: IpAddr, to: IpAddr, nonce: u32, len: usize) -> Option<Vec<u8>> {
    let body_len = |headers_len| len.checked_sub(headers_len).filter(|len| *len >= 4);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total_len = u16::try_from(len).ok()?;
            let mut icmp = vec![Icmpv4Type::ECHO_REQUEST.0, 0, 0, 0];
            icmp.extend(nonce.to_be_bytes());
            icmp.resize(4 + body_len(Ipv4View::LEN + 4)?, 0);
            let checksum = Sum::of(&icmp).checksum();
            icmp.splice(2..4, checksum.to_be_bytes());
            // DF (RFC 791 §3.1).
            let mut packet = vec![0x45, 0];
            packet.extend(total_len.to_be_bytes());
            packet.extend([0, 0, 0x40, 0, ECHO_HOP_LIMIT, IpProtocol::ICMPV4.0, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let checksum = Sum::of(&packet).checksum();
            packet.splice(10..12, checksum.to_be_bytes());
            packet.extend(icmp);
            Some(packet)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut body = nonce.to_be_bytes().to_vec();
            body.resize(body_len(Ipv6View::LEN + 4)?, 0);
            icmpv6(Icmpv6Type::ECHO_REQUEST, from, to, ECHO_HOP_LIMIT, &body)
        }
        _ => None,
    }
}

/// Returns what an inner packet, if it is an echo reply, was asked by.
pub fn echo_reply(packet: &[u8]) -> Option<u32> {
    let nonce = |identifier: Option<u16>, sequence: Option<u16>| {
        Some(u32::from(identifier?) << 16 | u32::from(sequence?))
    };
    match packet.first()? >> 4 {
        4 => {
            let ip = Ipv4View::parse(packet).ok()?;
            let is_icmp = ip.protocol() == IpProtocol::ICMPV4;
            let icmp = packet.get(ip.header_len()..).filter(|_| is_icmp)?;
            let icmp = Icmpv4View::parse(icmp).ok()?;
            let is_reply = icmp.kind() == Icmpv4Type::ECHO_REPLY;
            nonce(icmp.identifier(), icmp.sequence()).filter(|_| is_reply)
        }
        6 => {
            let ip = Ipv6View::parse(packet).ok()?;
            let is_icmp = ip.next_header() == IpProtocol::ICMPV6;
            let icmp = packet.get(Ipv6View::LEN..).filter(|_| is_icmp)?;
            let icmp = Icmpv6View::parse(icmp).ok()?;
            let is_reply = icmp.kind() == Icmpv6Type::ECHO_REPLY;
            nonce(icmp.identifier(), icmp.sequence()).filter(|_| is_reply)
        }
        _ => None,
    }
}

/// Returns a packet with a message, of which `body` is what follows the checksum.
fn icmpv6(
    kind: Icmpv6Type,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    hop_limit: u8,
    body: &[u8],
) -> Option<Vec<u8>> {
    let mut icmp = vec![kind.0, 0, 0, 0];
    icmp.extend(body);
    let len = u16::try_from(icmp.len()).ok()?;
    let pseudo = Sum::pseudo_v6(src, dst, IpProtocol::ICMPV6, len.into());
    let checksum = pseudo.and_bytes(&icmp).checksum();
    icmp.splice(2..4, checksum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([IpProtocol::ICMPV6.0, hop_limit]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(icmp);
    Some(packet)
}

#[cfg(test)]
mod tests {
    use tapweave_net::ParsedFrame;
    use tapweave_net::checksum::{Verification, verify_transport};

    use super::*;

    const PROBER: Prober = Prober::new([1, 2, 3, 4]);

    fn station(addr: &str) -> Station {
        Station {
            mac: MacAddr::new([2, 0, 0, 0, 0, 9]),
            addr: addr.parse().unwrap(),
        }
    }

    fn framed(packet: &[u8]) -> Vec<u8> {
        let ethertype = if packet[0] >> 4 == 4 {
            [8, 0]
        } else {
            [0x86, 0xdd]
        };
        [&[2; 12], &ethertype[..], packet].concat()
    }

    #[test]
    fn an_arp_probe_is_as_long_as_it_shall_be_and_tells_nobody_anything() {
        let frame = PROBER.question(station("10.0.0.9"), 1464).unwrap();
        assert_eq!(frame.len(), 1464);
        let head = [2, 0, 0, 0, 0, 9, 6, 0x50, 1, 2, 3, 4, 8, 6];
        assert_eq!(frame[..14], head);
        let arp = ArpPacket::parse(&frame[14..]).unwrap();
        assert_eq!(arp.sender_ip, Ipv4Addr::UNSPECIFIED);
        assert_eq!(arp.target_ip, Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(PROBER.question(station("10.0.0.9"), 41), None);
    }

    #[test]
    fn a_reply_of_the_station_is_its_answer_and_that_of_another_is_not() {
        let station = station("10.0.0.9");
        let reply = ArpPacket {
            operation: ArpOperation::Reply,
            sender_mac: station.mac,
            sender_ip: Ipv4Addr::new(10, 0, 0, 9),
            target_mac: PROBER.mac,
            target_ip: Ipv4Addr::UNSPECIFIED,
        };
        let macs = [PROBER.mac.octets(), station.mac.octets()].concat();
        let frame = [&macs[..], &[8, 6], &reply.encode()].concat();
        assert!(PROBER.is_addressee(&frame) && PROBER.is_answer(station, &frame));
        let other = Station {
            addr: "10.0.0.8".parse().unwrap(),
            ..station
        };
        assert!(!PROBER.is_answer(other, &frame));
        assert!(!Prober::new([1, 2, 3, 5]).is_addressee(&frame));
        // Who answers can be asked.
        assert_eq!(Station::of_frame(&frame), Some(station));
        for cut in 0..frame.len() {
            assert!(!PROBER.is_answer(station, &frame[..cut]));
        }
    }

    #[test]
    fn a_solicitation_is_valid_and_filled_up_behind_the_packet() {
        let station = station("fd00::9");
        let frame = PROBER.question(station, 1444).unwrap();
        assert_eq!(frame.len(), 1444);
        let parsed = ParsedFrame::parse(&frame).unwrap();
        assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
        let ip = Ipv6View::parse(&frame[14..]).unwrap();
        assert_eq!(ip.src().to_string(), "fe80::450:1ff:fe02:304");
        assert_eq!(usize::from(ip.payload_len()), 32);
        // What the station answers (RFC 4861 §4.4): solicited, with its MAC.
        let mut body = vec![0x60, 0, 0, 0];
        body.extend("fd00::9".parse::<Ipv6Addr>().unwrap().octets());
        body.extend([2, 1]);
        body.extend(station.mac.octets());
        let IpAddr::V6(addr) = station.addr else {
            panic!("it is one of IPv6");
        };
        let kind = Icmpv6Type::NEIGHBOR_ADVERTISEMENT;
        let packet = icmpv6(kind, addr, ip.src(), ND_HOP_LIMIT, &body).unwrap();
        let macs = [PROBER.mac.octets(), station.mac.octets()].concat();
        let answer = [&macs[..], &[0x86, 0xdd], &packet].concat();
        assert!(PROBER.is_answer(station, &answer));
        assert!(!PROBER.is_answer(self::station("fd00::8"), &answer));
    }

    #[test]
    fn an_echo_is_as_long_as_it_shall_be_and_names_its_reply() {
        for (from, to, shortest) in [("10.0.0.1", "10.0.1.9", 28), ("fd00::1", "fd01::9", 48)] {
            let [from, to]: [IpAddr; 2] = [from, to].map(|addr| addr.parse().unwrap());
            let mut packet = echo_request(from, to, 0x1234_5678, 1400).unwrap();
            assert_eq!(packet.len(), 1400);
            let frame = framed(&packet);
            let parsed = ParsedFrame::parse(&frame).unwrap();
            assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
            assert_eq!(Station::of_packet(&packet).unwrap().addr, from);
            assert_eq!(echo_reply(&packet), None);
            // The reply, as far as it is looked at.
            let kind_at = shortest - 8;
            packet[kind_at] = if from.is_ipv4() { 0 } else { 129 };
            assert_eq!(echo_reply(&packet), Some(0x1234_5678));
            assert_eq!(echo_request(from, to, 1, shortest - 1), None);
            assert_eq!(echo_request(from, to, 1, shortest).unwrap().len(), shortest);
            assert_eq!(echo_request(from, to, 1, 70_000), None);
        }
        let mixed = ["10.0.0.1", "fd00::1"].map(|addr| addr.parse().unwrap());
        assert_eq!(echo_request(mixed[0], mixed[1], 1, 1000), None);
    }

    #[test]
    fn what_says_no_address_of_a_host_shows_no_station() {
        let probe = PROBER.question(station("10.0.0.9"), 60).unwrap();
        assert_eq!(Station::of_frame(&probe), None);
        let all = ["255.255.255.255", "224.0.0.1", "0.0.0.0"];
        for from in all.map(|addr| addr.parse().unwrap()) {
            let packet = echo_request(from, "10.0.0.1".parse().unwrap(), 1, 40).unwrap();
            assert_eq!(Station::of_packet(&packet), None);
            assert_eq!(Station::of_frame(&framed(&packet)), None);
        }
        let own = ["fe80::1", "fd00::1"].map(|addr| addr.parse().unwrap());
        let packet = echo_request(own[0], own[1], 1, 100).unwrap();
        assert_eq!(Station::of_packet(&packet), None);
        assert_eq!(Station::of_frame(&[0; 64]), None);
        assert_eq!(Station::of_packet(&[]), None);
    }
}

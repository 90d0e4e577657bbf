//! The client beside a server of a few lines, while time is jumped: what becomes of a lease.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetFrame,
    EthernetProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use super::*;

const CLIENT: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 7]);
const SERVER: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const SERVER_IP: Ipv4Address = Ipv4Address::new(192, 0, 2, 1);
const SECOND_SERVER_IP: Ipv4Address = Ipv4Address::new(192, 0, 2, 2);
/// How long a lease lasts, in seconds as everything here.
const LEASE: u32 = 1000;
/// Halfway to the end (RFC 2131 §4.4.5).
const T1: u32 = 500;
/// Seven eighths of it.
const T2: u32 = 875;

/// A message of the client: what it is, to whom it goes, and the address that it comes from.
type Said = (DhcpMessageType, Ipv4Address, Ipv4Address);

/// What the LAN does with the client's frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answering {
    Nobody,
    /// The server of this address gives or prolongs a lease of this address.
    With(Ipv4Address, Ipv4Address),
    /// It refuses whatever is requested.
    Refusing(Ipv4Address),
}

struct Lan {
    client: Dhcp,
    now: Timestamp,
    answering: Answering,
    said: Vec<Said>,
}

impl Lan {
    fn new() -> Self {
        let now = Timestamp::from_secs(10);
        Self {
            client: Dhcp::new(CLIENT, 7, now),
            now,
            answering: Answering::Nobody,
            said: Vec::new(),
        }
    }

    /// Lets time pass, and returns what the client has said meanwhile.
    fn pass(&mut self, secs: u32) -> Vec<Said> {
        let end = self.now + Duration::from_secs(secs.into());
        loop {
            let mut frames = Vec::new();
            let due = self.client.poll(self.now, &mut frames);
            for frame in &frames {
                if let Some(answer) = self.answer(frame) {
                    self.client.hear(&answer);
                }
            }
            if !frames.is_empty() {
                continue;
            }
            if due > end.since(self.now) {
                self.now = end;
                return std::mem::take(&mut self.said);
            }
            self.now = self.now + due.max(Duration::from_millis(1));
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.client.lease().map(|place| place.address.addr())
    }

    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let frame = EthernetFrame::new_checked(frame).unwrap();
        match frame.ethertype() {
            EthernetProtocol::Arp => self.answer_arp(frame.payload()),
            EthernetProtocol::Ipv4 => self.answer_dhcp(frame.payload()),
            other @ (EthernetProtocol::Ipv6 | EthernetProtocol::Unknown(_)) => {
                panic!("the client sent {other}")
            }
        }
    }

    fn answer_arp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let asked = ArpRepr::parse(&ArpPacket::new_checked(packet).unwrap()).unwrap();
        let ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = asked
        else {
            return None;
        };
        if self.answering != Answering::With(target_protocol_addr, source_protocol_addr) {
            return None;
        }
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: SERVER,
            source_protocol_addr: target_protocol_addr,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        let mut bytes = vec![0; 14 + answer.buffer_len()];
        answer.emit(&mut ArpPacket::new_unchecked(&mut bytes[14..]));
        Some(headed(bytes, EthernetProtocol::Arp))
    }

    fn answer_dhcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let ip = Ipv4Packet::new_checked(packet).unwrap();
        let udp = UdpPacket::new_checked(ip.payload()).unwrap();
        let asked = DhcpPacket::new_checked(udp.payload()).unwrap();
        let asked = DhcpRepr::parse(&asked).unwrap();
        self.said
            .push((asked.message_type, ip.dst_addr(), ip.src_addr()));
        let (server, given) = match self.answering {
            Answering::Nobody => return None,
            Answering::With(server, given) => (server, Some(given)),
            Answering::Refusing(server) => (server, None),
        };
        let message_type = match (asked.message_type, given) {
            (DhcpMessageType::Discover, Some(_)) => DhcpMessageType::Offer,
            (DhcpMessageType::Request, Some(_)) => DhcpMessageType::Ack,
            (DhcpMessageType::Request, None) => DhcpMessageType::Nak,
            _ => return None,
        };
        let answer = DhcpRepr {
            message_type,
            your_ip: given.unwrap_or(Ipv4Address::UNSPECIFIED),
            client_ip: Ipv4Address::UNSPECIFIED,
            requested_ip: None,
            client_identifier: None,
            parameter_request_list: None,
            max_size: None,
            router: given.map(|_| SERVER_IP),
            subnet_mask: given.map(|_| Ipv4Address::new(255, 255, 255, 0)),
            server_identifier: Some(server),
            lease_duration: given.map(|_| LEASE),
            ..asked
        };
        Some(sent_by(server, &answer))
    }
}

/// Returns the frame that brings a message of a server to everybody.
fn sent_by(server: Ipv4Address, message: &DhcpRepr<'_>) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: 67,
        dst_port: 68,
    };
    let ip = Ipv4Repr {
        src_addr: server,
        dst_addr: Ipv4Address::BROADCAST,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + message.buffer_len(),
        hop_limit: 64,
    };
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; 14 + ip.buffer_len() + ip.payload_len];
    let (head, body) = bytes.split_at_mut(14 + ip.buffer_len());
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut head[14..]), &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(body),
        &ip.src_addr.into(),
        &ip.dst_addr.into(),
        message.buffer_len(),
        |payload| {
            message
                .emit(&mut DhcpPacket::new_unchecked(payload))
                .unwrap();
        },
        &checksums,
    );
    headed(bytes, EthernetProtocol::Ipv4)
}

/// Writes an Ethernet header for the client into the first 14 bytes.
fn headed(mut bytes: Vec<u8>, ethertype: EthernetProtocol) -> Vec<u8> {
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_src_addr(SERVER);
    frame.set_dst_addr(EthernetAddress(CLIENT.octets()));
    frame.set_ethertype(ethertype);
    bytes
}

const GIVEN: Ipv4Address = Ipv4Address::new(192, 0, 2, 100);
const REQUEST: DhcpMessageType = DhcpMessageType::Request;

/// A client that has a lease of [`GIVEN`] from [`SERVER_IP`], just begun.
fn leased() -> Lan {
    let mut lan = Lan::new();
    lan.answering = Answering::With(SERVER_IP, GIVEN);
    let said = lan.pass(20);
    let everybody = (Ipv4Address::BROADCAST, Ipv4Address::UNSPECIFIED);
    assert_eq!(
        said,
        [DhcpMessageType::Discover, REQUEST].map(|it| (it, everybody.0, everybody.1))
    );
    assert_eq!(lan.address(), Some(GIVEN.into()));
    lan
}

#[test]
fn an_address_is_asked_for_until_somebody_gives_one() {
    let mut lan = Lan::new();
    let said = lan.pass(60);
    assert!(said.len() >= 3 && said.iter().all(|it| it.0 == DhcpMessageType::Discover));
    assert_eq!(lan.address(), None);
    lan.answering = Answering::With(SERVER_IP, GIVEN);
    lan.pass(20);
    let lease = lan.client.lease().unwrap();
    assert_eq!(lease.address.to_string(), "192.0.2.100/24");
    assert_eq!(lease.gateway, Some(SERVER_IP.into()));
}

#[test]
fn rfc2131_4_4_5_a_lease_is_renewed_with_its_server_at_half_of_its_time() {
    let mut lan = leased();
    assert_eq!(lan.pass(T1 - 30), []);
    assert_eq!(lan.pass(40), [(REQUEST, SERVER_IP, GIVEN)]);
    // From then on it is a whole one.
    lan.answering = Answering::Nobody;
    lan.pass(LEASE - 60);
    assert_eq!(lan.address(), Some(GIVEN.into()));
}

#[test]
fn rfc2131_4_4_5_when_its_server_is_gone_any_other_may_prolong_the_lease() {
    let mut lan = leased();
    lan.answering = Answering::Nobody;
    lan.pass(T2 - 30);
    assert_eq!(lan.address(), Some(GIVEN.into()));
    lan.answering = Answering::With(SECOND_SERVER_IP, GIVEN);
    let said = lan.pass(LEASE - T2);
    assert!(
        said.contains(&(REQUEST, Ipv4Address::BROADCAST, GIVEN)),
        "{said:?}"
    );
    lan.answering = Answering::Nobody;
    lan.pass(T2);
    assert_eq!(lan.address(), Some(GIVEN.into()));
}

#[test]
fn rfc2131_4_4_5_a_lease_that_nobody_prolongs_ends_and_another_is_asked_for() {
    let mut lan = leased();
    lan.answering = Answering::Nobody;
    lan.pass(LEASE - 30);
    assert_eq!(lan.address(), Some(GIVEN.into()));
    let said = lan.pass(60);
    assert_eq!(lan.address(), None);
    let discover = DhcpMessageType::Discover;
    let unspecified = Ipv4Address::UNSPECIFIED;
    assert!(said.contains(&(discover, Ipv4Address::BROADCAST, unspecified)));
    let other = Ipv4Address::new(192, 0, 2, 101);
    lan.answering = Answering::With(SECOND_SERVER_IP, other);
    lan.pass(20);
    assert_eq!(lan.address(), Some(other.into()));
}

#[test]
fn rfc2131_3_1_a_lease_that_is_refused_ends_at_once() {
    let mut lan = leased();
    lan.answering = Answering::Nobody;
    lan.pass(T2 - 30);
    lan.answering = Answering::Refusing(SERVER_IP);
    lan.pass(60);
    assert_eq!(lan.address(), None);
}

/// Returns what the next daemon finds of a client's lease.
fn left(client: &Dhcp) -> LeftPlace {
    let mut left = LeftPlace::default();
    client.leave(&mut left);
    left
}

#[test]
fn a_lease_of_an_earlier_daemon_is_used_until_there_is_another() {
    let mut earlier = leased();
    earlier.pass(100);
    let mut lan = Lan::new();
    lan.now = earlier.now;
    lan.client.take_up(&left(&earlier.client));
    let said = lan.pass(30);
    assert!(said.iter().all(|it| it.0 == DhcpMessageType::Discover));
    assert_eq!(lan.client.lease(), earlier.client.lease());
    assert_eq!(left(&lan.client), left(&earlier.client));
    let other = Ipv4Address::new(192, 0, 2, 101);
    lan.answering = Answering::With(SECOND_SERVER_IP, other);
    lan.pass(60);
    assert_eq!(lan.address(), Some(other.into()));
}

#[test]
fn a_lease_of_an_earlier_daemon_ends_when_it_does_and_was_noted_anew_when_it_was_prolonged() {
    let mut earlier = leased();
    let first = left(&earlier.client).lease.unwrap().until();
    earlier.pass(T1 + 10);
    let until = left(&earlier.client).lease.unwrap().until();
    let prolonged = until.since(first).as_secs();
    assert!(
        (u64::from(T1) - 10..=u64::from(T1)).contains(&prolonged),
        "{prolonged}"
    );
    let mut lan = Lan::new();
    lan.now = until;
    lan.client.take_up(&left(&earlier.client));
    lan.pass(1);
    assert_eq!(lan.address(), None);
    let mut lan = Lan::new();
    lan.now = earlier.now;
    lan.client.take_up(&left(&earlier.client));
    lan.pass(LEASE - 60);
    assert_eq!(lan.address(), Some(GIVEN.into()));
    lan.pass(90);
    assert_eq!(lan.address(), None);
}

//! The frames that are measured, byte for byte.

use tapweave_net::checksum::Sum;
use tapweave_net::{ChecksumOffload, Gso, GsoKind, Offload, Splitter};

/// TCP payload of one segment over IPv4 at MTU 1500, without TCP options.
const MSS: u16 = 1460;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
const PORTS: [u8; 4] = [0x9c, 0x40, 0x14, 0x51];

const ETHERNET_LEN: u16 = 14;
const IPV4_LEN: u16 = 20;
const IPV6_LEN: u16 = 40;
const TCP_LEN: u16 = 20;
const UDP_LEN: u16 = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;
const DESTINATION_OPTIONS: u8 = 60;

/// Where the checksum is in a TCP and in a UDP header.
const TCP_CHECKSUM: u16 = 16;
const UDP_CHECKSUM: u16 = 6;

/// One frame of every class that is parsed, with whether there is an L4 header to find.
pub(crate) fn classes() -> [(&'static str, Vec<u8>, L4); 7] {
    let padding_option = [TCP, 0, 1, 4, 0, 0, 0, 0];
    [
        ("arp", arp(), L4::None),
        ("udp4", ipv4(&[], UDP, &udp(18)), L4::Some),
        ("tcp4", ipv4(&[], TCP, &tcp(MSS)), L4::Some),
        ("tcp4-super", ipv4(&[], TCP, &tcp(64_000)), L4::Some),
        (
            "tcp4-vlan",
            ipv4(&[0x81, 0, 0, 10], TCP, &tcp(MSS)),
            L4::Some,
        ),
        ("tcp6", ipv6(TCP, &tcp(1440)), L4::Some),
        (
            "tcp6-destination-options",
            ipv6(
                DESTINATION_OPTIONS,
                &[padding_option.as_slice(), &tcp(1432)].concat(),
            ),
            L4::Some,
        ),
    ]
}

/// Whether a frame has an L4 header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum L4 {
    /// It has one.
    Some,
    /// It has none.
    None,
}

/// A segment whose checksum is partial.
pub(crate) fn tcp4_segment() -> (Vec<u8>, Offload) {
    let offload = Offload {
        checksum: partial(IPV4_LEN, TCP_CHECKSUM),
        gso: None,
    };
    (ipv4(&[], TCP, &tcp(MSS)), offload)
}

/// A super-frame of 44 segments.
pub(crate) fn tcp4_super() -> (Vec<u8>, Offload) {
    let offload = super_offload(IPV4_LEN, TCP_CHECKSUM, GsoKind::TcpV4, MSS);
    (ipv4(&[], TCP, &tcp(44 * MSS)), offload)
}

/// The segments of such a super-frame, with right checksums.
pub(crate) fn tcp4_segments() -> Vec<Vec<u8>> {
    let (mut frame, offload) = tcp4_super();
    let segment_len = TCP_LEN + 44 * MSS;
    let pseudo = Sum::of(&frame[26..34])
        .and_u16(u16::from(TCP))
        .and_u16(segment_len);
    frame[50..52].copy_from_slice(&pseudo.fold().to_be_bytes());
    let splitter = Splitter::new(&frame, offload).ok();
    let cut = |index| {
        let mut segment = vec![0; frame.len()];
        let len = splitter.as_ref()?.write_segment(index, &mut segment).ok()?;
        segment.truncate(len);
        Some(segment)
    };
    (0..44).filter_map(cut).collect()
}

/// A super-frame of 44 segments.
pub(crate) fn tcp6_super() -> (Vec<u8>, Offload) {
    let size = 1440;
    let offload = super_offload(IPV6_LEN, TCP_CHECKSUM, GsoKind::TcpV6, size);
    (ipv6(TCP, &tcp(44 * size)), offload)
}

/// A super-frame of 44 datagrams.
pub(crate) fn udp4_super() -> (Vec<u8>, Offload) {
    let size = 1472;
    let offload = super_offload(IPV4_LEN, UDP_CHECKSUM, GsoKind::Udp, size);
    (ipv4(&[], UDP, &udp(44 * size)), offload)
}

/// Datagrams of some flows in turn.
#[derive(Clone, Copy)]
pub(crate) struct Datagrams {
    pub(crate) flow_count: u16,
    pub(crate) payload_len: u16,
    pub(crate) checksum: ChecksumOffload,
}

impl Datagrams {
    /// Returns the frame of this number, whose checksum is right.
    pub(crate) fn frame(&self, number: u16) -> (Vec<u8>, Offload) {
        let mut datagram = udp(self.payload_len);
        let source_port = 10_000 + number % self.flow_count;
        datagram[..2].copy_from_slice(&source_port.to_be_bytes());
        datagram[6..8].fill(0);
        let mut frame = ipv4(&[], UDP, &datagram);
        let pseudo = Sum::of(&frame[26..34])
            .and_u16(u16::from(UDP))
            .and_u16(UDP_LEN + self.payload_len);
        let checksum = match self.checksum {
            ChecksumOffload::Partial { .. } => pseudo.fold(),
            ChecksumOffload::Complete | ChecksumOffload::Validated => {
                pseudo.and_bytes(&datagram).udp_checksum()
            }
        };
        frame[40..42].copy_from_slice(&checksum.to_be_bytes());
        let offload = Offload {
            checksum: self.checksum,
            gso: None,
        };
        (frame, offload)
    }
}

/// The state of a checksum that the sender has left to a device.
pub(crate) fn udp4_partial() -> ChecksumOffload {
    partial(IPV4_LEN, UDP_CHECKSUM)
}

fn partial(l3_len: u16, offset: u16) -> ChecksumOffload {
    ChecksumOffload::Partial {
        start: ETHERNET_LEN + l3_len,
        offset,
    }
}

fn super_offload(l3_len: u16, offset: u16, kind: GsoKind, size: u16) -> Offload {
    Offload {
        checksum: partial(l3_len, offset),
        gso: Some(Gso {
            kind,
            ecn: false,
            size,
            header_len_hint: 0,
        }),
    }
}

/// A TCP header without options and its payload.
fn tcp(payload_len: u16) -> Vec<u8> {
    let mut segment = vec![0xa5; usize::from(TCP_LEN + payload_len)];
    segment[..4].copy_from_slice(&PORTS);
    segment[12..14].copy_from_slice(&[0x50, 0x10]);
    segment
}

/// A UDP header and its payload.
fn udp(payload_len: u16) -> Vec<u8> {
    let mut datagram = vec![0xa5; usize::from(UDP_LEN + payload_len)];
    datagram[..4].copy_from_slice(&PORTS);
    datagram[4..6].copy_from_slice(&(UDP_LEN + payload_len).to_be_bytes());
    datagram
}

fn ipv4(tag: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [
        0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 192, 0, 2, 10, 192, 0, 3,
    ];
    let total_len = low_half(header.len() + payload.len());
    header[2..4].copy_from_slice(&total_len);
    let checksum = Sum::of(&header).checksum();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&MACS, tag, &[0x08, 0x00], &header, payload].concat()
}

fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; IPV6_LEN as usize];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&low_half(payload.len()));
    header[6..8].copy_from_slice(&[next_header, 64]);
    for (start, station) in [(8, 2), (24, 3)] {
        header[start] = 0xfd;
        header[start + 15] = station;
    }
    [&MACS, [0x86, 0xdd].as_slice(), &header, payload].concat()
}

/// "Who has 10.192.0.3?" (RFC 826).
fn arp() -> Vec<u8> {
    let request = [
        0, 1, 0x08, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
        2, 0, 0, 0, 0, 2, 10, 192, 0, 2, // sender
        0, 0, 0, 0, 0, 0, 10, 192, 0, 3, // target
    ];
    [[0xff; 6].as_slice(), &MACS[6..], &[0x08, 0x06], &request].concat()
}

/// A length below 64 KiB, as the headers have it.
fn low_half(len: usize) -> [u8; 2] {
    let [.., high, low] = len.to_be_bytes();
    [high, low]
}

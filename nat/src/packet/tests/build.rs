//! Builds frames by the letter, with checksums summed word by word.

use core::net::IpAddr;

use proptest::prelude::*;
use tapweave_net::{ChecksumOffload, Frame, Gso, GsoKind, Offload, ParsedFrame};

use crate::packet::{Ends, Packet, QueryKind, Unreadable};
use crate::table::Endpoint;

/// Bytes of the Ethernet header that every frame has.
pub(crate) const LINK_LEN: usize = 14;

/// What a flow carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tcp,
    Udp,
    UdpWithoutChecksum,
    Query(QueryKind),
}

/// Whether the L4 checksum is left to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Complete,
    Partial,
}

/// A packet of a flow.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) ends: Ends,
    pub(crate) payload: Vec<u8>,
    /// IPv4 options, or IPv6 extension headers before L4 with the number of the first.
    pub(crate) extra: Vec<u8>,
    pub(crate) first_header: Option<u8>,
    pub(crate) ttl: u8,
}

pub(crate) fn end(text: &str) -> Endpoint {
    text.parse::<core::net::SocketAddr>().unwrap().into()
}

pub(crate) fn ends(src: &str, dst: &str) -> Ends {
    Ends {
        src: end(src),
        dst: end(dst),
    }
}

/// The sum of RFC 1071 §4.1, word for word.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// The same number, never written as zero.
const fn nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

impl Spec {
    pub(crate) fn new(kind: Kind, ends: Ends, payload: &[u8]) -> Self {
        Self {
            kind,
            state: State::Complete,
            ends,
            payload: payload.to_vec(),
            extra: Vec::new(),
            first_header: None,
            ttl: 64,
        }
    }

    pub(crate) fn with_ends(&self, ends: Ends) -> Self {
        Self {
            ends,
            ..self.clone()
        }
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.ends.src.ip().is_ipv6()
    }

    pub(crate) fn protocol(&self) -> u8 {
        match (self.kind, self.is_v6()) {
            (Kind::Tcp, _) => 6,
            (Kind::Udp | Kind::UdpWithoutChecksum, _) => 17,
            (Kind::Query(_), false) => 1,
            (Kind::Query(_), true) => 58,
        }
    }

    pub(crate) fn checksum_at(&self) -> usize {
        match self.kind {
            Kind::Tcp => 16,
            Kind::Udp | Kind::UdpWithoutChecksum => 6,
            Kind::Query(_) => 2,
        }
    }

    fn pseudo(&self, len: usize) -> Vec<u8> {
        if self.protocol() == 1 {
            return Vec::new();
        }
        let addresses = [self.ends.src.ip(), self.ends.dst.ip()]
            .map(octets)
            .concat();
        let len = u32::try_from(len).unwrap().to_be_bytes();
        [&addresses[..], &len, &[0, 0, 0, self.protocol()]].concat()
    }

    /// L4 header and payload.
    pub(crate) fn l4(&self) -> Vec<u8> {
        let [src, dst] = [self.ends.src, self.ends.dst].map(|end| end.port().to_be_bytes());
        let mut l4 = match self.kind {
            Kind::Tcp => {
                let rest = [1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 0x12, 0x34, 0, 0, 0, 0];
                [&src[..], &dst, &rest].concat()
            }
            Kind::Udp | Kind::UdpWithoutChecksum => {
                let len = u16::try_from(8 + self.payload.len()).unwrap().to_be_bytes();
                [&src[..], &dst, &len, &[0, 0]].concat()
            }
            Kind::Query(query) => {
                let (kind, id) = match (query, self.is_v6()) {
                    (QueryKind::Request, false) => (8, src),
                    (QueryKind::Request, true) => (128, src),
                    (QueryKind::Reply, false) => (0, dst),
                    (QueryKind::Reply, true) => (129, dst),
                };
                [&[kind, 0, 0, 0], &id[..], &[0, 7]].concat()
            }
        };
        l4.extend(&self.payload);
        let pseudo = self.pseudo(l4.len());
        let checksum = match (self.state, self.kind) {
            (_, Kind::UdpWithoutChecksum) => 0,
            (State::Partial, _) => sum(&[&pseudo]),
            (State::Complete, Kind::Tcp) => !sum(&[&pseudo, &l4]),
            (State::Complete, Kind::Query(_)) if self.is_v6() => !sum(&[&pseudo, &l4]),
            (State::Complete, Kind::Udp | Kind::Query(_)) => nonzero(!sum(&[&pseudo, &l4])),
        };
        let at = self.checksum_at();
        l4[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        l4
    }

    /// The IP packet.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let l4 = self.l4();
        let protocol = self.first_header.unwrap_or_else(|| self.protocol());
        let addresses = (self.ends.src.ip(), self.ends.dst.ip());
        ip_packet(addresses, protocol, self.ttl, &self.extra, &l4)
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        link(&self.packet())
    }

    pub(crate) fn offload(&self) -> Offload {
        if self.state == State::Complete {
            return Offload::NONE;
        }
        let l3_len = if self.is_v6() { 40 } else { 20 };
        let start = LINK_LEN + l3_len + self.extra.len();
        let kind = match (self.kind, self.is_v6()) {
            (Kind::Tcp, false) => Some(GsoKind::TcpV4),
            (Kind::Tcp, true) => Some(GsoKind::TcpV6),
            (Kind::Udp, _) => Some(GsoKind::Udp),
            (Kind::UdpWithoutChecksum | Kind::Query(_), _) => None,
        };
        Offload {
            checksum: ChecksumOffload::Partial {
                start: u16::try_from(start).unwrap(),
                offset: u16::try_from(self.checksum_at()).unwrap(),
            },
            gso: kind.map(|kind| Gso {
                kind,
                ecn: false,
                size: 1448,
                header_len_hint: 66,
            }),
        }
    }
}

pub(crate) fn ip_packet(
    (src, dst): (IpAddr, IpAddr),
    protocol: u8,
    ttl: u8,
    extra: &[u8],
    l4: &[u8],
) -> Vec<u8> {
    let addresses = [src, dst].map(octets).concat();
    if src.is_ipv6() {
        let len = u16::try_from(extra.len() + l4.len()).unwrap().to_be_bytes();
        let header = [0x60, 0x12, 0x34, 0x56, len[0], len[1], protocol, ttl];
        return [&header[..], &addresses, extra, l4].concat();
    }
    let header_len = 20 + extra.len();
    let len = u16::try_from(header_len + l4.len()).unwrap().to_be_bytes();
    let ihl = 0x40 | u8::try_from(header_len / 4).unwrap();
    let header = [
        ihl, 0, len[0], len[1], 0x12, 0x34, 0, 0, ttl, protocol, 0, 0,
    ];
    let mut header = [&header[..], &addresses, extra].concat();
    fill_header_checksum(&mut header);
    [&header[..], l4].concat()
}

/// Computes the checksum of an IPv4 header that fills `header`.
pub(crate) fn fill_header_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let checksum = !sum(&[header]);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// An Ethernet frame that carries an IP packet.
pub(crate) fn link(packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 6 {
        [0x86, 0xdd]
    } else {
        [0x08, 0x00]
    };
    [
        &[2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2][..],
        &ethertype,
        packet,
    ]
    .concat()
}

/// An ICMP error of this type from `src`, to the source of `quoted`, with these octets after it.
pub(crate) fn error_frame(
    kind: u8,
    src: IpAddr,
    quoted: &Spec,
    len: usize,
    extension: &[u8],
) -> Vec<u8> {
    let packet = quoted.packet();
    let quote = packet.get(..len).unwrap_or(&packet);
    error_about(
        kind,
        src,
        quoted.ends.src.ip(),
        &[quote, extension].concat(),
    )
}

pub(crate) fn error_about(kind: u8, src: IpAddr, dst: IpAddr, quote: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 1, 0, 0, 0, 0, 0x05, 0xdc], quote].concat();
    let protocol = if src.is_ipv6() { 58 } else { 1 };
    let pseudo = match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let len = u32::try_from(message.len()).unwrap().to_be_bytes();
            [&src.octets()[..], &dst.octets(), &len, &[0, 0, 0, 58]].concat()
        }
        _ => Vec::new(),
    };
    let checksum = match !sum(&[&pseudo, &message]) {
        checksum if src.is_ipv4() => nonzero(checksum),
        checksum => checksum,
    };
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    link(&ip_packet((src, dst), protocol, 64, &[], &message))
}

/// The types of ICMP errors that are translated.
pub(crate) const fn error_types(is_v6: bool) -> &'static [u8] {
    if is_v6 { &[1, 2, 3, 4] } else { &[3, 11, 12] }
}

/// Bytes of the IP header without options or extension headers.
pub(crate) fn header_len(spec: &Spec) -> usize {
    if spec.is_v6() { 40 } else { 20 }
}

/// Cuts the packet of `spec` into parts whose payloads begin at these places.
pub(crate) fn cut(spec: &Spec, starts: &[usize]) -> Vec<Vec<u8>> {
    let payload = spec.l4();
    let mut parts = Vec::new();
    for (index, &start) in starts.iter().enumerate() {
        let stop = starts.get(index + 1).copied().unwrap_or(payload.len());
        let is_last = stop == payload.len();
        parts.push(part(spec, start, &payload[start..stop], is_last));
    }
    parts
}

/// A part of the packet of `spec` with this payload.
pub(crate) fn part(spec: &Spec, start: usize, payload: &[u8], is_last: bool) -> Vec<u8> {
    let addresses = (spec.ends.src.ip(), spec.ends.dst.ip());
    let start = u16::try_from(start).unwrap();
    if spec.is_v6() {
        let [high, low] = (start | u16::from(!is_last)).to_be_bytes();
        let header = [spec.protocol(), 0, high, low, 0xde, 0xad, 0xbe, 0xef];
        return link(&ip_packet(addresses, 44, spec.ttl, &header, payload));
    }
    let mut packet = ip_packet(addresses, spec.protocol(), spec.ttl, &[], payload);
    let field = (start / 8) | (u16::from(!is_last) << 13);
    packet[6..8].copy_from_slice(&field.to_be_bytes());
    fill_header_checksum(&mut packet[..20]);
    link(&packet)
}

/// Reads a frame and hands it to `then` with what it is.
pub(crate) fn with_packet<T>(
    bytes: &mut [u8],
    offload: Offload,
    then: impl FnOnce(&mut Frame<'_>, &ParsedFrame, Packet) -> T,
) -> Result<T, Unreadable> {
    let parsed = ParsedFrame::parse(bytes)?;
    let mut frame = Frame::new(bytes, 0, offload);
    let packet = Packet::read(&frame, &parsed)?;
    Ok(then(&mut frame, &parsed, packet))
}

pub(crate) fn read(bytes: &[u8], offload: Offload) -> Result<Packet, Unreadable> {
    with_packet(&mut bytes.to_vec(), offload, |_, _, packet| packet)
}

pub(crate) fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Tcp),
        Just(Kind::Udp),
        Just(Kind::UdpWithoutChecksum),
        Just(Kind::Query(QueryKind::Request)),
        Just(Kind::Query(QueryKind::Reply)),
    ]
}

fn any_address(is_v6: bool) -> BoxedStrategy<IpAddr> {
    if is_v6 {
        // Global unicast, so never IPv4-mapped.
        any::<u128>()
            .prop_map(|bits| IpAddr::V6((bits >> 3 | 1 << 125).into()))
            .boxed()
    } else {
        any::<u32>()
            .prop_map(|bits| IpAddr::V4(bits.into()))
            .boxed()
    }
}

pub(crate) fn any_ends(is_v6: bool, kind: Kind) -> impl Strategy<Value = Ends> {
    let end = move || (any_address(is_v6), any::<u16>());
    (end(), end()).prop_map(move |(src, dst)| {
        let (src_port, dst_port) = match kind {
            Kind::Query(QueryKind::Request) => (src.1, 0),
            Kind::Query(QueryKind::Reply) => (0, dst.1),
            Kind::Tcp | Kind::Udp | Kind::UdpWithoutChecksum => (src.1, dst.1),
        };
        Ends {
            src: Endpoint::new(src.0, src_port),
            dst: Endpoint::new(dst.0, dst_port),
        }
    })
}

/// A packet, and the ends that it is to have. Payloads of up to `max_len` bytes.
pub(crate) fn any_translation(max_len: usize) -> impl Strategy<Value = (Spec, Ends)> {
    (any_kind(), any::<bool>(), any::<bool>()).prop_flat_map(move |(kind, is_v6, is_partial)| {
        let payload = prop::collection::vec(any::<u8>(), 0..=max_len);
        let state = match (kind, is_partial) {
            (Kind::Tcp | Kind::Udp | Kind::Query(_), true) => State::Partial,
            _ => State::Complete,
        };
        (
            any_ends(is_v6, kind),
            any_ends(is_v6, kind),
            payload,
            any::<u8>(),
        )
            .prop_map(move |(ends, to, payload, ttl)| {
                let spec = Spec {
                    state,
                    ttl,
                    ..Spec::new(kind, ends, &payload)
                };
                (spec, to)
            })
    })
}

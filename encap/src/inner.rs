//! What the outer headers are derived from: the inner frame, looked at once.

use tapweave_net::{
    EtherType, EthernetView, FlowKey, HeaderError, Ipv4View, Ipv6View, Network, ParsedFrame,
    VlanTag,
};

use crate::TrafficClass;

/// What is known of a frame that is to be sent.
///
/// A super-frame is looked at once for all of its segments.
#[derive(Clone, Copy, Debug)]
pub struct Inner {
    packet: Option<InnerPacket>,
    tag: Option<VlanTag>,
    hash: u64,
    marks: Option<Marks>,
}

/// Where the payload of Ethernet is: the IP packet without padding, if it is IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InnerPacket {
    /// Which IP it is.
    pub network: Network,
    /// Where it begins, from the start of the frame.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// What of an IP header the outer one may take over.
#[derive(Clone, Copy, Debug)]
struct Marks {
    class: TrafficClass,
    hop_limit: u8,
}

impl Inner {
    /// Looks at the frame that starts at `frame[0]`. `seed` is that of the flow hash: random and
    /// the same for all workers of a host, so that a flow keeps its source port.
    ///
    /// A frame whose payload is malformed is carried all the same, as a switch does; it is of the
    /// flow between its two stations.
    ///
    /// # Errors
    ///
    /// When the frame is shorter than its Ethernet header and VLAN tags.
    #[inline]
    pub fn parse(frame: &[u8], seed: u64) -> Result<Self, HeaderError> {
        match ParsedFrame::parse(frame) {
            Ok(parsed) => Ok(Self::new(frame, &parsed, seed)),
            Err(_malformed) => Self::of_malformed(frame, seed),
        }
    }

    /// As [`Inner::parse`], of a frame that was parsed as `parsed` before.
    #[inline]
    pub fn new(frame: &[u8], parsed: &ParsedFrame, seed: u64) -> Self {
        let l3 = frame.get(parsed.l3_offset()..).unwrap_or_default();
        Self {
            packet: Some(InnerPacket {
                network: parsed.network(),
                start: parsed.l3_offset(),
                end: parsed.l3_end(),
            }),
            tag: parsed.tags().outer(),
            hash: parsed.flow().hash(seed),
            marks: marks(parsed.ethertype(), l3),
        }
    }

    #[cold]
    fn of_malformed(frame: &[u8], seed: u64) -> Result<Self, HeaderError> {
        let ethernet = EthernetView::parse(frame)?;
        let flow = FlowKey::Link {
            src: ethernet.src(),
            dst: ethernet.dst(),
            ethertype: ethernet.ethertype(),
        };
        Ok(Self {
            packet: None,
            tag: ethernet.tags().outer(),
            hash: flow.hash(seed),
            marks: marks(ethernet.ethertype(), ethernet.payload()),
        })
    }

    /// Returns where the payload of Ethernet is, `None` when it is malformed.
    #[inline]
    pub const fn packet(&self) -> Option<InnerPacket> {
        self.packet
    }

    /// Returns the outermost VLAN tag.
    #[inline]
    pub const fn tag(&self) -> Option<VlanTag> {
        self.tag
    }

    /// Returns the traffic class, `None` when the frame carries no IP header.
    #[inline]
    pub fn class(&self) -> Option<TrafficClass> {
        self.marks.map(|marks| marks.class)
    }

    /// Returns the TTL or Hop Limit, `None` when the frame carries no IP header.
    #[inline]
    pub fn hop_limit(&self) -> Option<u8> {
        self.marks.map(|marks| marks.hop_limit)
    }

    /// Returns the UDP source port of the flow, 49152 to 65535 (RFC 7348 §5): routers and network
    /// cards of the underlay tell flows apart by it. The two directions of a connection have ports
    /// of their own.
    #[inline]
    pub const fn src_port(&self) -> u16 {
        // The high bits of the hash: worker and queue are chosen by low ones.
        let [high, low, ..] = self.hash.to_be_bytes();
        u16::from_be_bytes([high, low]) | FIRST_DYNAMIC_PORT
    }

    /// Returns the IPv6 flow label of the flow, 1 to 0xfffff (RFC 6438 §3): what the source port is
    /// for where there is UDP.
    #[inline]
    pub const fn flow_label(&self) -> u32 {
        let [.., high, middle, low] = self.hash.to_be_bytes();
        match u32::from_be_bytes([0, high & 0x0f, middle, low]) {
            0 => 1,
            label => label,
        }
    }
}

/// Returns the marks of the packet at `l3[0]`, also of one that ends before its length: what leaves
/// the tunnel is looked at in the same way.
#[inline]
fn marks(ethertype: EtherType, l3: &[u8]) -> Option<Marks> {
    let (class, hop_limit) = match ethertype {
        EtherType::IPV4 => {
            let ip = Ipv4View::parse_quoted(l3).ok()?;
            (ip.traffic_class(), ip.ttl())
        }
        EtherType::IPV6 => {
            let ip = Ipv6View::parse_quoted(l3).ok()?;
            (ip.traffic_class(), ip.hop_limit())
        }
        _ => return None,
    };
    Some(Marks {
        class: TrafficClass::from_u8(class),
        hop_limit,
    })
}

/// The dynamic ports begin here (RFC 6335 §6); the two high bits are what they have in common.
const FIRST_DYNAMIC_PORT: u16 = 49_152;
const _: () = assert!(FIRST_DYNAMIC_PORT == 0b11 << 14);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SEED: u64 = 0x5eed;

    fn udp(src: [u8; 2], dst: [u8; 2], payload_len: u8) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
        frame.extend([0x45, 0xb8, 0, 28 + payload_len, 0, 1, 0x40, 0, 7, 17, 0, 0]);
        frame.extend([10, 0, 0, 2, 10, 0, 0, 3]);
        frame.extend([src, dst].as_flattened());
        frame.extend([0, 8 + payload_len, 0, 0]);
        frame.extend(vec![0xa5; payload_len.into()]);
        frame
    }

    #[test]
    fn source_ports_are_dynamic_and_spread_evenly() {
        let mut ports = HashSet::new();
        for number in 0..4096_u16 {
            let inner = Inner::parse(&udp(number.to_be_bytes(), [0, 9], 0), SEED).unwrap();
            assert!(inner.src_port() >= 49_152);
            assert!((1..=0xf_ffff).contains(&inner.flow_label()));
            ports.insert(inner.src_port());
        }
        // Thrown at random, 4,096 balls occupy about 3,624 of 16,384 bins.
        assert!(ports.len() > 3500, "{}", ports.len());
    }

    #[test]
    fn a_flow_keeps_its_port_and_its_way_back_has_another() {
        let port = |frame: &[u8]| Inner::parse(frame, SEED).unwrap().src_port();
        let there = udp([0, 7], [0, 9], 0);
        assert_eq!(port(&there), port(&udp([0, 7], [0, 9], 30)));
        assert_ne!(port(&there), port(&udp([0, 9], [0, 7], 0)));
        assert_ne!(
            port(&there),
            Inner::parse(&there, SEED + 1).unwrap().src_port()
        );
    }

    #[test]
    fn the_marks_of_ip_are_seen() {
        let inner = Inner::parse(&udp([0, 7], [0, 9], 0), SEED).unwrap();
        assert_eq!(inner.class().map(TrafficClass::to_u8), Some(0xb8));
        assert_eq!(inner.hop_limit(), Some(7));
        assert_eq!(inner.tag(), None);
    }

    #[test]
    fn a_frame_with_a_malformed_payload_is_of_the_flow_of_its_stations() {
        let mut frame = udp([0, 7], [0, 9], 0);
        frame.splice(12..12, [0x81, 0, 0, 10]);
        let mut cut = frame.clone();
        cut.truncate(40);
        let inner = Inner::parse(&cut, SEED).unwrap();
        assert_eq!(inner.packet(), None);
        assert_eq!(inner.class().map(TrafficClass::to_u8), Some(0xb8));
        frame[18] = 0x55;
        let inner = Inner::parse(&frame, SEED).unwrap();
        assert!(inner.packet().is_none() && inner.class().is_none());
        assert_eq!(inner.tag().map(VlanTag::tci), Some(10));
        frame.truncate(17);
        Inner::parse(&frame, SEED).unwrap_err();
    }
}

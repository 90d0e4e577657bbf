//! Where the headers of a frame are, and which flow it belongs to, found in one pass.
//!
//! Parsing once is what later stages build on: they read and rewrite headers at these offsets. The
//! struct borrows nothing, so it can travel beside the frame while the frame is changed. Offsets are
//! right for the frame that was parsed and for any later version of it whose headers have kept their
//! lengths; accessors that take a frame return `None` rather than panic on another one.
//!
//! What is refused: a frame whose EtherType promises IP and whose bytes do not keep it, and a TCP, UDP
//! or ICMP header that does not fit its packet, in a first fragment too (RFC 7112 §5, RFC 8200 §4.5:
//! the whole header chain is in the first fragment). What is merely unknown is no error: the layer is
//! left out.

use crate::{
    EtherType, EthernetView, FlowKey, Fragment, HeaderError, Icmpv4View, Icmpv6View, IpProtocol,
    Ipv4View, Ipv6View, L4Ports, MacAddr, Tags, TcpView, UdpView,
};

/// Which IP a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Network {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Neither.
    Other,
}

/// An L4 header that was found and checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP over IPv4.
    Icmpv4,
    /// ICMP over IPv6.
    Icmpv6,
}

/// The layers of a frame: offsets from its start, in bytes, and the flow that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParsedFrame {
    flow: FlowKey,
    dst: MacAddr,
    src: MacAddr,
    tags: Tags,
    ethertype: EtherType,
    network: Network,
    fragment: Fragment,
    transport: Option<Transport>,
    l3_offset: u32,
    l4_offset: u32,
    payload_offset: u32,
    l3_end: u32,
}

/// What stands in an IP packet, with offsets from its start.
struct Inside {
    flow: FlowKey,
    fragment: Fragment,
    transport: Option<Transport>,
    l4_offset: usize,
    l4_header_len: usize,
    end: usize,
}

/// An L4 header, checked.
struct L4 {
    transport: Option<Transport>,
    header_len: usize,
    ports: Option<L4Ports>,
}

impl ParsedFrame {
    /// Parses the frame that starts at `frame[0]`, without allocation. Takes 10 to 20 ns for TCP over
    /// IPv4.
    ///
    /// # Errors
    ///
    /// What the header that is malformed says; see the head of this file. [`EthernetView`] alone is
    /// enough for those who forward by MAC address and do not care.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<Self, HeaderError> {
        let ethernet = EthernetView::parse(frame)?;
        let l3_offset = ethernet.payload_offset();
        let l3 = ethernet.payload();
        let (network, inside) = match ethernet.ethertype() {
            EtherType::IPV4 => (Network::V4, inside_v4(l3)?),
            EtherType::IPV6 => (Network::V6, inside_v6(l3)?),
            _ => (Network::Other, inside_other(&ethernet)),
        };
        let l4_offset = l3_offset + inside.l4_offset;
        Ok(Self {
            flow: inside.flow,
            dst: ethernet.dst(),
            src: ethernet.src(),
            tags: ethernet.tags(),
            ethertype: ethernet.ethertype(),
            network,
            fragment: inside.fragment,
            transport: inside.transport,
            l3_offset: narrow(l3_offset),
            l4_offset: narrow(l4_offset),
            payload_offset: narrow(l4_offset + inside.l4_header_len),
            l3_end: narrow(l3_offset + inside.end),
        })
    }

    /// Returns the flow.
    #[inline]
    pub const fn flow(&self) -> &FlowKey {
        &self.flow
    }

    /// Returns the station or group that the frame is for.
    #[inline]
    pub const fn dst(&self) -> MacAddr {
        self.dst
    }

    /// Returns the station that the frame comes from.
    #[inline]
    pub const fn src(&self) -> MacAddr {
        self.src
    }

    /// Returns the VLAN tags.
    #[inline]
    pub const fn tags(&self) -> Tags {
        self.tags
    }

    /// Returns the type of the payload, behind the tags.
    #[inline]
    pub const fn ethertype(&self) -> EtherType {
        self.ethertype
    }

    /// Returns which IP the frame carries.
    #[inline]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// Returns which part of an IP packet this is.
    #[inline]
    pub const fn fragment(&self) -> Fragment {
        self.fragment
    }

    /// Returns the L4 header that was found, `None` when it is of another protocol, in another
    /// fragment, or hidden.
    #[inline]
    pub const fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Returns what the IP packet carries behind its extension headers, `None` when it is not IP. For
    /// IPv6 fragments it is the Next Header of the Fragment header.
    #[inline]
    pub const fn protocol(&self) -> Option<IpProtocol> {
        match self.flow {
            FlowKey::V4 { protocol, .. } | FlowKey::V6 { protocol, .. } => Some(protocol),
            FlowKey::Link { .. } => None,
        }
    }

    /// Returns where the payload of Ethernet begins: the IP header if it is IP.
    #[inline]
    pub const fn l3_offset(&self) -> usize {
        self.l3_offset as usize
    }

    /// Returns where the IP packet ends, before any padding; the end of the frame if it is not IP.
    #[inline]
    pub const fn l3_end(&self) -> usize {
        self.l3_end as usize
    }

    /// Returns where the L4 header begins, `None` without [`ParsedFrame::transport`].
    #[inline]
    pub const fn l4_offset(&self) -> Option<usize> {
        match self.transport {
            Some(_) => Some(self.l4_offset as usize),
            None => None,
        }
    }

    /// Returns where the payload of L4 begins, `None` without [`ParsedFrame::transport`].
    #[inline]
    pub const fn payload_offset(&self) -> Option<usize> {
        match self.transport {
            Some(_) => Some(self.payload_offset as usize),
            None => None,
        }
    }

    /// Returns L4 header and payload in `frame`, which was parsed as `self`: to the end of the IP
    /// packet, for UDP to its Length at most. In a first fragment the end of the payload is missing.
    #[inline]
    pub fn l4_bytes<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let bytes = frame.get(self.l4_offset()?..self.l3_end())?;
        if self.transport != Some(Transport::Udp) {
            return Some(bytes);
        }
        let len = UdpView::parse_cut(bytes).ok()?.len();
        Some(bytes.get(..len.into()).unwrap_or(bytes))
    }
}

#[inline]
fn inside_v4(l3: &[u8]) -> Result<Inside, HeaderError> {
    let ip = Ipv4View::parse(l3)?;
    let fragment = ip.fragment();
    let protocol = ip.protocol();
    let l4 = match protocol {
        IpProtocol::ICMPV4 if fragment.has_l4_header() => icmpv4(ip.payload())?,
        IpProtocol::ICMPV4 => L4::UNKNOWN,
        protocol => l4_of_either(protocol, fragment, ip.payload())?,
    };
    Ok(Inside {
        flow: FlowKey::V4 {
            src: ip.src(),
            dst: ip.dst(),
            protocol,
            ports: l4.ports,
        },
        fragment,
        transport: l4.transport,
        l4_offset: ip.header_len(),
        l4_header_len: l4.header_len,
        end: ip.header_len() + ip.payload().len(),
    })
}

#[inline]
fn inside_v6(l3: &[u8]) -> Result<Inside, HeaderError> {
    let ip = Ipv6View::parse(l3)?;
    let upper = ip.upper_layer()?;
    let fragment = upper.fragment();
    let l4 = match upper.protocol {
        IpProtocol::ICMPV6 if fragment.has_l4_header() => icmpv6(upper.bytes)?,
        IpProtocol::ICMPV6 => L4::UNKNOWN,
        protocol => l4_of_either(protocol, fragment, upper.bytes)?,
    };
    // All fragments of a packet must have one key, and only the first knows what stands behind
    // Destination Options that were fragmented too.
    let protocol = match upper.fragment_header {
        Some(header) if fragment.is_part() => header.next_header,
        _ => upper.protocol,
    };
    Ok(Inside {
        flow: FlowKey::V6 {
            src: ip.src(),
            dst: ip.dst(),
            protocol,
            ports: l4.ports,
        },
        fragment,
        transport: l4.transport,
        l4_offset: Ipv6View::LEN + upper.extensions_len,
        l4_header_len: l4.header_len,
        end: Ipv6View::LEN + ip.payload().len(),
    })
}

fn inside_other(ethernet: &EthernetView<'_>) -> Inside {
    Inside {
        flow: FlowKey::Link {
            src: ethernet.src(),
            dst: ethernet.dst(),
            ethertype: ethernet.ethertype(),
        },
        fragment: Fragment::Whole,
        transport: None,
        l4_offset: 0,
        l4_header_len: 0,
        end: ethernet.payload().len(),
    }
}

impl L4 {
    const UNKNOWN: Self = Self {
        transport: None,
        header_len: 0,
        ports: None,
    };
}

/// Checks the headers that are the same over both versions of IP.
#[inline]
fn l4_of_either(protocol: IpProtocol, fragment: Fragment, bytes: &[u8]) -> Result<L4, HeaderError> {
    let l4 = match (protocol, fragment) {
        (_, Fragment::Later) => L4::UNKNOWN,
        (IpProtocol::TCP, _) => {
            let tcp = TcpView::parse(bytes)?;
            L4 {
                transport: Some(Transport::Tcp),
                header_len: tcp.header_len(),
                ports: Some(L4Ports {
                    src: tcp.src_port(),
                    dst: tcp.dst_port(),
                }),
            }
        }
        (IpProtocol::UDP, _) => {
            let udp = match fragment {
                Fragment::Whole => UdpView::parse(bytes)?,
                Fragment::First | Fragment::Later => UdpView::parse_cut(bytes)?,
            };
            L4 {
                transport: Some(Transport::Udp),
                header_len: UdpView::LEN,
                ports: Some(L4Ports {
                    src: udp.src_port(),
                    dst: udp.dst_port(),
                }),
            }
        }
        _ => L4::UNKNOWN,
    };
    Ok(L4 {
        ports: l4.ports.filter(|_| !fragment.is_part()),
        ..l4
    })
}

fn icmpv4(bytes: &[u8]) -> Result<L4, HeaderError> {
    Icmpv4View::parse(bytes)?;
    Ok(L4 {
        transport: Some(Transport::Icmpv4),
        header_len: Icmpv4View::LEN,
        ports: None,
    })
}

fn icmpv6(bytes: &[u8]) -> Result<L4, HeaderError> {
    Icmpv6View::parse(bytes)?;
    Ok(L4 {
        transport: Some(Transport::Icmpv6),
        header_len: Icmpv6View::LEN,
        ports: None,
    })
}

/// Narrows an offset inside a frame. No device delivers a frame of 4 GiB; of one that long the
/// offsets would saturate, and the accessors that take a frame would find other bytes, not panic.
#[inline]
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeaderName;

    fn frame(ethertype: u16, packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
        frame.extend(ethertype.to_be_bytes());
        frame.extend(packet);
        frame
    }

    fn v4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let len = u8::try_from(20 + payload.len()).unwrap();
        let [high, low] = fragment.to_be_bytes();
        let mut packet = vec![0x45, 0, 0, len, 0, 1, high, low, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        frame(0x0800, &packet)
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let len = u8::try_from(payload.len()).unwrap();
        let mut packet = vec![0x60, 0, 0, 0, 0, len, next, 64];
        packet.extend([0xfd; 32]);
        packet.extend(payload);
        frame(0x86dd, &packet)
    }

    /// A datagram of 1000 bytes, of which 12 are here: 4660 > 22136.
    const UDP: [u8; 12] = [0x12, 0x34, 0x56, 0x78, 3, 0xe8, 0, 0, 1, 2, 3, 4];

    fn protocol_and_ports(frame: &[u8]) -> (Option<IpProtocol>, Option<L4Ports>) {
        let parsed = ParsedFrame::parse(frame).unwrap();
        (parsed.protocol(), parsed.flow().ports())
    }

    #[test]
    fn all_parts_of_a_packet_are_one_flow_without_ports() {
        let first = v4(17, 0x2000, &UDP);
        let later = v4(17, 0x2001, &UDP);
        let last = v4(17, 0x0002, &UDP[..5]);
        let parsed = [&first, &later, &last].map(|frame| ParsedFrame::parse(frame).unwrap());
        assert_eq!(parsed[0].flow(), parsed[1].flow());
        assert_eq!(parsed[0].flow(), parsed[2].flow());
        assert_eq!(parsed[0].flow().ports(), None);
        assert_eq!(parsed[0].transport(), Some(Transport::Udp));
        assert_eq!(parsed[0].payload_offset(), Some(42));
        assert_eq!(parsed[0].l4_bytes(&first), Some(&UDP[..]));
        assert_eq!(parsed[1].transport(), None);
        assert_eq!((parsed[1].l4_offset(), parsed[1].l3_end()), (None, 46));
    }

    #[test]
    fn ipv6_fragments_of_destination_options_are_one_flow_too() {
        let options = [17, 0, 1, 4, 0, 0, 0, 0];
        let first = [&[60, 0, 0, 1, 0, 0, 0, 9][..], &options, &UDP].concat();
        let later = [&[60, 0, 0, 9, 0, 0, 0, 9][..], &options, &UDP].concat();
        let (first, later) = (v6(44, &first), v6(44, &later));
        let want = (Some(IpProtocol::DESTINATION_OPTIONS), None);
        assert_eq!(protocol_and_ports(&first), want);
        assert_eq!(protocol_and_ports(&later), want);
        let first = ParsedFrame::parse(&first).unwrap();
        assert_eq!(first.transport(), Some(Transport::Udp));
        assert_eq!(first.l4_offset(), Some(14 + 40 + 16));
        assert_eq!(ParsedFrame::parse(&later).unwrap().transport(), None);
    }

    #[test]
    fn ports_are_never_guessed() {
        for protocol in [0, 4, 41, 47, 50, 51, 58, 59, 132, 253, 255] {
            let frame = v4(protocol, 0, &UDP);
            assert_eq!(
                protocol_and_ports(&frame),
                (Some(IpProtocol(protocol)), None)
            );
        }
        for next in [1, 4, 41, 47, 50, 59, 132, 253, 255] {
            assert_eq!(
                protocol_and_ports(&v6(next, &UDP)),
                (Some(IpProtocol(next)), None)
            );
        }
    }

    #[test]
    fn a_transport_header_that_does_not_fit_is_refused_in_a_first_fragment_too() {
        let udp = HeaderError::truncated(HeaderName::Udp, 1000, 12);
        assert_eq!(ParsedFrame::parse(&v4(17, 0, &UDP)), Err(udp));
        let tiny = HeaderError::truncated(HeaderName::Tcp, 20, 12);
        assert_eq!(ParsedFrame::parse(&v4(6, 0x2000, &UDP)), Err(tiny));
    }

    #[test]
    fn frames_that_are_not_ip_are_told_apart_by_their_stations() {
        let bytes = frame(0x0806, &[0xa5; 46]);
        let parsed = ParsedFrame::parse(&bytes).unwrap();
        assert_eq!(
            parsed.flow().to_string(),
            "ARP 02:00:00:00:00:02 > 02:00:00:00:00:03"
        );
        assert_eq!((parsed.l3_offset(), parsed.l3_end()), (14, 60));
        assert_eq!((parsed.protocol(), parsed.transport()), (None, None));
        assert_eq!(parsed.l4_bytes(&bytes), None);
        // LLC (spanning tree) is no IP, whatever its length field says.
        let parsed = ParsedFrame::parse(&frame(0x0026, &[0x42; 46])).unwrap();
        assert_eq!(parsed.network(), Network::Other);
    }

    #[test]
    fn offsets_are_harmless_on_another_frame() {
        let mut udp = UDP;
        udp[4..6].copy_from_slice(&12_u16.to_be_bytes());
        let bytes = v4(17, 0, &udp);
        let parsed = ParsedFrame::parse(&bytes).unwrap();
        assert_eq!(parsed.l4_bytes(&bytes), Some(&udp[..]));
        assert_eq!(parsed.l4_bytes(&bytes[..45]), None);
        assert_eq!(parsed.l4_bytes(&[0; 46]), None);
    }
}

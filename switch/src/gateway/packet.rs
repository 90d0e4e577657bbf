//! What the gateway reads of an IP packet before it decides, and what it refuses whoever it is for.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapweave_net::{FlowKey, Frame, IpProtocol, Ipv4View, Ipv6View, Network, ParsedFrame};

use super::refusal::Refusal;
use crate::DropReason;
use crate::head::Head;

/// An IP packet that may be forwarded, or is for the gateway.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// Bytes of the largest packet that the frame is or would be cut into.
    pub(super) len: usize,
    /// Whether a router may cut it: IPv4 without "don't fragment".
    pub(super) may_be_cut: bool,
    /// Its TTL or Hop Limit.
    pub(super) hops: u8,
}

impl Packet {
    /// Reads the packet of a frame.
    ///
    /// # Errors
    ///
    /// [`DropReason::GatewayProtocol`] when it is not IP, `GatewayMalformed`, `GatewaySourceRoute`,
    /// `BadOffload`.
    #[inline]
    pub(super) fn read(frame: &Frame<'_>, parsed: &ParsedFrame) -> Result<Self, DropReason> {
        let data = frame.data();
        let l3 = data.get(parsed.l3_offset()..).unwrap_or_default();
        let (may_be_cut, hops) = match parsed.network() {
            Network::V4 => {
                let ip = Ipv4View::parse(l3).map_err(|_cut| DropReason::GatewayMalformed)?;
                // RFC 1812 §5.2.2.
                if !ip.verify_checksum() {
                    return Err(DropReason::GatewayMalformed);
                }
                if ip.header_len() > Ipv4View::LEN && is_source_routed_v4(&ip) {
                    return Err(DropReason::GatewaySourceRoute);
                }
                (!ip.dont_fragment(), ip.ttl())
            }
            Network::V6 => {
                let ip = Ipv6View::parse(l3).map_err(|_cut| DropReason::GatewayMalformed)?;
                if !has_upper_layer_first(&ip) && is_source_routed_v6(&ip) {
                    return Err(DropReason::GatewaySourceRoute);
                }
                (false, ip.hop_limit())
            }
            Network::Other => return Err(DropReason::GatewayProtocol),
        };
        let (src, dst) = match *parsed.flow() {
            FlowKey::V4 { src, dst, .. } => (src.into(), dst.into()),
            FlowKey::V6 { src, dst, .. } => (src.into(), dst.into()),
            FlowKey::Link { .. } => return Err(DropReason::GatewayProtocol),
        };
        Ok(Self {
            src,
            dst,
            len: packet_len(frame, parsed)?,
            may_be_cut,
            hops,
        })
    }

    /// Tells whether the packet fits an MTU as it is or in fragments.
    ///
    /// # Errors
    ///
    /// A refusal that tells the sender the MTU.
    pub(super) fn check_size(&self, mtu: u16) -> Result<(), Refusal> {
        if self.len > usize::from(mtu) && !self.may_be_cut {
            return Err(Refusal::too_big(mtu));
        }
        Ok(())
    }
}

/// Returns the length of the largest packet, without the padding of a short frame.
#[inline]
fn packet_len(frame: &Frame<'_>, parsed: &ParsedFrame) -> Result<usize, DropReason> {
    let whole = parsed.l3_end() - parsed.l3_offset();
    if frame.offload().gso.is_none() {
        return Ok(whole);
    }
    let head = Head::parse(frame.data()).ok_or(DropReason::GatewayMalformed)?;
    Ok(head.packet_len(frame.data(), frame.offload())?.min(whole))
}

/// Tells whether an address is one that packets are forwarded from and to: that of one host, of more than
/// one link (RFC 1812 §5.3.7, RFC 4291 §2.5, §2.7).
#[inline]
pub(super) fn is_forwardable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_forwardable_v4(address),
        IpAddr::V6(address) => is_forwardable_v6(address),
    }
}

/// Not 0/8, 127/8, 169.254/16, 224/4 or 240/4.
const fn is_forwardable_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    !(matches!(first, 0 | 127 | 224..) || matches!((first, second), (169, 254)))
}

/// Not `::`, `::1`, IPv4 in disguise, `fe80::/10` or a group.
fn is_forwardable_v6(address: Ipv6Addr) -> bool {
    let [first, ..] = address.octets();
    !(address.to_bits() >> 32 == 0
        || address.to_ipv4_mapped().is_some()
        || address.is_unicast_link_local()
        || first == 0xff)
}

/// Loose and strict source routes (RFC 791 §3.1).
fn is_source_routed_v4(ip: &Ipv4View<'_>) -> bool {
    ip.options()
        .flatten()
        .any(|option| matches!(option.kind, 131 | 137))
}

#[inline]
fn has_upper_layer_first(ip: &Ipv6View<'_>) -> bool {
    matches!(
        ip.next_header(),
        IpProtocol::TCP | IpProtocol::UDP | IpProtocol::ICMPV6
    )
}

/// Tells whether a Routing header has a way to go (RFC 8200 §4.4; type 0 is dead by RFC 5095).
fn is_source_routed_v6(ip: &Ipv6View<'_>) -> bool {
    /// Where its Segments Left stands.
    const SEGMENTS_LEFT: usize = 3;
    ip.extensions().flatten().any(|extension| {
        extension.kind == IpProtocol::ROUTING
            && extension
                .bytes
                .get(SEGMENTS_LEFT)
                .is_some_and(|left| *left > 0)
    })
}

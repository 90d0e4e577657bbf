//! The encapsulations, and what each costs in bytes.
//!
//! ```text
//!                                     ┌──── what we write ────┐
//! vxlan  │ outer IP │ UDP, 8 │ VXLAN, 8 │ inner Ethernet, 14 │ inner IP …
//! fou    │ outer IP │ UDP, 8 │ inner IP …        the port tells which IP
//! gue    │ outer IP │ UDP, 8 │ inner IP …        variant 1: the version nibble tells which IP
//! ipip   │ outer IP │ inner IP …                 the outer protocol tells which IP: 4 or 41
//! ```
//!
//! The outer IP header takes 20 bytes over IPv4 and 40 over IPv6: we send neither options nor
//! extension headers, so not the Tunnel Encapsulation Limit of RFC 2473 §4.1.1 either. A kernel at
//! the other end of IP in IPv6 has to be told the same (`encaplimit none`), or its packets are 8
//! bytes longer.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use tapweave_net::{EthernetView, Ipv4View, Ipv6View, UdpView, VlanTag};
use thiserror::Error;

use crate::{DatagramRun, TagPolicy, VxlanHeader};

/// How packets travel between two hosts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EncapKind {
    /// Ethernet in VXLAN in UDP (RFC 7348).
    Vxlan,
    /// IP in UDP, "foo over UDP" of Linux: the port alone says that it is IP.
    Fou,
    /// IP in UDP by the Generic UDP Encapsulation, variant 1 (draft-ietf-intarea-gue §4).
    Gue,
    /// IP in IP (RFC 2003, RFC 4213, RFC 2473).
    Ipip,
}

/// What a tunnel carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Layer {
    /// Ethernet frames.
    Link,
    /// IP packets.
    Network,
}

/// The IP that carries a tunnel between hosts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Underlay {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// How the UDP checksum of the outer packet is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum OuterChecksum {
    /// Zero: there is none.
    Zero,
    /// Computed over the whole datagram.
    Full,
}

/// A text is not the name of an encapsulation.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{text:?} is not an encapsulation (vxlan, fou, gue or ipip)")]
pub struct EncapKindError {
    text: String,
}

impl EncapKind {
    /// All encapsulations.
    pub const ALL: [Self; 4] = [Self::Vxlan, Self::Fou, Self::Gue, Self::Ipip];

    /// Returns the name that users give it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Fou => "fou",
            Self::Gue => "gue",
            Self::Ipip => "ipip",
        }
    }

    /// Returns what it carries.
    pub const fn layer(self) -> Layer {
        match self {
            Self::Vxlan => Layer::Link,
            Self::Fou | Self::Gue | Self::Ipip => Layer::Network,
        }
    }

    /// Returns the UDP port on which peers listen if nothing else is said: those of IANA for VXLAN
    /// and GUE; 5555 for FOU, which has none. `None` when there is no UDP.
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Self::Vxlan => Some(4789),
            Self::Fou => Some(5555),
            Self::Gue => Some(6080),
            Self::Ipip => None,
        }
    }

    /// Returns how the outer UDP checksum is sent if nothing else is said.
    ///
    /// Over IPv4 it is zero (RFC 7348 §5). Over IPv6 it is full, because what it protects there,
    /// the addresses, has no other checksum; zero is a choice for those who know their network (RFC
    /// 6935 §5, RFC 6936 §5). What is received with a zero checksum is accepted in either case.
    pub const fn default_checksum(underlay: Underlay) -> OuterChecksum {
        match underlay {
            Underlay::V4 => OuterChecksum::Zero,
            Underlay::V6 => OuterChecksum::Full,
        }
    }

    /// Returns the bytes between the outer IP header and the inner packet or frame.
    pub const fn header_len(self) -> u16 {
        match self {
            Self::Vxlan => UDP_LEN + VXLAN_LEN,
            Self::Fou | Self::Gue => UDP_LEN,
            Self::Ipip => 0,
        }
    }

    /// Returns the bytes of an outer packet that are not the inner IP packet. A VLAN tag in the
    /// inner frame comes on top.
    pub const fn overhead(self, underlay: Underlay) -> u16 {
        let link_len = match self.layer() {
            Layer::Link => ETHERNET_LEN,
            Layer::Network => 0,
        };
        underlay.header_len() + self.header_len() + link_len
    }

    /// Returns how many segments of a super-frame of inner packets of `mtu` bytes fit one message, `None`
    /// where each is sent by itself. A super-frame of more takes two.
    pub const fn segments_a_message(self, mtu: u16) -> Option<usize> {
        if matches!(self, Self::Ipip) {
            return None;
        }
        let carried_len = self.overhead(Underlay::V4) - IPV4_LEN - UDP_LEN;
        match DatagramRun::max_count(carried_len as usize + mtu as usize) {
            0 => None,
            count => Some(count),
        }
    }

    /// Returns the largest inner IP packet that fits a path which takes outer packets of `path_mtu`
    /// bytes, tags as `tags` lets them through included. `None` when not even an empty one does.
    pub const fn inner_mtu(
        self,
        underlay: Underlay,
        path_mtu: u16,
        tags: TagPolicy,
    ) -> Option<u16> {
        let tag_len = match (self.layer(), tags) {
            (Layer::Link, TagPolicy::Pass) => VLAN_TAG_LEN,
            (Layer::Link, TagPolicy::Refuse) | (Layer::Network, _) => 0,
        };
        match path_mtu.checked_sub(self.overhead(underlay) + tag_len) {
            Some(0) | None => None,
            mtu => mtu,
        }
    }
}

impl Underlay {
    /// Returns the family of `addr`; that of the inner address if it is an IPv4-mapped IPv6
    /// address.
    pub fn of(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Returns the bytes of the outer IP header.
    pub const fn header_len(self) -> u16 {
        match self {
            Self::V4 => IPV4_LEN,
            Self::V6 => IPV6_LEN,
        }
    }

    /// Returns the smallest path MTU that is believed: what every host takes in one packet (RFC 791
    /// §3.1: 576; RFC 8200 §5: 1280). Below, a forged ICMP message costs more than it helps.
    pub const fn min_path_mtu(self) -> u16 {
        match self {
            Self::V4 => 576,
            Self::V6 => 1280,
        }
    }
}

impl fmt::Display for EncapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EncapKind {
    type Err = EncapKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| EncapKindError {
            text: text.to_owned(),
        })
    }
}

const IPV4_LEN: u16 = 20;
const IPV6_LEN: u16 = 40;
const UDP_LEN: u16 = 8;
const VXLAN_LEN: u16 = 8;
const ETHERNET_LEN: u16 = 14;
const VLAN_TAG_LEN: u16 = 4;

// What this file counts is what the codecs write.
const _: () = {
    assert!(IPV4_LEN as usize == Ipv4View::LEN && IPV6_LEN as usize == Ipv6View::LEN);
    assert!(UDP_LEN as usize == UdpView::LEN && VXLAN_LEN as usize == VxlanHeader::LEN);
    assert!(ETHERNET_LEN as usize == EthernetView::LEN);
    assert!(VLAN_TAG_LEN as usize == VlanTag::LEN);
};

// The figures that users know, on an underlay of 1500 bytes.
const _: () = {
    use Underlay::{V4, V6};
    assert!(EncapKind::Vxlan.overhead(V4) == 50 && leaves(EncapKind::Vxlan, V4) == 1450);
    assert!(EncapKind::Vxlan.overhead(V6) == 70 && leaves(EncapKind::Vxlan, V6) == 1430);
    assert!(EncapKind::Fou.overhead(V4) == 28 && leaves(EncapKind::Fou, V4) == 1472);
    assert!(EncapKind::Fou.overhead(V6) == 48 && leaves(EncapKind::Fou, V6) == 1452);
    assert!(EncapKind::Gue.overhead(V4) == 28 && leaves(EncapKind::Gue, V4) == 1472);
    assert!(EncapKind::Gue.overhead(V6) == 48 && leaves(EncapKind::Gue, V6) == 1452);
    assert!(EncapKind::Ipip.overhead(V4) == 20 && leaves(EncapKind::Ipip, V4) == 1480);
    assert!(EncapKind::Ipip.overhead(V6) == 40 && leaves(EncapKind::Ipip, V6) == 1460);
};

const fn leaves(kind: EncapKind, underlay: Underlay) -> u16 {
    match kind.inner_mtu(underlay, 1500, TagPolicy::Refuse) {
        Some(mtu) => mtu,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_were_written() {
        for kind in EncapKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let refused = "geneve".parse::<EncapKind>().unwrap_err().to_string();
        assert_eq!(
            refused,
            "\"geneve\" is not an encapsulation (vxlan, fou, gue or ipip)"
        );
    }

    #[test]
    fn tags_take_room_only_where_they_are_carried() {
        let pass = |kind: EncapKind| kind.inner_mtu(Underlay::V4, 9000, TagPolicy::Pass);
        assert_eq!(pass(EncapKind::Vxlan), Some(8946));
        assert_eq!(pass(EncapKind::Gue), Some(8972));
    }

    #[test]
    fn a_message_takes_as_many_segments_as_a_datagram_has_room_for() {
        let counts = |mtu| EncapKind::ALL.map(|kind| kind.segments_a_message(mtu));
        assert_eq!(counts(1450), [Some(44), Some(45), Some(45), None]);
        assert_eq!(counts(1472), [Some(43), Some(44), Some(44), None]);
        assert_eq!(counts(8950), [Some(7), Some(7), Some(7), None]);
        assert_eq!(counts(500), [Some(64), Some(64), Some(64), None]);
        assert_eq!(counts(u16::MAX), [None; 4]);
    }

    #[test]
    fn a_path_that_is_narrower_than_the_headers_has_no_mtu() {
        let vxlan = |mtu| EncapKind::Vxlan.inner_mtu(Underlay::V4, mtu, TagPolicy::Refuse);
        assert_eq!((vxlan(0), vxlan(50), vxlan(51)), (None, None, Some(1)));
    }

    #[test]
    fn a_mapped_address_is_of_the_family_that_carries_it() {
        assert_eq!(
            Underlay::of("::ffff:192.0.2.1".parse().unwrap()),
            Underlay::V4
        );
        assert_eq!(Underlay::of("2001:db8::1".parse().unwrap()), Underlay::V6);
    }
}

//! What inner and outer IP header have to do with each other: DSCP, ECN, hops.
//!
//! RFC 2983 §3 knows two models for the DSCP, which we offer:
//!
//! - *Uniform*: there is one value. It is copied out where a packet enters and back where it
//!   leaves, so that a router on the way can change it for the rest of the journey.
//! - *Pipe*: there are two. The outer one is what the tunnel's owner says, the inner one comes out
//!   as it went in.
//!
//! The outer hop limit counts the hops of the underlay. It may begin with that of the inner packet,
//! but what is left of it is never copied back (RFC 2003 §3.1: a tunnel is one hop).

use core::num::NonZeroU8;

use tapweave_net::{Ipv4Mut, Ipv4View, Ipv6Mut, Ipv6View, Network};

use crate::{Dscp, Ecn, EcnMode, Inner, Refusal, TrafficClass, ecn};

/// What inner and outer IP header have to do with each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Marking {
    /// The DSCP.
    pub dscp: DscpModel,
    /// ECN at the ingress; at the egress there is no choice.
    pub ecn: EcnMode,
    /// The outer TTL or Hop Limit.
    pub hop_limit: HopLimit,
}

/// The models of RFC 2983 §3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DscpModel {
    /// One value, copied out and in.
    Uniform,
    /// The outer value is this one.
    Pipe(Dscp),
}

/// Where the outer TTL or Hop Limit comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum HopLimit {
    /// From the inner packet; [`HopLimit::DEFAULT`] for frames that are not IP.
    Inherit,
    /// It is this one.
    Fixed(NonZeroU8),
}

impl HopLimit {
    /// What hosts start with (IANA, *IP Option Numbers*: default TTL).
    pub const DEFAULT: NonZeroU8 = NonZeroU8::MIN.saturating_add(63);

    const fn outer(self, inner: Option<u8>) -> u8 {
        match (self, inner) {
            (Self::Fixed(hops), _) => hops.get(),
            (Self::Inherit, Some(0)) => 1,
            (Self::Inherit, Some(hops)) => hops,
            (Self::Inherit, None) => Self::DEFAULT.get(),
        }
    }
}

impl Default for Marking {
    /// What the kernel's tunnels do: pipe with best effort, ECN shown, 64 hops.
    fn default() -> Self {
        Self {
            dscp: DscpModel::Pipe(Dscp::DEFAULT),
            ecn: EcnMode::Normal,
            hop_limit: HopLimit::Fixed(HopLimit::DEFAULT),
        }
    }
}

impl Marking {
    /// Returns the outer traffic class. A frame that is not IP counts as best effort and Not-ECT.
    #[inline]
    pub fn outer_class(&self, inner: &Inner) -> TrafficClass {
        let inner = inner.class().unwrap_or_default();
        TrafficClass {
            dscp: match self.dscp {
                DscpModel::Uniform => inner.dscp,
                DscpModel::Pipe(dscp) => dscp,
            },
            ecn: self.ecn.outer(inner.ecn),
        }
    }

    /// Returns the outer TTL or Hop Limit, never zero.
    #[inline]
    pub fn outer_hop_limit(&self, inner: &Inner) -> u8 {
        self.hop_limit.outer(inner.hop_limit())
    }

    /// Brings what the outer header tells into the inner packet that starts at `l3[0]`. A packet
    /// whose header cannot be read is left alone. A header checksum follows the change.
    ///
    /// # Errors
    ///
    /// [`Refusal::EcnDrop`]: see [`ecn::decapsulated`].
    #[inline]
    pub fn bring_in(
        &self,
        network: Network,
        l3: &mut [u8],
        outer: TrafficClass,
    ) -> Result<(), Refusal> {
        // Nothing to tell: by far the most packets.
        if outer.ecn == Ecn::NotEct && matches!(self.dscp, DscpModel::Pipe(_)) {
            return Ok(());
        }
        let Some(inner) = class_of(network, l3) else {
            return Ok(());
        };
        let class = TrafficClass {
            dscp: match self.dscp {
                DscpModel::Uniform => outer.dscp,
                DscpModel::Pipe(_) => inner.dscp,
            },
            ecn: ecn::decapsulated(inner.ecn, outer.ecn)?,
        };
        if class != inner {
            remark(network, l3, class);
        }
        Ok(())
    }
}

/// Returns the traffic class of the packet at `l3[0]`.
#[inline]
pub(crate) fn class_of(network: Network, l3: &[u8]) -> Option<TrafficClass> {
    let octet = match network {
        Network::V4 => Ipv4View::parse_quoted(l3).ok()?.traffic_class(),
        Network::V6 => Ipv6View::parse_quoted(l3).ok()?.traffic_class(),
        Network::Other => return None,
    };
    Some(TrafficClass::from_u8(octet))
}

fn remark(network: Network, l3: &mut [u8], class: TrafficClass) {
    match network {
        Network::V4 => {
            if let Ok(mut ip) = Ipv4Mut::parse(l3) {
                ip.remark(class.to_u8());
            }
        }
        Network::V6 => {
            if let Ok(mut ip) = Ipv6Mut::parse(l3) {
                ip.set_traffic_class(class.to_u8());
            }
        }
        Network::Other => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EF: u8 = 46 << 2;

    fn v4(class: u8) -> Vec<u8> {
        let mut packet = vec![0x45, class, 0, 20, 0, 1, 0x40, 0, 9, 59, 0, 0];
        packet.extend([10, 0, 0, 2, 10, 0, 0, 3]);
        Ipv4Mut::parse(&mut packet).unwrap().fill_checksum();
        packet
    }

    fn v6(class: u8) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, 59, 9];
        packet.extend([0xfd; 32]);
        Ipv6Mut::parse(&mut packet)
            .unwrap()
            .set_traffic_class(class);
        packet
    }

    fn inner(ethertype: [u8; 2], packet: &[u8]) -> Inner {
        let macs = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
        Inner::parse(&[&macs, &ethertype[..], packet].concat(), 7).unwrap()
    }

    const UNIFORM: Marking = Marking {
        dscp: DscpModel::Uniform,
        ecn: EcnMode::Normal,
        hop_limit: HopLimit::Inherit,
    };

    #[test]
    fn a_pipe_shows_its_own_dscp_and_hop_limit_and_the_inner_ecn() {
        let marking = Marking {
            dscp: DscpModel::Pipe(Dscp::new(8).unwrap()),
            ..Marking::default()
        };
        for inner in [
            inner([0x08, 0x00], &v4(EF | 2)),
            inner([0x86, 0xdd], &v6(EF | 2)),
        ] {
            assert_eq!(marking.outer_class(&inner).to_u8(), 8 << 2 | 2);
            assert_eq!(marking.outer_hop_limit(&inner), 64);
        }
    }

    #[test]
    fn a_uniform_tunnel_shows_what_the_packet_has() {
        for inner in [
            inner([0x08, 0x00], &v4(EF | 1)),
            inner([0x86, 0xdd], &v6(EF | 1)),
        ] {
            assert_eq!(UNIFORM.outer_class(&inner).to_u8(), EF | 1);
            assert_eq!(UNIFORM.outer_hop_limit(&inner), 9);
        }
    }

    #[test]
    fn a_frame_that_is_not_ip_is_best_effort() {
        let arp = inner([0x08, 0x06], &[0xa5; 28]);
        assert_eq!(UNIFORM.outer_class(&arp).to_u8(), 0);
        assert_eq!(UNIFORM.outer_hop_limit(&arp), 64);
    }

    #[test]
    fn a_packet_without_hops_left_is_not_sent_with_none() {
        assert_eq!(HopLimit::Inherit.outer(Some(0)), 1);
        assert_eq!(HopLimit::DEFAULT.get(), 64);
    }

    #[test]
    fn marks_come_in_and_the_header_checksum_follows() {
        for (marking, outer, want) in [
            (Marking::default(), 0, EF | 2),
            (Marking::default(), 8 << 2 | 3, EF | 3),
            (Marking::default(), 8 << 2 | 1, EF | 1),
            (UNIFORM, 8 << 2 | 3, 8 << 2 | 3),
            (UNIFORM, 8 << 2, 8 << 2 | 2),
        ] {
            let outer = TrafficClass::from_u8(outer);
            let mut packet = v4(EF | 2);
            marking.bring_in(Network::V4, &mut packet, outer).unwrap();
            let view = Ipv4View::parse(&packet).unwrap();
            assert_eq!(view.traffic_class(), want);
            assert!(view.verify_checksum());
            let mut packet = v6(EF | 2);
            marking.bring_in(Network::V6, &mut packet, outer).unwrap();
            assert_eq!(packet, v6(want));
        }
    }

    #[test]
    fn congestion_that_cannot_be_told_is_a_loss() {
        let outer = TrafficClass::from_u8(3);
        for (network, mut packet) in [(Network::V4, v4(EF)), (Network::V6, v6(EF))] {
            let refused = Marking::default().bring_in(network, &mut packet, outer);
            assert_eq!(refused, Err(Refusal::EcnDrop));
        }
    }

    #[test]
    fn what_is_no_readable_packet_is_left_alone() {
        let outer = TrafficClass::from_u8(3);
        for network in [Network::V4, Network::V6, Network::Other] {
            let mut packet = [0xa5; 12];
            UNIFORM.bring_in(network, &mut packet, outer).unwrap();
            assert_eq!(packet, [0xa5; 12]);
        }
    }
}

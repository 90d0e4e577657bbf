//! Neighbor Discovery: who a sandbox says has an address, and that it is no router.
//!
//! What a receiver believes (RFC 4861 §7.2.3, §7.2.5, §6.1):
//!
//! - a solicitation's source address is at the MAC of its Source Link-Layer Address option;
//! - an advertisement's target is at the MAC of its Target Link-Layer Address option;
//! - a Router Advertisement and a Redirect come from a router.
//!
//! The source address was checked before, so the target and the options remain. A solicitation from
//! `::` asks whether an address is free ("DAD", RFC 4862 §5.4.2). It teaches nothing and passes
//! whatever it asks for.
//!
//! Hop limit and code are not looked at: a receiver discards the message if they are wrong, so refusing
//! it all the same harms nobody.

use tapweave_net::{Icmpv6Type, Icmpv6View, IpProtocol, Ipv6View, NdMessage, NdOption, UpperLayer};

use super::Guard;
use crate::DropReason;

/// Router Renumbering (RFC 2894).
const ROUTER_RENUMBERING: Icmpv6Type = Icmpv6Type(138);
/// Inverse Neighbor Discovery (RFC 3122), which maps MACs to addresses.
const INVERSE_SOLICITATION: Icmpv6Type = Icmpv6Type(141);
const INVERSE_ADVERTISEMENT: Icmpv6Type = Icmpv6Type(142);
/// Messages of listeners to groups (RFC 2710, RFC 3810).
const LISTENER_REPORT: Icmpv6Type = Icmpv6Type(131);
const LISTENER_DONE: Icmpv6Type = Icmpv6Type(132);
const LISTENER_REPORT_V2: Icmpv6Type = Icmpv6Type(143);

/// Link-layer address options, whatever their length.
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// Checks an ICMP message for IPv6 from a source that the endpoint may use or from `::`.
pub(super) fn check(
    guard: &Guard,
    ip: &Ipv6View<'_>,
    upper: &UpperLayer<'_>,
) -> Result<(), DropReason> {
    let icmp = Icmpv6View::parse(upper.bytes).map_err(|_cut| DropReason::GuardMalformed)?;
    match icmp.kind() {
        Icmpv6Type::ROUTER_ADVERTISEMENT | Icmpv6Type::REDIRECT | ROUTER_RENUMBERING => {
            Err(DropReason::GuardRouter)
        }
        INVERSE_SOLICITATION | INVERSE_ADVERTISEMENT => Err(DropReason::GuardNd),
        kind if !kind.is_neighbor_discovery() => Ok(()),
        _ if upper.fragment_header.is_some() => Err(DropReason::GuardNd),
        _ => {
            if NdMessage::parse(&icmp).is_ok_and(|message| is_own(guard, ip, &message)) {
                Ok(())
            } else {
                Err(DropReason::GuardNd)
            }
        }
    }
}

/// Checks a packet whose source is not the endpoint's: it may come from `::` and be one that a host
/// without an address sends.
///
/// # Errors
///
/// [`DropReason::GuardIpv6`] for every other packet.
#[cold]
pub(super) fn check_from_nobody(
    ip: &Ipv6View<'_>,
    upper: &UpperLayer<'_>,
) -> Result<(), DropReason> {
    let is_whole_icmp = upper.protocol == IpProtocol::ICMPV6 && upper.fragment_header.is_none();
    let kind = Icmpv6View::parse(upper.bytes).map(|icmp| icmp.kind());
    // To a group all of them (RFC 4861 §4.1, §7.1.1; RFC 3590 §4).
    let is_allowed = ip.src().is_unspecified()
        && ip.dst().is_multicast()
        && is_whole_icmp
        && matches!(
            kind,
            Ok(Icmpv6Type::NEIGHBOR_SOLICITATION
                | Icmpv6Type::ROUTER_SOLICITATION
                | LISTENER_REPORT
                | LISTENER_DONE
                | LISTENER_REPORT_V2)
        );
    if is_allowed {
        Ok(())
    } else {
        Err(DropReason::GuardIpv6)
    }
}

/// Tells whether a message of a host speaks of the endpoint only.
fn is_own(guard: &Guard, ip: &Ipv6View<'_>, message: &NdMessage<'_>) -> bool {
    let speaks_for_itself = match message {
        NdMessage::NeighborAdvertisement { target, .. } => guard.owned.has_v6(*target),
        NdMessage::NeighborSolicitation { target, .. } => !target.is_multicast(),
        NdMessage::RouterSolicitation { .. } => true,
        NdMessage::RouterAdvertisement(_) | NdMessage::Redirect { .. } => false,
    };
    let is_from_nobody = ip.src().is_unspecified();
    let mut options = message.options();
    speaks_for_itself
        && options.all(|option| match option {
            // From `::` there must be none (RFC 4861 §4.1, §4.3).
            Ok(NdOption::SourceLinkLayer(mac) | NdOption::TargetLinkLayer(mac)) => {
                mac == guard.mac && !is_from_nobody
            }
            // Of another length than a MAC's, which some receivers may not mind.
            Ok(NdOption::Other { kind, .. }) => {
                !matches!(kind, SOURCE_LINK_LAYER | TARGET_LINK_LAYER)
            }
            Ok(NdOption::Prefix(_) | NdOption::RedirectedHeader(_) | NdOption::Mtu(_)) => true,
            Err(_) => false,
        })
}

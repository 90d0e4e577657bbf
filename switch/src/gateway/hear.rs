//! What a neighbour says of itself in ARP and Neighbor Discovery: where it is.

use core::net::IpAddr;

use tapweave_net::checksum::{Verification, verify_transport};
use tapweave_net::{
    ArpOperation, ArpPacket, ChecksumOffload, EtherType, Fragment, Frame, Icmpv6Type, Icmpv6View,
    Ipv6View, MacAddr, NdMessage, NdOption, Network, ParsedFrame, Transport,
};

use super::neighbor::Claim;

/// A packet that was forwarded has less (RFC 4861 §7.1, §6.1).
const ND_HOP_LIMIT: u8 = 255;

/// A neighbour and its MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    pub(super) address: IpAddr,
    pub(super) mac: MacAddr,
    pub(super) claim: Claim,
}

/// Reads what an ARP packet says of its sender. A probe says nothing.
pub(super) fn hear_arp(frame: &Frame<'_>, parsed: &ParsedFrame) -> Option<Heard> {
    if parsed.ethertype() != EtherType::ARP {
        return None;
    }
    let arp = ArpPacket::parse(frame.data().get(parsed.l3_offset()..)?).ok()?;
    let claim = match arp.operation {
        ArpOperation::Request if !arp.is_announcement() => Claim::Asked,
        ArpOperation::Request | ArpOperation::Reply => Claim::Answered,
        ArpOperation::Other(_) => return None,
    };
    let is_station = arp.sender_mac.is_station() && !arp.sender_ip.is_unspecified();
    is_station.then_some(Heard {
        address: arp.sender_ip.into(),
        mac: arp.sender_mac,
        claim,
    })
}

/// A message of Neighbor Discovery that is valid so far as all of them are alike.
pub(crate) fn valid_nd<'a>(
    frame: &'a Frame<'_>,
    parsed: &ParsedFrame,
) -> Option<(Ipv6View<'a>, NdMessage<'a>)> {
    let is_nd = parsed.network() == Network::V6
        && parsed.transport() == Some(Transport::Icmpv6)
        && parsed.fragment() == Fragment::Whole;
    if !is_nd {
        return None;
    }
    let ip = Ipv6View::parse(frame.data().get(parsed.l3_offset()..)?).ok()?;
    let icmp = Icmpv6View::parse(parsed.l4_bytes(frame.data())?).ok()?;
    let is_partial = matches!(frame.offload().checksum, ChecksumOffload::Partial { .. });
    let is_valid = ip.hop_limit() == ND_HOP_LIMIT
        && icmp.code() == 0
        && icmp.kind() != Icmpv6Type::REDIRECT
        && (is_partial || verify_transport(frame.data(), parsed) == Verification::Right);
    if !is_valid {
        return None;
    }
    let message = NdMessage::parse(&icmp).ok()?;
    let is_whole = message.options().all(|option| option.is_ok());
    is_whole.then_some((ip, message))
}

/// Reads what a solicitation says of its sender and an advertisement of its target (RFC 4861 §7.2.3,
/// §7.2.5): without a MAC address nothing.
pub(super) fn hear_nd(ip: &Ipv6View<'_>, message: &NdMessage<'_>) -> Option<Heard> {
    let mac_of = |wanted: fn(NdOption<'_>) -> Option<MacAddr>| {
        let found = message.options().flatten().find_map(wanted);
        found.filter(|mac| mac.is_station())
    };
    match message {
        NdMessage::NeighborSolicitation { .. } if !ip.src().is_unspecified() => {
            let mac = mac_of(|option| match option {
                NdOption::SourceLinkLayer(mac) => Some(mac),
                NdOption::TargetLinkLayer(_)
                | NdOption::Prefix(_)
                | NdOption::RedirectedHeader(_)
                | NdOption::Mtu(_)
                | NdOption::Other { .. } => None,
            })?;
            Some(Heard {
                address: ip.src().into(),
                mac,
                claim: Claim::Asked,
            })
        }
        NdMessage::NeighborAdvertisement { target, flags, .. } => {
            let mac = mac_of(|option| match option {
                NdOption::TargetLinkLayer(mac) => Some(mac),
                NdOption::SourceLinkLayer(_)
                | NdOption::Prefix(_)
                | NdOption::RedirectedHeader(_)
                | NdOption::Mtu(_)
                | NdOption::Other { .. } => None,
            })?;
            Some(Heard {
                address: (*target).into(),
                mac,
                claim: if flags.overriding {
                    Claim::Answered
                } else {
                    Claim::AnsweredGently
                },
            })
        }
        NdMessage::NeighborSolicitation { .. }
        | NdMessage::RouterSolicitation { .. }
        | NdMessage::RouterAdvertisement(_)
        | NdMessage::Redirect { .. } => None,
    }
}

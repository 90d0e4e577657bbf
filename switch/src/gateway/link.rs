//! What the gateway and an uplink do alike on their link: say where they are, and hear where others are.

use core::net::IpAddr;

use tapweave_net::{
    EtherType, Frame, MacAddr, NdMessage, NeighborQuestion, ParsedFrame, Timestamp, Vid,
};

use super::answer::answer_neighbor;
use super::hear::{Heard, hear_arp, hear_nd, valid_nd};
use super::neighbor::{Neighbors, Place};
use super::prefix::bits;
use super::step::GatewayStep;
use super::way::Use;

/// One end of a link: whose addresses, and who is there.
pub(super) struct Link<'a> {
    pub(super) mac: MacAddr,
    pub(super) neighbors: &'a Neighbors,
    /// The VLAN of the frame.
    pub(super) vid: Option<Vid>,
}

/// What became of a message of ARP or Neighbor Discovery.
pub(super) enum Dealt {
    /// It is none, or none that concerns us.
    No,
    /// It is answered: the frame is the answer now.
    Answered(GatewayStep),
    /// It was heard, and that was all.
    Heard(GatewayStep),
    /// A host looks for routers.
    Solicited,
}

impl Link<'_> {
    /// Deals with an ARP packet, or with a message of Neighbor Discovery; `has` tells which addresses are ours,
    /// `may_be` whose words count.
    pub(super) fn deal(
        &self,
        frame: &mut Frame<'_>,
        parsed: &ParsedFrame,
        (now, use_): (Timestamp, Use),
        has: impl Fn(IpAddr) -> bool,
        may_be: impl Fn(IpAddr) -> bool,
    ) -> Dealt {
        let (heard, is_solicitation) = match parsed.ethertype() {
            EtherType::ARP => (hear_arp(frame, parsed), false),
            EtherType::IPV6 => match valid_nd(frame, parsed) {
                Some((ip, message)) => {
                    let is_for_routers = matches!(message, NdMessage::RouterSolicitation { .. });
                    (hear_nd(&ip, &message), is_for_routers)
                }
                None => return Dealt::No,
            },
            _ => return Dealt::No,
        };
        if is_solicitation {
            return Dealt::Solicited;
        }
        let heard = heard.filter(|heard| may_be(heard.address) && !has(heard.address));
        if let (
            Some(Heard {
                address,
                mac,
                claim,
            }),
            Use::Packet,
        ) = (heard, use_)
        {
            let place = Place { mac, vid: self.vid };
            self.neighbors.hear(bits(address), place, claim, now);
        }
        let checksum = frame.offload().checksum;
        let question = NeighborQuestion::read_or_probe(frame.data(), parsed, checksum);
        if let Some(question) = question.filter(|question| has(question.target))
            && answer_neighbor(&question, frame, parsed, self.mac)
        {
            return Dealt::Answered(GatewayStep::Neighbor {
                target: question.target,
            });
        }
        match heard {
            Some(heard) => Dealt::Heard(GatewayStep::Heard {
                neighbor: heard.address,
                mac: heard.mac,
            }),
            None => Dealt::No,
        }
    }
}

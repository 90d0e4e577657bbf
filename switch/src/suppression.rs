//! Questions for neighbours that the switch answers itself: ARP and ND suppression.
//!
//! The decision asks this file about every frame to a group that comes from a port of this host, in networks that
//! want it ([`Suppression::On`](crate::Suppression::On)). It knows no tunnel: that hosts far away are spared the
//! question is why overlays want it.
//!
//! # Theory of operation
//!
//! A question is answered when its target is known from the control side: the endpoint of a port, or a static
//! neighbour ([`Hosts`](crate::gateway::Hosts)). Nothing is learned from ARP or Neighbor Discovery for this, so a
//! station can make the switch say nothing false. The model is RFC 9161; where the choice is between an answer and a
//! flood, the flood is right in any case, and so these are flooded as they were:
//!
//! - questions for addresses that nobody is known to have;
//! - probes of duplicate address detection, announcements, and questions of who has the address itself: the
//!   owner must hear of the first two, and nobody should be told that its address is taken by itself;
//! - questions whose asker gives another MAC address than the frame comes from: a bridge or a forger, and an
//!   answer would go to the wrong one of both;
//! - questions for a station on the asker's own port, which hears them without us;
//! - questions of a port that is kept from the one where the station is (`icc=false`): it could not reach it, and
//!   the flood does not either;
//! - questions for the IPv6 address of an endpoint that may call itself a router: hosts forget a router that is
//!   called none (RFC 4861 §7.2.5), and whether it is one is not known;
//! - solicitations behind extension headers: what is read first is at a fixed place, since every broadcast pays.
//!
//! Questions to the MAC address of one station (unreachability detection, RFC 4861 §7.3.3) are for that station to
//! answer, and never come here. Of questions from other hosts the answer is known over there, or they flood.
//!
//! A static neighbour is known outside of VLANs, an endpoint in the VLAN of its port's untagged frames.

use core::net::IpAddr;

use tapweave_net::{
    EtherType, Frame, Icmpv6Type, IpProtocol, Ipv6View, NeighborAnswer, NeighborQuestion,
    ParsedFrame, PortNo, Timestamp,
};

use crate::gateway::Known;
use crate::head::Head;
use crate::pipeline::Pipeline;
use crate::snapshot::{Port, Snapshot};
use crate::{EgressPort, FrameVlan, Isolation, Suppression};

/// What a frame to a group asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// Nothing that could be answered.
    Nothing,
    /// For a neighbour whose MAC address is not known, or not to be told.
    Unknown,
    /// For a neighbour that is known.
    Known(NeighborAnswer),
}

/// Tells what a frame to a group that came in from `ingress` asks.
#[inline]
pub(crate) fn asked(
    snapshot: &Snapshot,
    ingress: &Port,
    now: Timestamp,
    frame: &Frame<'_>,
    head: &Head,
    vlan: FrameVlan,
) -> Asked {
    let is_wanted = ingress.network.suppression == Suppression::On;
    if !is_wanted || ingress.isolation == Isolation::Tunnel || !may_ask(frame.data(), head.len) {
        return Asked::Nothing;
    }
    let Some((question, _)) = question(frame, head) else {
        return Asked::Nothing;
    };
    let known = ingress.network.hosts.find(question.target);
    let answer = known.and_then(|known| answer(snapshot, ingress, now, vlan, &question, known));
    answer.map_or(Asked::Unknown, Asked::Known)
}

impl Pipeline {
    /// Carries out [`Verdict::Answer`](crate::Verdict::Answer): turns a question that came in from `ingress` into
    /// the answer, in its own buffer.
    ///
    /// Returns the port to which the frame, changed, has to be sent now; none when there is too little headroom,
    /// of which [`Pipeline::GATEWAY_HEADROOM`] bytes are enough. Allocates nothing.
    pub fn answer_neighbor(
        &self,
        ingress: PortNo,
        frame: &mut Frame<'_>,
        answer: NeighborAnswer,
    ) -> Option<EgressPort> {
        let head = Head::parse(frame.data())?;
        let (question, parsed) = question(frame, &head)?;
        let mut out = [0; NeighborQuestion::MAX_ANSWER_LEN];
        let len = question.write_answer(frame.data(), &parsed, answer, &mut out)?;
        frame
            .replace(out.get(..len)?)
            .then(|| EgressPort::unchanged(ingress))
    }
}

/// Tells whether a frame may be a question, by what is at fixed places.
fn may_ask(frame: &[u8], head_len: usize) -> bool {
    let Some((head, packet)) = frame.split_at_checked(head_len) else {
        return false;
    };
    let ethertype = head
        .last_chunk()
        .map(|bytes| EtherType(u16::from_be_bytes(*bytes)));
    match ethertype {
        Some(EtherType::ARP) => true,
        Some(EtherType::IPV6) => Ipv6View::parse(packet).is_ok_and(|ip| {
            ip.next_header() == IpProtocol::ICMPV6
                && ip.payload().first() == Some(&Icmpv6Type::NEIGHBOR_SOLICITATION.0)
        }),
        _ => false,
    }
}

/// Reads a question of somebody who wants to know.
fn question(frame: &Frame<'_>, head: &Head) -> Option<(NeighborQuestion, ParsedFrame)> {
    let parsed = ParsedFrame::parse(frame.data()).ok()?;
    // A service tag, or a second one, makes the rest payload of somebody else.
    if parsed.tags().count() > usize::from(head.tag.is_some()) {
        return None;
    }
    let checksum = frame.offload().checksum;
    let question = NeighborQuestion::read(frame.data(), &parsed, checksum)?;
    let is_honest = question
        .claimed_mac
        .is_none_or(|mac| mac == question.asker_mac);
    (is_honest && question.asker != question.target).then_some((question, parsed))
}

/// Returns what `ingress` may be told of a neighbour that is known.
fn answer(
    snapshot: &Snapshot,
    ingress: &Port,
    now: Timestamp,
    vlan: FrameVlan,
    question: &NeighborQuestion,
    known: Known,
) -> Option<NeighborAnswer> {
    let (vid, port, answer) = match known {
        Known::Endpoint(host) => {
            let is_v6 = question.target.is_ipv6();
            let answer = NeighborAnswer {
                mac: host.mac,
                is_router: false,
            };
            let answer = (!host.may_route || !is_v6).then_some(answer)?;
            (host.vid, Some(snapshot.port(host.port)?), answer)
        }
        Known::Static(station) => {
            let fdb = &ingress.network.fdb;
            let port = fdb.lookup(fdb.probe(None, station.mac), now);
            let answer = NeighborAnswer {
                mac: station.mac,
                is_router: station.is_router,
            };
            (None, port.and_then(|port| snapshot.port(port)), answer)
        }
    };
    let may_be_told = match port {
        Some(port) => port.no != ingress.no && ingress.isolation.permits(port.isolation),
        // Where it is nobody knows, so what is sent to it is flooded.
        None => ingress.isolation == Isolation::Open,
    };
    let is_other = answer.mac != question.asker_mac && answer.mac != ingress.network.gateway_mac;
    // Both families share a table, in which this would be an IPv4 address.
    let is_native =
        !matches!(question.target, IpAddr::V6(target) if target.to_ipv4_mapped().is_some());
    (vid == vlan.vid && may_be_told && is_other && is_native).then_some(answer)
}

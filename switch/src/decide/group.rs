//! The stage that limits a frame for an IP group to those who listen.
//!
//! It comes after the destination, and only for what would be flooded: so a unicast frame pays one
//! comparison, and a network without snooping one more.

use tapweave_net::{ChecksumOffload, EtherType, Frame, MacAddr, Timestamp};

use super::Trace;
use crate::explain::Stage;
use crate::head::Head;
use crate::multicast::{Checksum, Heard, PortSet, Reach, Route, Snooping, hear};
use crate::snapshot::Port;
use crate::{DropReason, FrameVlan, Verdict};

/// Bytes of an Ethernet header, and of one with a tag.
const UNTAGGED_LEN: usize = 14;
const TAGGED_LEN: usize = 18;

/// What snooping says about a frame that would be flooded.
pub(crate) struct GroupDecision {
    /// The ports that it is limited to; none for everybody.
    pub(crate) ports: Option<PortSet>,
    /// What the frame tells snooping.
    pub(crate) news: News,
}

/// What a frame tells snooping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// It is a message, to be noted if the frame is not dropped.
    Message,
    /// It is a message that is not believed, to be counted.
    Invalid,
}

/// Limits a frame that would be flooded.
#[inline]
pub(super) fn limit(
    ingress: &Port,
    now: Timestamp,
    frame: &Frame<'_>,
    head: &Head,
    verdict: Verdict,
    trace: &mut impl Trace,
) -> (Verdict, Option<GroupDecision>) {
    let Verdict::Flood(vlan) = verdict else {
        return (verdict, None);
    };
    match &ingress.network.snooping {
        Some(snooping) if is_ip_group(head.destination) => {
            let (verdict, reach, decision) = decide(snooping, ingress, now, frame, head, vlan);
            trace.stage(|| Stage::Group {
                reach,
                ports: decision.ports.as_ref().map(|ports| ports.iter().collect()),
            });
            (verdict, Some(decision))
        }
        Some(_) | None => (verdict, None),
    }
}

fn decide(
    snooping: &Snooping,
    ingress: &Port,
    now: Timestamp,
    frame: &Frame<'_>,
    head: &Head,
    vlan: FrameVlan,
) -> (Verdict, Reach, GroupDecision) {
    let heard = heard(frame, head);
    let news = match heard {
        Heard::Query(_) | Heard::Report(_) => News::Message,
        Heard::Invalid(_) => News::Invalid,
        Heard::Data(_) | Heard::Other => News::None,
    };
    let (reach, ports) = match snooping.route(now, vlan.vid, &heard) {
        Route::Everyone(reach) => (reach, None),
        Route::Ports(reach, ports) => (reach, Some(ports)),
    };
    let only_ingress = |ports: &PortSet| ports.iter().all(|port| port == ingress.no);
    let verdict = match reach {
        Reach::Query if snooping.refuses_queries() => Verdict::Drop(DropReason::QueryRefused),
        Reach::Members | Reach::NoMembers if ports.as_ref().is_some_and(only_ingress) => {
            Verdict::Drop(DropReason::NoListeners)
        }
        Reach::NotIp
        | Reach::NeverLimited
        | Reach::NobodyAsks
        | Reach::Query
        | Reach::Report
        | Reach::Members
        | Reach::NoMembers => Verdict::Flood(vlan),
    };
    (verdict, reach, GroupDecision { ports, news })
}

/// Reads the packet of a frame.
pub(crate) fn heard<'a>(frame: &'a Frame<'_>, head: &Head) -> Heard<'a> {
    let len = match head.tag {
        None => UNTAGGED_LEN,
        Some(_) => TAGGED_LEN,
    };
    // A second tag, or a service tag, makes the rest payload: its EtherType is not that of IP.
    let Some((ethernet, packet)) = frame.data().split_at_checked(len) else {
        return Heard::Other;
    };
    let Some(&ethertype) = ethernet.last_chunk() else {
        return Heard::Other;
    };
    let checksum = match frame.offload().checksum {
        ChecksumOffload::Complete => Checksum::Present,
        ChecksumOffload::Partial { .. } | ChecksumOffload::Validated => Checksum::Vouched,
    };
    hear(EtherType(u16::from_be_bytes(ethertype)), packet, checksum)
}

/// Tells whether IP groups use an address: 01-00-5E-00-00-00 to -7F-FF-FF (RFC 1112 §6.4) and 33-33-…
/// (RFC 2464 §7).
#[inline]
fn is_ip_group(mac: MacAddr) -> bool {
    match mac.octets() {
        [0x33, 0x33, ..] => true,
        [0x01, 0x00, 0x5e, octet, ..] => octet < 0x80,
        _ => false,
    }
}

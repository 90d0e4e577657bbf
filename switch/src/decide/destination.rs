//! The stage that asks for whom it is: nobody, everybody, or a port.

use tapweave_net::{Frame, NeighborAnswer, Timestamp};

use super::{Prepared, Trace};
use crate::FrameVlan;
use crate::explain::{Destination, Stage};
use crate::gateway::{asks_for_dhcp, is_asked};
use crate::head::Head;
use crate::snapshot::{Port, Snapshot};
use crate::suppression::{Asked, asked};

/// Where a frame is to go, as far as its destination says.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// Nowhere: bridges do not forward frames to this address.
    Reserved,
    /// To the station that it comes from.
    Sender,
    /// To the gateway.
    Gateway,
    /// To everybody.
    Group,
    /// To everybody, and asks for a neighbour that is not known.
    Question,
    /// To everybody, and asks for a neighbour that is known: it gets this answer.
    Answered(NeighborAnswer),
    /// To a station that is on no port, as far as is known.
    Unknown,
    /// To a station on this port, which is a member of the frame's VLAN.
    Port(&'a Port),
}

#[inline]
pub(super) fn find<'a>(
    snapshot: &'a Snapshot,
    ingress: &Port,
    now: Timestamp,
    frame: &Frame<'_>,
    head: &Head,
    vlan: FrameVlan,
    prepared: &Prepared,
) -> Target<'a> {
    let mac = head.destination;
    if mac.is_bridge_reserved() {
        return Target::Reserved;
    }
    if mac.is_group() {
        return match &ingress.network.gateway {
            Some(gateway) if is_asked(gateway, frame.data(), head.len) => Target::Gateway,
            Some(_) if ingress.has_dhcp() && asks_for_dhcp(frame.data(), head.len) => {
                Target::Gateway
            }
            Some(_) | None => match asked(snapshot, ingress, now, frame, head, vlan) {
                Asked::Nothing => Target::Group,
                Asked::Unknown => Target::Question,
                Asked::Known(answer) => Target::Answered(answer),
            },
        };
    }
    if mac == ingress.network.gateway_mac {
        return Target::Gateway;
    }
    if mac == head.source {
        return Target::Sender;
    }
    let known = ingress.network.fdb.lookup(prepared.destination, now);
    // A port that is not in the snapshot has just been removed, or is newer than it; either way
    // nothing can be sent there now. A port outside the VLAN cannot have the station in it.
    let port = known.and_then(|port| snapshot.port(port));
    match port.filter(|port| port.vlans.carries(vlan.vid)) {
        None => Target::Unknown,
        Some(port) => Target::Port(port),
    }
}

/// Tells what was found.
#[inline]
pub(super) fn show(head: &Head, target: Target<'_>, trace: &mut impl Trace) {
    trace.stage(|| Stage::Destination {
        mac: head.destination,
        destination: Destination::from(target),
    });
}

impl From<Target<'_>> for Destination {
    fn from(target: Target<'_>) -> Self {
        match target {
            Target::Reserved => Self::Reserved,
            Target::Sender => Self::Sender,
            Target::Gateway => Self::Gateway,
            Target::Group => Self::Group,
            Target::Question => Self::Question,
            Target::Answered(answer) => Self::Answered { mac: answer.mac },
            Target::Unknown => Self::Unknown,
            Target::Port(port) => Self::Port {
                port: port.no,
                isolation: port.isolation,
            },
        }
    }
}

//! The stage that asks for whom it is: nobody, everybody, or a port.

use tapweave_net::Timestamp;

use super::{Prepared, Trace};
use crate::FrameVlan;
use crate::explain::{Destination, Stage};
use crate::head::Head;
use crate::snapshot::{Port, Snapshot};

/// Where a frame is to go, as far as its destination says.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// Nowhere: bridges do not forward frames to this address.
    Reserved,
    /// To the station that it comes from.
    Sender,
    /// To everybody.
    Group,
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
    head: &Head,
    vlan: FrameVlan,
    prepared: &Prepared,
    trace: &mut impl Trace,
) -> Target<'a> {
    let target = classify(snapshot, ingress, now, head, vlan, prepared);
    trace.stage(|| Stage::Destination {
        mac: head.destination,
        destination: Destination::from(target),
    });
    target
}

#[inline]
fn classify<'a>(
    snapshot: &'a Snapshot,
    ingress: &Port,
    now: Timestamp,
    head: &Head,
    vlan: FrameVlan,
    prepared: &Prepared,
) -> Target<'a> {
    let mac = head.destination;
    if mac.is_bridge_reserved() {
        return Target::Reserved;
    }
    if mac.is_group() {
        return Target::Group;
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

impl From<Target<'_>> for Destination {
    fn from(target: Target<'_>) -> Self {
        match target {
            Target::Reserved => Self::Reserved,
            Target::Sender => Self::Sender,
            Target::Group => Self::Group,
            Target::Unknown => Self::Unknown,
            Target::Port(port) => Self::Port {
                port: port.no,
                isolation: port.isolation,
            },
        }
    }
}

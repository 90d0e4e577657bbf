//! The decision on one frame, in stages.
//!
//! It reads the snapshot and the FDB and changes nothing, so the pipeline and `explain` run the same
//! code: the pipeline then does what the decision says is to be learned, `explain` does not. The
//! stages, and what each may end with:
//!
//! 1. *size*: runt, oversize, or an offload that the frame cannot bear;
//! 2. *source*: no station has this address. A frame that got this far is learned from, even when it
//!    is dropped below, as IEEE 802.1Q-2018 §8.7 and Linux have it (01-80-C2-00-00-0x included);
//! 3. *destination*: reserved, the sender itself, a group, unknown, or a port;
//! 4. *egress*: the same port, or an isolated one.
//!
//! The destination is looked up in the table as it was before the frame: what the frame itself changes
//! there matters from the next one on.

use tapweave_net::{Frame, Timestamp};

use crate::explain::{Destination, Learning, Stage};
use crate::fdb::{Assessment, FdbKey};
use crate::head::Head;
use crate::snapshot::{Port, Snapshot};
use crate::{DropReason, Verdict};

/// The outcome for one frame.
pub(crate) struct Decision<'a> {
    pub(crate) verdict: Verdict,
    /// The source, and what the FDB has to learn about it; none when the frame was dropped before.
    pub(crate) lesson: Option<(FdbKey, Assessment<'a>)>,
}

/// Listens to the stages of a decision.
pub(crate) trait Trace {
    fn stage(&mut self, stage: impl FnOnce() -> Stage);
}

/// The listener of the packet path: nobody.
pub(crate) struct NoTrace;

impl Trace for NoTrace {
    #[inline]
    fn stage(&mut self, _stage: impl FnOnce() -> Stage) {}
}

impl Trace for Vec<Stage> {
    fn stage(&mut self, stage: impl FnOnce() -> Stage) {
        self.push(stage());
    }
}

/// Decides on a frame from `ingress`.
#[inline]
pub(crate) fn decide<'a>(
    snapshot: &Snapshot,
    ingress: &'a Port,
    now: Timestamp,
    frame: &Frame<'_>,
    trace: &mut impl Trace,
) -> Decision<'a> {
    let head = match check_size(ingress, frame, trace) {
        Ok(head) => head,
        Err(reason) => return Decision::drop_early(reason),
    };

    let source = FdbKey::new(head.source);
    if !head.source.is_station() {
        trace.stage(|| Stage::Source {
            mac: head.source,
            learning: Learning::NoStation,
        });
        return Decision::drop_early(if head.source.is_zero() {
            DropReason::SourceZero
        } else {
            DropReason::SourceGroup
        });
    }
    let assessment = ingress.network.fdb.assess(source, ingress.no, now);
    trace.stage(|| Stage::Source {
        mac: head.source,
        learning: Learning::from(assessment),
    });

    let destination = find_destination(snapshot, ingress, now, &head);
    trace.stage(|| Stage::Destination {
        mac: head.destination,
        destination,
    });
    let verdict = match destination {
        Destination::Reserved => Verdict::Drop(DropReason::ReservedDestination),
        Destination::Sender => Verdict::Drop(DropReason::SamePort),
        Destination::Group | Destination::Unknown => Verdict::Flood,
        Destination::Port { port, .. } if port == ingress.no => Verdict::Drop(DropReason::SamePort),
        Destination::Port { isolation, .. } if !ingress.isolation.permits(isolation) => {
            Verdict::Drop(DropReason::Isolated)
        }
        Destination::Port { port, .. } => Verdict::Forward(port),
    };
    Decision {
        verdict,
        lesson: Some((source, assessment)),
    }
}

impl Decision<'_> {
    const fn drop_early(reason: DropReason) -> Self {
        Self {
            verdict: Verdict::Drop(reason),
            lesson: None,
        }
    }
}

#[inline]
fn check_size(
    ingress: &Port,
    frame: &Frame<'_>,
    trace: &mut impl Trace,
) -> Result<Head, DropReason> {
    let (data, mtu) = (frame.data(), ingress.network.mtu);
    let head = Head::parse(data).ok_or(DropReason::Runt);
    let packet_len = head.and_then(|head| head.packet_len(data, frame.offload()));
    trace.stage(|| Stage::Size {
        frame_len: data.len(),
        packet_len: packet_len.ok(),
        mtu,
    });
    if packet_len? > usize::from(mtu) {
        return Err(DropReason::Oversize);
    }
    head
}

#[inline]
fn find_destination(
    snapshot: &Snapshot,
    ingress: &Port,
    now: Timestamp,
    head: &Head,
) -> Destination {
    let mac = head.destination;
    if mac.is_bridge_reserved() {
        return Destination::Reserved;
    }
    if mac.is_group() {
        return Destination::Group;
    }
    if mac == head.source {
        return Destination::Sender;
    }
    // A port that is not in the snapshot has just been removed, or is newer than it; either way
    // nothing can be sent there now.
    let known = ingress.network.fdb.lookup(FdbKey::new(mac), now);
    match known.and_then(|port| snapshot.port(port)) {
        None => Destination::Unknown,
        Some(port) => Destination::Port {
            port: port.no,
            isolation: port.isolation,
        },
    }
}

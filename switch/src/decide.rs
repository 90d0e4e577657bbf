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
use crate::fdb::{Assessment, Fdb, Probe};
use crate::head::Head;
use crate::snapshot::{Port, Snapshot};
use crate::{DropReason, Verdict};

/// A frame, and what can be found out about it without the state of the switch.
///
/// Apart from the decision, so that the pipeline can do this for a batch first and have the buckets
/// of all its frames on their way from memory before it needs the first.
#[derive(Clone, Copy)]
pub(crate) struct Prepared {
    head: Option<Head>,
    source: Probe,
    destination: Probe,
}

impl Prepared {
    /// A frame without a head, to fill arrays with.
    pub(crate) const NONE: Self = Self {
        head: None,
        source: Probe::NONE,
        destination: Probe::NONE,
    };

    /// Prepares a frame for a network with the table `fdb`.
    #[inline]
    pub(crate) fn new(data: &[u8], fdb: &Fdb) -> Self {
        let Some(head) = Head::parse(data) else {
            return Self::NONE;
        };
        Self {
            head: Some(head),
            source: fdb.probe(head.source),
            destination: fdb.probe(head.destination),
        }
    }

    /// Brings the buckets of the frame's stations into the cache: see [`Fdb::touch`].
    #[inline]
    pub(crate) fn touch(&self, fdb: &Fdb) -> u64 {
        fdb.touch(self.source) ^ fdb.touch(self.destination)
    }

    /// Returns what the source is looked up by.
    pub(crate) const fn source(&self) -> Probe {
        self.source
    }
}

/// The outcome for one frame.
pub(crate) struct Decision<'a> {
    pub(crate) verdict: Verdict,
    /// What the FDB has to learn about the source; none when the frame was dropped before.
    pub(crate) lesson: Option<Assessment<'a>>,
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
    prepared: &Prepared,
    trace: &mut impl Trace,
) -> Decision<'a> {
    let head = match check_size(ingress, frame, prepared, trace) {
        Ok(head) => head,
        Err(reason) => return Decision::drop_early(reason),
    };

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
    let assessment = ingress.network.fdb.assess(prepared.source, ingress.no, now);
    trace.stage(|| Stage::Source {
        mac: head.source,
        learning: Learning::from(assessment),
    });

    let destination = find_destination(snapshot, ingress, now, prepared.destination, &head);
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
        lesson: Some(assessment),
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
    prepared: &Prepared,
    trace: &mut impl Trace,
) -> Result<Head, DropReason> {
    let (data, mtu) = (frame.data(), ingress.network.mtu);
    let head = prepared.head.ok_or(DropReason::Runt);
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
    probe: Probe,
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
    let known = ingress.network.fdb.lookup(probe, now);
    match known.and_then(|port| snapshot.port(port)) {
        None => Destination::Unknown,
        Some(port) => Destination::Port {
            port: port.no,
            isolation: port.isolation,
        },
    }
}

//! The decision on one frame, in stages.
//!
//! It reads the snapshot and the FDB and changes nothing, so the pipeline and `explain` run the same
//! code: the pipeline then does what the decision says is to be learned, `explain` does not. The
//! stages, a file each, and what each may end with:
//!
//! 1. *size*: runt, oversize, or an offload that the frame cannot bear;
//! 2. *vlan*: a tag, or none, that the port does not take;
//! 3. *guard*: the endpoint claims to be another one, or a router, or a DHCP server;
//! 4. *source*: no station has this address, or the port may not learn it. A frame that got this far is
//!    learned from, even when it is dropped below, as IEEE 802.1Q-2018 §8.7 and Linux have it
//!    (01-80-C2-00-00-0x included);
//! 5. *destination*: reserved, the sender itself, a group, unknown, or a port;
//! 6. *egress*: the same port, or an isolated one;
//! 7. *group*: for whom nobody listens, or a query where queries are refused;
//! 8. *storm*: more frames of its class to several ports than the port may send.
//!
//! The destination is looked up in the table as it was before the frame: what the frame itself changes
//! there matters from the next one on.

mod destination;
mod egress;
mod group;
mod guard;
mod size;
mod source;
mod storm;
mod vlan;

use tapweave_net::{Frame, Timestamp, Vid};

use self::destination::Target;
pub(crate) use self::storm::Charge;
use crate::explain::Stage;
use crate::fdb::{Assessment, Fdb, Probe};
use crate::head::Head;
use crate::snapshot::{Port, Snapshot};
use crate::{DropReason, FrameVlan, Verdict};

pub(crate) use group::{GroupDecision, News, heard};

/// A frame, and what can be found out about it without looking into a table.
///
/// Apart from the decision, so that the pipeline can do this for a batch first and have the buckets
/// of all its frames on their way from memory before it needs the first.
#[derive(Clone, Copy)]
pub(crate) struct Prepared {
    head: Option<Head>,
    /// Its VLAN, if any, or why the port does not take the frame.
    vid: Result<Option<Vid>, DropReason>,
    source: Probe,
    destination: Probe,
}

impl Prepared {
    /// A frame without a head, to fill arrays with.
    pub(crate) const NONE: Self = Self {
        head: None,
        vid: Ok(None),
        source: Probe::NONE,
        destination: Probe::NONE,
    };

    /// Prepares a frame that came in from `ingress`.
    #[inline]
    pub(crate) fn new(data: &[u8], ingress: &Port) -> Self {
        let Some(head) = Head::parse(data) else {
            return Self::NONE;
        };
        let vid = ingress.vlans.classify(head.tag);
        let fdb = &ingress.network.fdb;
        Self {
            head: Some(head),
            vid,
            source: fdb.probe(vid.unwrap_or(None), head.source),
            destination: fdb.probe(vid.unwrap_or(None), head.destination),
        }
    }

    /// Brings the buckets of the frame's stations into the cache: see [`Fdb::touch`].
    #[inline]
    pub(crate) fn touch(&self, fdb: &Fdb) -> u64 {
        fdb.touch(self.source) ^ fdb.touch(self.destination)
    }

    /// Returns the VLAN of the frame, if any.
    pub(crate) fn vid(&self) -> Option<Vid> {
        self.vid.unwrap_or(None)
    }

    /// Returns the head of the frame; none when it has none.
    pub(crate) const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
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
    /// What snooping says; none when it has nothing to do with the frame.
    pub(crate) group: Option<GroupDecision>,
    /// What has to be counted before the verdict is carried out; if it cannot be, the frame is dropped.
    pub(crate) charge: Option<Charge<'a>>,
    /// Whether it asks for a neighbour that is not known.
    pub(crate) is_question: bool,
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
    match admit(ingress, now, frame, prepared, trace) {
        Err(reason) => Decision {
            verdict: Verdict::Drop(reason),
            lesson: None,
            group: None,
            charge: None,
            is_question: false,
        },
        Ok((head, vlan, assessment)) => {
            let target = destination::find(snapshot, ingress, now, frame, &head, vlan, prepared);
            destination::show(&head, target, trace);
            let verdict = egress::permit(ingress, vlan, target);
            let (verdict, group) = group::limit(ingress, now, frame, &head, verdict, trace);
            Decision {
                verdict,
                lesson: Some(assessment),
                group,
                charge: Charge::new(ingress, frame, &head, target, verdict),
                is_question: matches!(target, Target::Question),
            }
        }
    }
}

/// The stages up to the source: what they drop is not learned from.
#[inline]
fn admit<'a>(
    ingress: &'a Port,
    now: Timestamp,
    frame: &Frame<'_>,
    prepared: &Prepared,
    trace: &mut impl Trace,
) -> Result<(Head, FrameVlan, Assessment<'a>), DropReason> {
    let head = size::check(ingress, frame, prepared, trace)?;
    let vlan = vlan::check(ingress, &head, prepared, trace)?;
    guard::check(ingress, frame, trace)?;
    let assessment = source::assess(ingress, now, &head, prepared, trace)?;
    Ok((head, vlan, assessment))
}

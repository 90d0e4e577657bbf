//! One worker's way through the switch: batches in, verdicts out.

use core::fmt;
use core::hint::black_box;
use std::sync::Arc;

use tapweave_nat::table::{Hint, Realm};
use tapweave_net::{Frame, ParsedFrame, PortNo, Timestamp};

use crate::counters::Shard;
use crate::decide::{GroupDecision, News, NoTrace, Prepared, decide, heard};
use crate::fdb::Learned;
use crate::multicast::{Outcome, PortSet};
use crate::snapshot::{Port, Snapshot};
use crate::{DropReason, EgressPort, FdbOrigin, FrameVlan, GroupSlot, Stations, Switch, Verdict};

/// Frames that are prepared together: enough to keep all outstanding memory reads of a core busy.
const GROUP_LEN: usize = 32;

/// Copies after which a batch ends although more frames were given.
///
/// A copy is a write to a device, about 1 us: a batch keeps the other ports of its worker waiting for
/// one millisecond and one frame, even where each of its frames is flooded to a thousand ports.
const COPY_BUDGET: usize = 1024;

/// The packet side of a [`Switch`] for one worker thread.
///
/// Made by [`Switch::pipeline`]. Nothing here waits for another thread or, once `verdicts` has the
/// capacity of a batch, allocates; only taking a new snapshot frees the old one. The exceptions are a
/// message of IGMP or MLD, which takes the mutex of its network's groups and may add to them, and, while
/// addresses are probed for, ARP and Neighbor Discovery, which take that of the probes.
pub struct Pipeline {
    switch: Arc<Switch>,
    snapshot: Arc<Snapshot>,
    worker: usize,
    /// The listeners of the groups of the last batch.
    groups: Vec<PortSet>,
    /// The last batch, as far as it is for the gateway.
    ahead: Ahead,
}

/// What is found out about the frames of a batch that are for the gateway, by their place in it.
#[derive(Default)]
struct Ahead {
    /// Those that are well-formed.
    parsed: Vec<Option<ParsedFrame>>,
    /// Where NAT knows their flows; empty without NAT.
    hints: Vec<Hint>,
}

impl Pipeline {
    pub(crate) fn new(switch: Arc<Switch>, worker: usize) -> Self {
        Self {
            snapshot: switch.snapshot(),
            worker: worker % switch.worker_count(),
            groups: Vec::new(),
            ahead: Ahead::default(),
            switch,
        }
    }

    /// Takes the newest snapshot and returns its generation: from now on this worker works on what
    /// [`Switch::generation`] counted up to it, and has forgotten everything older.
    pub fn refresh(&mut self) -> u64 {
        if self.snapshot.generation != self.switch.generation() {
            self.snapshot = self.switch.snapshot();
        }
        self.snapshot.generation
    }

    /// Decides on frames that came in from one port, learns from them and counts them.
    ///
    /// `verdicts` is emptied and gets one verdict a frame, in their order. There are fewer verdicts than
    /// frames, but at least one, when flooding the first frames is work enough; the frames without a
    /// verdict were not looked at and have to be given again. Each frame is decided in the state that
    /// the frames before it left. The newest snapshot is taken first, so a verdict's
    /// ports and [`Pipeline::flood_set`] agree until the next batch.
    pub fn handle_batch(
        &mut self,
        now: Timestamp,
        ingress: PortNo,
        frames: &[Frame<'_>],
        verdicts: &mut Vec<Verdict>,
    ) {
        self.refresh();
        self.groups.clear();
        self.ahead.clear();
        verdicts.clear();
        let Some(port) = self.snapshot.port(ingress) else {
            let verdict = match self.snapshot.routed_ingress(ingress) {
                Some(ingress) => {
                    let bytes = frames.iter().map(|frame| frame.data().len() as u64);
                    let shard = ingress.counters().shard(self.worker);
                    shard.rx_frames.add(frames.len() as u64);
                    shard.rx_bytes.add(bytes.sum());
                    let frames = frames.iter().map(Some);
                    self.ahead.read(&self.snapshot, Realm::OUTSIDE, frames);
                    Verdict::Gateway
                }
                None => Verdict::Drop(DropReason::PortGone),
            };
            verdicts.resize(frames.len(), verdict);
            return;
        };
        let shard = port.counters.shard(self.worker);
        let fdb = &*port.network.fdb;
        let is_probing = port.network.address_watch.is_active();
        let mut byte_count = 0;
        let mut copy_count = 0;
        'batch: for group in frames.chunks(GROUP_LEN) {
            let mut prepared = [Prepared::NONE; GROUP_LEN];
            let prepared = &mut prepared[..group.len()];
            let mut touched = 0;
            for (prepared, frame) in prepared.iter_mut().zip(group) {
                *prepared = Prepared::new(frame.data(), port);
                touched ^= prepared.touch(fdb);
            }
            black_box(touched);
            for (frame, prepared) in group.iter().zip(prepared) {
                if copy_count >= COPY_BUDGET {
                    break 'batch;
                }
                byte_count += frame.data().len() as u64;
                let groups = &mut self.groups;
                let verdict =
                    handle_frame(&self.snapshot, port, shard, now, frame, prepared, groups);
                if is_probing {
                    note_claim(port, shard, frame, prepared, verdict);
                }
                copy_count += match verdict {
                    Verdict::Forward(_)
                    | Verdict::Gateway
                    | Verdict::Answer(_)
                    | Verdict::Drop(_) => 0,
                    Verdict::Flood(_) => port.network.members.len(),
                    Verdict::Multicast(_, GroupSlot(slot)) => {
                        groups.get(slot).map_or(0, PortSet::len_max)
                    }
                };
                verdicts.push(verdict);
            }
        }
        shard.rx_frames.add(verdicts.len() as u64);
        shard.rx_bytes.add(byte_count);
        if verdicts.contains(&Verdict::Gateway) {
            let decided = frames.iter().zip(&*verdicts);
            let frames = decided.map(|(frame, verdict)| match verdict {
                Verdict::Gateway => Some(frame),
                Verdict::Forward(_)
                | Verdict::Flood(_)
                | Verdict::Multicast(..)
                | Verdict::Answer(_)
                | Verdict::Drop(_) => None,
            });
            let realm = Realm::of(port.network.no);
            self.ahead.read(&self.snapshot, realm, frames);
        }
    }

    /// Returns what the frame at `place` of the last batch was parsed as, if it is for the gateway.
    pub(crate) fn parsed(&self, place: usize) -> Option<&ParsedFrame> {
        self.ahead.parsed.get(place)?.as_ref()
    }

    /// Returns what NAT has found out about it.
    pub(crate) fn hint(&self, place: usize) -> Hint {
        self.ahead.hints.get(place).copied().unwrap_or_default()
    }

    /// Returns the ports that a flooded frame from `ingress` in `vlan` goes to: the others of its network
    /// that are members of the VLAN, but no isolated one when `ingress` is isolated. None when `ingress`
    /// is not in the snapshot.
    pub fn flood_set(
        &self,
        ingress: PortNo,
        vlan: FrameVlan,
    ) -> impl Iterator<Item = EgressPort> + '_ {
        let port = self.snapshot.port(ingress);
        port.into_iter().flat_map(move |port| port.flood_set(vlan))
    }

    /// Returns the ports that a frame from `ingress` with the verdict [`Verdict::Multicast`] goes to. None
    /// after the next batch.
    pub fn group_set(
        &self,
        ingress: PortNo,
        vlan: FrameVlan,
        GroupSlot(slot): GroupSlot,
    ) -> impl Iterator<Item = EgressPort> + '_ {
        let port = self.snapshot.port(ingress);
        let listeners = port.zip(self.groups.get(slot)).into_iter();
        listeners.flat_map(move |(port, ports)| port.group_set(&self.snapshot, vlan, ports))
    }

    /// Counts frames, `byte_count` bytes together, that were given to the device of `port`.
    pub fn count_sent(&self, port: PortNo, frame_count: usize, byte_count: usize) {
        if let Some(shard) = self.shard(port) {
            shard.tx_frames.add(frame_count as u64);
            shard.tx_bytes.add(byte_count as u64);
        }
    }

    /// Counts frames that the device of `port` did not take.
    pub fn count_egress_drop(&self, port: PortNo, reason: DropReason, frame_count: usize) {
        if let Some(shard) = self.shard(port) {
            shard.count_drops(reason, frame_count as u64);
        }
    }

    /// Counts a frame of `byte_count` bytes that came in from `port` and was dropped before it could be
    /// given to [`Pipeline::handle_batch`].
    pub fn count_ingress_drop(&self, port: PortNo, reason: DropReason, byte_count: usize) {
        if let Some(shard) = self.shard(port) {
            shard.rx_frames.add(1);
            shard.rx_bytes.add(byte_count as u64);
            shard.count_drop(reason);
        }
    }

    fn shard(&self, port: PortNo) -> Option<&Shard> {
        let counters = self.snapshot.counters(port)?;
        Some(counters.shard(self.worker))
    }

    pub(crate) const fn worker(&self) -> usize {
        self.worker
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("worker", &self.worker)
            .field("generation", &self.snapshot.generation)
            .finish_non_exhaustive()
    }
}

impl Ahead {
    fn clear(&mut self) {
        self.parsed.clear();
        self.hints.clear();
    }

    /// Parses the frames of a batch that are for the gateway, and has what NAT knows of their flows read from
    /// memory meanwhile.
    fn read<'f, 'b: 'f>(
        &mut self,
        snapshot: &Snapshot,
        realm: Realm,
        frames: impl Iterator<Item = Option<&'f Frame<'b>>>,
    ) {
        let parsed = frames.map(|frame| ParsedFrame::parse(frame?.data()).ok());
        self.parsed.extend(parsed);
        if let Some(translator) = &snapshot.translator {
            let parsed = self.parsed.iter().map(Option::as_ref);
            translator.nat.read_ahead(realm, parsed, &mut self.hints);
        }
    }
}

#[inline]
fn handle_frame(
    snapshot: &Snapshot,
    port: &Port,
    shard: &Shard,
    now: Timestamp,
    frame: &Frame<'_>,
    prepared: &Prepared,
    groups: &mut Vec<PortSet>,
) -> Verdict {
    let decision = decide(snapshot, port, now, frame, prepared, &mut NoTrace);
    if let Some(assessment) = decision.lesson {
        let fdb = &port.network.fdb;
        let origin = match port.stations {
            Stations::Sticky => FdbOrigin::Sticky,
            Stations::Free | Stations::Locked => FdbOrigin::Learned,
        };
        match fdb.learn(assessment, prepared.source(), origin, port.no, now) {
            Learned::Unchanged => {}
            Learned::Added => shard.fdb_learned.add(1),
            Learned::Moved => shard.fdb_moves.add(1),
            Learned::Full => shard.fdb_full.add(1),
        }
    }
    let verdict = match decision.charge.map(|charge| charge.take(now)) {
        Some(Err(above_limit)) => Verdict::Drop(above_limit),
        Some(Ok(())) | None => decision.verdict,
    };
    match verdict {
        Verdict::Drop(reason) => {
            shard.count_drop(reason);
            return verdict;
        }
        Verdict::Answer(_) => shard.neighbors_answered.add(1),
        Verdict::Flood(_) if decision.is_question => shard.neighbors_flooded.add(1),
        Verdict::Flood(_) | Verdict::Forward(_) | Verdict::Multicast(..) | Verdict::Gateway => {}
    }
    // Taken apart here and not returned: the common frame has none, and would pay for moving it.
    let Some(GroupDecision { ports, news }) = decision.group else {
        return verdict;
    };
    note_membership(port, shard, now, frame, prepared, news);
    match (verdict, ports) {
        (Verdict::Flood(vlan), Some(ports)) => {
            groups.push(ports);
            Verdict::Multicast(vlan, GroupSlot(groups.len() - 1))
        }
        (verdict, _) => verdict,
    }
}

/// Tells a probe for addresses what a frame that was not refused says.
#[cold]
fn note_claim(
    port: &Port,
    shard: &Shard,
    frame: &Frame<'_>,
    prepared: &Prepared,
    verdict: Verdict,
) {
    let is_refused = matches!(verdict, Verdict::Drop(_));
    if !is_refused && port.network.address_watch.hear(frame, prepared.vid()) {
        shard.address_conflicts.add(1);
    }
}

/// Tells snooping what a frame says.
fn note_membership(
    port: &Port,
    shard: &Shard,
    now: Timestamp,
    frame: &Frame<'_>,
    prepared: &Prepared,
    news: News,
) {
    match news {
        News::None => {}
        News::Invalid => shard.mdb_invalid.add(1),
        News::Message => {
            let (Some(snooping), Some(head)) = (&port.network.snooping, prepared.head()) else {
                return;
            };
            let message = heard(frame, head);
            let vid = prepared.vid();
            let outcome = snooping.handle(now, port.no, port.isolation, vid, &message);
            if outcome == Outcome::Full {
                shard.mdb_full.add(1);
            }
        }
    }
}

//! How a record comes into the table, under both keys in one step, while others insert too.
//!
//! An inserter fills a free slot, links it under both keys, and only then looks who else has one of
//! them. Until it commits, by one CAS on the life word, the record is PENDING and not in the table.
//!
//! - Who finds a live record with one of its keys has lost and withdraws.
//! - Who finds a pending one kills it, by a CAS on its life word, or gives way to it: withdraws and
//!   begins again. The one in the lower slot goes first; but one that has not committed after several
//!   attempts is killed whatever its slot, because its thread may be asleep. So nobody waits.
//!
//! # Why no two live records have one key
//!
//! Each inserter links before, and looks after, a sequentially consistent fence. Of two with one key,
//! the one whose fence is later sees the link of the other, whichever of its keys it is. It then finds
//! the other live and loses; or pending, and kills it, so that it cannot commit; or the CAS fails
//! because the other has just committed or died, and it looks again.

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::{Direction, Entry};
use super::hash::Probe;
use super::index::Link;
use super::life::Phase;
use super::record::Record;
use crate::sync::{Ordering, fence, spin_loop};

/// Attempts to insert against others that insert the same keys.
const ATTEMPTS: u32 = if cfg!(loom) { 3 } else { 16 };
/// Attempts after which an inserter does not give way any longer.
const PATIENCE: u32 = ATTEMPTS / 2;
/// Rivals with one key that an inserter gets rid of in one attempt.
const RIVALS: u32 = 16;
/// Windows of a full table that an inserter searches for a record to evict.
const EVICTIONS: u32 = 2;

/// What became of an insertion.
#[derive(Clone, Copy, Debug)]
pub enum Insert<'a> {
    /// The record is in the table.
    Added(Record<'a>),
    /// There is a record with the original key, as its key of this direction: another worker was
    /// faster.
    Exists(Record<'a>, Direction),
    /// Another record has the reply key.
    ReplyTaken,
    /// There is no room: no record that was looked at may give way.
    Full,
    /// Other workers insert the same keys again and again, and each time one of them comes between.
    Busy,
}

/// Why an inserter does not commit.
enum Defeat<'a> {
    /// A live record has the key.
    By(Record<'a>, Direction),
    /// Another inserter has the key and goes first.
    GivenWay,
}

impl PairTable {
    /// Puts a record into the table under both keys of `entry`, unless one of them is taken.
    ///
    /// An expired record with one of the keys is removed. A full table evicts a record that is expired,
    /// or else one that is neither [kept](Entry::KEPT) nor [assured](Entry::ASSURED). What is removed
    /// is given to `gone`. Never waits, does a bounded amount of work, and does not allocate.
    pub fn insert(&self, now: Timestamp, entry: &Entry, gone: impl FnMut(&Entry)) -> Insert<'_> {
        let mut insertion = Insertion {
            table: self,
            now,
            entry,
            original: self.hasher.probe(&entry.original),
            reply: self.hasher.probe(&entry.reply),
            is_patient: true,
            gone,
        };
        for attempt in 0..ATTEMPTS {
            insertion.is_patient = attempt < PATIENCE;
            if let Some(done) = insertion.attempt() {
                return done;
            }
            spin_loop();
        }
        Insert::Busy
    }
}

struct Insertion<'t, 'e, G> {
    table: &'t PairTable,
    now: Timestamp,
    entry: &'e Entry,
    original: Probe,
    reply: Probe,
    is_patient: bool,
    gone: G,
}

impl<'t, G: FnMut(&Entry)> Insertion<'t, '_, G> {
    /// Returns what became of it, or nothing if it must begin again.
    fn attempt(&mut self) -> Option<Insert<'t>> {
        let (original, reply) = (self.original, self.reply);
        if let Some((record, direction)) = self.table.find_probe(&original, self.now) {
            return Some(Insert::Exists(record, direction));
        }
        if self.table.find_probe(&reply, self.now).is_some() {
            return Some(Insert::ReplyTaken);
        }
        let Some(draft) = self.draft() else {
            return Some(Insert::Full);
        };
        let outcome = match self.contend(&draft, &original) {
            Err(Defeat::By(record, direction)) => Some(Insert::Exists(record, direction)),
            Err(Defeat::GivenWay) => None,
            Ok(()) => match self.contend(&draft, &reply) {
                Err(Defeat::By(..)) => Some(Insert::ReplyTaken),
                Err(Defeat::GivenWay) => None,
                Ok(()) => {
                    let life = draft.life.live(self.entry.state);
                    if draft.slot.exchange(draft.life, life) {
                        self.table.marks.add(draft.index);
                        return Some(Insert::Added(Record { life, ..draft }));
                    }
                    None
                }
            },
        };
        self.withdraw(&draft, &Direction::ALL);
        outcome
    }

    /// Fills a slot and links it under both keys.
    fn draft(&mut self) -> Option<Record<'t>> {
        let table = self.table;
        let index = table.spare.take(&table.slots, self.original.place.tag);
        let index = index.or_else(|| self.evict())?;
        let slot = table.slots.get(index)?;
        let draft = Record {
            table,
            slot,
            index,
            life: slot.fill(self.entry, &self.original.key, &self.reply.key),
        };
        if !self.link(&draft, Direction::Original) {
            self.withdraw(&draft, &[]);
            return None;
        }
        if !self.link(&draft, Direction::Reply) {
            self.withdraw(&draft, &[Direction::Original]);
            return None;
        }
        fence(Ordering::SeqCst);
        Some(draft)
    }

    fn link(&mut self, draft: &Record<'_>, direction: Direction) -> bool {
        let probe = *self.probe(direction);
        let index = &self.table.index;
        let link = Link::new(probe.place, direction, draft.index);
        index.add(probe.place, link) || {
            let neighbours = index.neighbours(probe.place).map(Link::slot);
            if let Some(victim) = self.table.least_wanted(neighbours, self.now)
                && let Some(entry) = self.table.kill(victim.index, victim.life)
            {
                (self.gone)(&entry);
            }
            index.add(probe.place, link)
        }
    }

    /// Makes sure that no other record has the key of `probe`, nor will have it before this commits.
    fn contend(&mut self, draft: &Record<'_>, probe: &Probe) -> Result<(), Defeat<'t>> {
        for _ in 0..RIVALS {
            let Some((rival, direction)) = self.rival(draft, probe) else {
                return Ok(());
            };
            if rival.life.phase() == Phase::Live {
                if !rival.slot.is_expired(rival.life, self.now) {
                    return Err(Defeat::By(rival, direction));
                }
                if let Some(entry) = self.table.kill(rival.index, rival.life) {
                    (self.gone)(&entry);
                }
            } else if self.is_patient && rival.index < draft.index {
                return Err(Defeat::GivenWay);
            } else {
                // Whatever comes of it, the next look at the rival tells.
                rival.slot.exchange(rival.life, rival.life.dead());
            }
        }
        Err(Defeat::GivenWay)
    }

    /// Returns another record, live or pending, that has the key of `probe`.
    fn rival(&self, draft: &Record<'_>, probe: &Probe) -> Option<(Record<'t>, Direction)> {
        let table = self.table;
        table.index.find_map(probe.place, |link| {
            let slot = table.slots.get(link.slot())?;
            if link.slot() == draft.index {
                return None;
            }
            loop {
                let life = slot.life();
                if !matches!(life.phase(), Phase::Live | Phase::Pending) {
                    return None;
                }
                let has_key = slot.has_key(link.direction(), &probe.key);
                if slot.is_still(life) {
                    let record = Record {
                        table,
                        slot,
                        index: link.slot(),
                        life,
                    };
                    return has_key.then_some((record, link.direction()));
                }
            }
        })
    }

    /// Takes a draft out of the index where it is linked, and frees its slot.
    fn withdraw(&self, draft: &Record<'_>, linked: &[Direction]) {
        let table = self.table;
        draft.slot.abandon(draft.life);
        for &direction in linked {
            let probe = self.probe(direction);
            let link = Link::new(probe.place, direction, draft.index);
            table.index.remove(probe.place, link);
        }
        table
            .spare
            .give_back(&table.slots, draft.index, draft.index);
    }

    /// Makes room in a full table and returns a slot, which the caller then holds.
    fn evict(&mut self) -> Option<u32> {
        for _ in 0..EVICTIONS {
            if let Some(victim) = self.table.next_victim(self.now)
                && let Some(entry) = self.table.kill_and_hold(victim.index, victim.life)
            {
                (self.gone)(&entry);
                return Some(victim.index);
            }
        }
        None
    }

    const fn probe(&self, direction: Direction) -> &Probe {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }
}

//! The packets of some sources, behind one lock.

use tapweave_net::{Frame, ParsedFrame, Timestamp};

use super::datagram::{Datagram, Held, State};
use super::limits::ShardLimits;
use super::spans::{Fit, Spans};
use super::stats::Counters;
use super::{FragmentDrop, Key, Later};
use crate::packet::FragmentPart;

/// Packets in no order. There are few (64 by default), so they are searched one by one.
#[derive(Debug)]
pub(super) struct Shard<W> {
    datagrams: Vec<Datagram<W>>,
    held_len: usize,
    limits: ShardLimits,
}

impl<W: Copy> Shard<W> {
    pub(super) const fn new(limits: ShardLimits) -> Self {
        Self {
            datagrams: Vec::new(),
            held_len: 0,
            limits,
        }
    }

    /// Returns how many packets there are.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(super) const fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Takes the first fragment and returns those that waited for it.
    pub(super) fn first(
        &mut self,
        now: Timestamp,
        key: Key,
        part: &FragmentPart,
        way: W,
        counters: &Counters,
    ) -> Result<Vec<Held>, FragmentDrop> {
        let index = self.place(now, key, counters);
        self.fit(index, part, counters)?;
        let Some(datagram) = self.datagrams.get_mut(index) else {
            return Ok(Vec::new());
        };
        self.held_len -= core::mem::take(&mut datagram.held_len);
        let before = core::mem::replace(&mut datagram.state, State::Known(way));
        if datagram.spans.is_complete() {
            self.datagrams.swap_remove(index);
        }
        match before {
            State::Waiting(held) => Ok(held),
            State::Known(_) | State::Refused => Ok(Vec::new()),
        }
    }

    /// Refuses a packet of which no first fragment was forwarded before.
    pub(super) fn refuse(&mut self, now: Timestamp, key: Key, counters: &Counters) {
        let index = self.place(now, key, counters);
        if matches!(self.datagrams.get(index), Some(one) if one.is_waiting()) {
            self.refuse_at(index, counters);
        }
    }

    /// Takes a later fragment.
    pub(super) fn later(
        &mut self,
        now: Timestamp,
        key: Key,
        part: &FragmentPart,
        (frame, parsed): (&Frame<'_>, &ParsedFrame),
        counters: &Counters,
    ) -> Result<Later<W>, FragmentDrop> {
        let index = self.place(now, key, counters);
        let len = Held::len_of(frame);
        if matches!(self.datagrams.get(index), Some(one) if one.is_waiting())
            && !self.has_room(&key, len)
        {
            return Err(FragmentDrop::HeldBytes);
        }
        self.fit(index, part, counters)?;
        let Some(datagram) = self.datagrams.get_mut(index) else {
            return Err(FragmentDrop::Refused);
        };
        match &mut datagram.state {
            State::Waiting(held) => {
                held.push(Held::copy(frame, parsed));
                datagram.held_len += len;
                self.held_len += len;
                counters.held();
                Ok(Later::Held)
            }
            State::Known(way) => {
                let way = *way;
                if datagram.spans.is_complete() {
                    self.datagrams.swap_remove(index);
                }
                Ok(Later::Follow(way))
            }
            State::Refused => Err(FragmentDrop::Refused),
        }
    }

    /// Forgets the packets whose time is over.
    pub(super) fn expire(&mut self, now: Timestamp, counters: &Counters) {
        let mut index = 0;
        while let Some(datagram) = self.datagrams.get(index) {
            if datagram.expires <= now {
                self.forget(index, FragmentDrop::Expired, counters);
            } else {
                index += 1;
            }
        }
    }

    /// Returns where the packet is, after making a place for it if there is none.
    fn place(&mut self, now: Timestamp, key: Key, counters: &Counters) -> usize {
        let found = self.datagrams.iter().position(|one| one.key == key);
        if let Some(index) = found {
            match self.datagrams.get(index) {
                Some(datagram) if datagram.expires <= now => {
                    self.forget(index, FragmentDrop::Expired, counters);
                }
                _ => return index,
            }
        }
        self.make_room(&key, counters);
        self.datagrams.push(Datagram {
            key,
            state: State::Waiting(Vec::new()),
            spans: Spans::default(),
            expires: now + self.limits.timeout,
            held_len: 0,
        });
        self.datagrams.len() - 1
    }

    /// Lets the oldest packet of the same source give way, or the oldest of all, when there are too many.
    fn make_room(&mut self, key: &Key, counters: &Counters) {
        let own = self.datagrams.iter().filter(|one| one.key.is_of(key));
        let victim = if own.count() >= self.limits.datagrams_per_source {
            self.oldest(|one| one.key.is_of(key))
        } else if self.datagrams.len() >= self.limits.datagrams {
            self.oldest(|_| true)
        } else {
            None
        };
        if let Some(index) = victim {
            self.forget(index, FragmentDrop::Evicted, counters);
        }
    }

    fn oldest(&self, is_meant: impl Fn(&Datagram<W>) -> bool) -> Option<usize> {
        let meant = self.datagrams.iter().enumerate();
        meant
            .filter(|(_, one)| is_meant(one))
            .min_by_key(|(_, one)| one.expires)
            .map(|(index, _)| index)
    }

    /// Tells whether `len` more bytes of the packet's source may be held.
    fn has_room(&self, key: &Key, len: usize) -> bool {
        let own = self.datagrams.iter().filter(|one| one.key.is_of(key));
        let own_len: usize = own.map(|one| one.held_len).sum();
        own_len + len <= self.limits.held_len_per_source
            && self.held_len + len <= self.limits.held_len
    }

    /// Notes the place of a part. A packet whose parts contradict each other is refused.
    fn fit(
        &mut self,
        index: usize,
        part: &FragmentPart,
        counters: &Counters,
    ) -> Result<(), FragmentDrop> {
        let datagram = self.datagrams.get_mut(index).ok_or(FragmentDrop::Refused)?;
        if matches!(datagram.state, State::Refused) {
            return Err(FragmentDrop::Refused);
        }
        let reason = match datagram.spans.add(part.start, part.end, part.is_last) {
            Fit::New => return Ok(()),
            Fit::Duplicate => return Err(FragmentDrop::Duplicate),
            Fit::Overlap => FragmentDrop::Overlap,
            Fit::Scattered => FragmentDrop::Scattered,
        };
        self.refuse_at(index, counters);
        Err(reason)
    }

    fn refuse_at(&mut self, index: usize, counters: &Counters) {
        if let Some(datagram) = self.datagrams.get_mut(index) {
            self.held_len -= core::mem::take(&mut datagram.held_len);
            counters.dropped(FragmentDrop::Refused, datagram.held_count());
            datagram.state = State::Refused;
        }
    }

    fn forget(&mut self, index: usize, reason: FragmentDrop, counters: &Counters) {
        let datagram = self.datagrams.swap_remove(index);
        self.held_len -= datagram.held_len;
        counters.dropped(reason, datagram.held_count());
    }
}

impl Key {
    /// Tells whether both packets are of one source.
    fn is_of(&self, other: &Self) -> bool {
        self.realm == other.realm && self.datagram.src == other.datagram.src
    }
}

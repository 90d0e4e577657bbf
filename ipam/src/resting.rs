//! Addresses that were released, and who had them.
//!
//! # Theory of operation
//!
//! An address that has just been released is still in the neighbour tables of its peers, and its
//! endpoint may come back: a sandbox that is restarted wants to be found where it was. So it rests. It
//! is given to its old owner when that one asks, and to others only when nothing else is free, the
//! one that was released first being the first. When more than [`Resting::LIMIT`] rest, the oldest is
//! free again and its owner forgotten. An owner of whom several addresses rest gets the one released
//! last. An address that was [set aside](crate::Subnet::set_aside) rests without an owner.
//!
//! Every operation takes logarithmic time in the number of addresses that rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

/// An address that an endpoint had, as it is kept over a restart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Released {
    /// The address.
    pub address: IpAddr,
    /// Who had it.
    pub owner: String,
}

/// The released numbers of one subnet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resting {
    /// By the order of release.
    by_turn: BTreeMap<u64, Rest>,
    turn_of: BTreeMap<u128, u64>,
    /// Of each owner those that rest; no empty set.
    turns_of_owner: BTreeMap<Arc<str>, BTreeSet<u64>>,
    last_turn: u64,
}

#[derive(Clone, Debug)]
struct Rest {
    number: u128,
    owner: Option<Arc<str>>,
}

impl Resting {
    /// Numbers that rest before the oldest is free again. Bounds the memory that clients who come and
    /// go can take (about 300 bytes and a name each), and covers the /20s and smaller entirely.
    pub(crate) const LIMIT: usize = 4096;

    /// Lets `number` rest, which `owner` has had, and returns a number that has rested long enough.
    pub(crate) fn push(&mut self, number: u128, owner: Option<Arc<str>>) -> Option<u128> {
        self.last_turn += 1;
        let turn = self.last_turn;
        if let Some(owner) = &owner {
            let turns = self.turns_of_owner.entry(Arc::clone(owner));
            turns.or_default().insert(turn);
        }
        self.turn_of.insert(number, turn);
        self.by_turn.insert(turn, Rest { number, owner });
        if self.by_turn.len() > Self::LIMIT {
            self.take_oldest()
        } else {
            None
        }
    }

    /// Takes the number out that was released first.
    pub(crate) fn take_oldest(&mut self) -> Option<u128> {
        let (&turn, _) = self.by_turn.first_key_value()?;
        self.take_turn(turn).map(|rest| rest.number)
    }

    /// Takes `number` out and tells whether it was in.
    pub(crate) fn take(&mut self, number: u128) -> bool {
        let turn = self.turn_of.get(&number).copied();
        turn.and_then(|turn| self.take_turn(turn)).is_some()
    }

    /// Takes out the number that `owner` released last of those that still rest.
    pub(crate) fn take_of(&mut self, owner: &str) -> Option<(u128, Arc<str>)> {
        let turn = *self.turns_of_owner.get(owner)?.last()?;
        let rest = self.take_turn(turn)?;
        Some((rest.number, rest.owner?))
    }

    /// Returns who had `number`, if that is remembered.
    pub(crate) fn last_owner(&self, number: u128) -> Option<&str> {
        let turn = self.turn_of.get(&number)?;
        self.by_turn.get(turn)?.owner.as_deref()
    }

    /// Returns the number that is free again when another one comes to rest, and whose owner is forgotten then.
    pub(crate) fn next_to_forget(&self) -> Option<u128> {
        let is_full = self.by_turn.len() >= Self::LIMIT;
        let (_, oldest) = self.by_turn.first_key_value().filter(|_| is_full)?;
        Some(oldest.number)
    }

    /// Returns the numbers with the names of those who had them, the one released first coming first.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (u128, &str)> {
        let rests = self.by_turn.values();
        rests.filter_map(|rest| Some((rest.number, rest.owner.as_deref()?)))
    }

    fn take_turn(&mut self, turn: u64) -> Option<Rest> {
        let rest = self.by_turn.remove(&turn)?;
        self.turn_of.remove(&rest.number);
        if let Some(owner) = &rest.owner
            && let Some(turns) = self.turns_of_owner.get_mut(owner)
        {
            turns.remove(&turn);
            if turns.is_empty() {
                self.turns_of_owner.remove(owner);
            }
        }
        Some(rest)
    }

    #[cfg(test)]
    pub(crate) fn assert_consistent(&self) {
        assert!(self.by_turn.len() <= Self::LIMIT);
        assert_eq!(self.by_turn.len(), self.turn_of.len());
        for (turn, rest) in &self.by_turn {
            assert_eq!(self.turn_of.get(&rest.number), Some(turn));
        }
        let owned = self.by_turn.values().filter(|rest| rest.owner.is_some());
        let turns = self.turns_of_owner.values().map(BTreeSet::len);
        assert_eq!(turns.sum::<usize>(), owned.count());
        for (owner, turns) in &self.turns_of_owner {
            assert!(!turns.is_empty());
            for turn in turns {
                let rest = self.by_turn.get(turn);
                assert_eq!(rest.and_then(|rest| rest.owner.as_ref()), Some(owner));
            }
        }
    }
}

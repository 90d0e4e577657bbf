//! Who listens to what: the memberships of a network, counted and bounded.

use core::ops::Bound;
use std::collections::BTreeMap;

use tapweave_net::{PortNo, Timestamp};

use super::timers::MEMBERSHIP_INTERVAL;
use super::{Group, Vlan};
use crate::LearnedMember;

/// A group in a VLAN.
pub(super) type Key = (Vlan, Group);

/// One port in one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Membership {
    /// When the port joined.
    pub(super) since: Timestamp,
    /// When it leaves unless somebody on it reports.
    pub(super) expires: Timestamp,
    /// What the timer is set for: never after `expires`.
    pub(super) armed: Timestamp,
    /// Until when there may be an IGMPv1 host, which leaves silently.
    pub(super) v1_until: Timestamp,
    /// Whether somebody left and the port is being asked if anybody else listens.
    pub(super) doubted: bool,
}

/// The memberships of a network.
///
/// One flat map: a group with one member, which is the usual one, costs no map of its own.
pub(super) struct Memberships {
    entries: BTreeMap<(Key, PortNo), Membership>,
    counts: BTreeMap<PortNo, usize>,
    limit: usize,
}

/// What a join did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Joined {
    /// The port is new in the group; the timer is to be set for this time.
    New(Timestamp),
    /// It was there.
    Renewed,
    /// There is no place for it.
    Full,
}

impl Memberships {
    /// A port may have this part of all memberships.
    const SHARE: usize = 8;

    /// Returns an empty table for `limit` memberships.
    pub(super) fn new(limit: u32) -> Self {
        Self {
            entries: BTreeMap::new(),
            counts: BTreeMap::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }

    /// Notes that somebody on `port` listens.
    pub(super) fn join(&mut self, now: Timestamp, key: Key, port: PortNo) -> Joined {
        let expires = now + MEMBERSHIP_INTERVAL;
        if let Some(membership) = self.find(key, port) {
            membership.expires = expires;
            membership.doubted = false;
            return Joined::Renewed;
        }
        let share = self.limit.div_ceil(Self::SHARE);
        let count = self.counts.get(&port).copied().unwrap_or(0);
        if self.entries.len() >= self.limit || count >= share {
            return Joined::Full;
        }
        let membership = Membership {
            since: now,
            expires,
            armed: expires,
            v1_until: Timestamp::ZERO,
            doubted: false,
        };
        self.entries.insert((key, port), membership);
        self.counts.insert(port, count + 1);
        Joined::New(expires)
    }

    /// Takes in a membership of an earlier process, which ends between the two `limits`, the first of which is now;
    /// `arm` is told when. Tells whether it is in: it is not if it is over or there, or does not fit.
    pub(super) fn restore(
        &mut self,
        key: Key,
        member: &LearnedMember,
        (now, limit): (Timestamp, Timestamp),
        arm: impl FnOnce(Timestamp),
    ) -> bool {
        if member.expires <= now || self.find(key, member.port).is_some() {
            return false;
        }
        let Joined::New(_) = self.join(now, key, member.port) else {
            return false;
        };
        let expires = member.expires.min(limit);
        if let Some(membership) = self.find(key, member.port) {
            membership.since = member.since.min(now);
            membership.expires = expires;
            membership.armed = expires;
            membership.v1_until = member.v1_until.min(limit);
        }
        arm(expires);
        true
    }

    /// Returns the membership of `port`.
    pub(super) fn find(&mut self, key: Key, port: PortNo) -> Option<&mut Membership> {
        self.entries.get_mut(&(key, port))
    }

    /// Takes `port` out of a group and returns what it was there.
    pub(super) fn leave(&mut self, key: Key, port: PortNo) -> Option<Membership> {
        let membership = self.entries.remove(&(key, port))?;
        if let Some(count) = self.counts.get_mut(&port) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&port);
            }
        }
        Some(membership)
    }

    /// Returns the groups that `port` is in.
    pub(super) fn groups_of(&self, port: PortNo) -> Vec<Key> {
        let keys = self.entries.keys();
        keys.filter(|(_, member)| *member == port)
            .map(|&(key, _)| key)
            .collect()
    }

    /// Returns the ports in a group, in order.
    pub(super) fn ports(&self, key: Key) -> Vec<PortNo> {
        let all = (key, PortNo::from_u32(0))..=(key, PortNo::from_u32(u32::MAX));
        let members = self.entries.range(all);
        members.map(|(&(_, port), _)| port).collect()
    }

    /// Returns the VLANs in which there are groups, in order and each once. Takes a look-up a VLAN, not
    /// one a membership.
    pub(super) fn vlans(&self) -> Vec<Vlan> {
        let mut vlans = Vec::new();
        let mut next = self.entries.keys().next();
        while let Some(&((vlan, _), _)) = next {
            vlans.push(vlan);
            let last = ((vlan, Group::MAX), PortNo::from_u32(u32::MAX));
            let behind = (Bound::Excluded(last), Bound::Unbounded);
            next = self.entries.range(behind).next().map(|(key, _)| key);
        }
        vlans
    }

    /// Returns everything, in order of VLAN, group and port.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, PortNo, &Membership)> {
        let entries = self.entries.iter();
        entries.map(|(&(key, port), membership)| (key, port, membership))
    }

    /// Returns how many groups there are. Looks at every membership.
    pub(super) fn group_count(&self) -> usize {
        let mut last = None;
        let keys = self.entries.keys().map(|&(key, _)| key);
        keys.filter(|key| last.replace(*key) != Some(*key)).count()
    }

    /// Returns how many memberships there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many there may be.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }
}

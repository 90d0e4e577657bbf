//! Who listens to what: the memberships of a network, counted and bounded.

use std::collections::BTreeMap;

use tapweave_net::{PortNo, Timestamp};

use super::timers::MEMBERSHIP_INTERVAL;
use super::{Group, Vlan};

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
pub(super) struct Memberships {
    groups: BTreeMap<Key, BTreeMap<PortNo, Membership>>,
    counts: BTreeMap<PortNo, usize>,
    count: usize,
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
            groups: BTreeMap::new(),
            counts: BTreeMap::new(),
            count: 0,
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
        if self.count >= self.limit || count >= share {
            return Joined::Full;
        }
        let membership = Membership {
            since: now,
            expires,
            armed: expires,
            v1_until: Timestamp::ZERO,
            doubted: false,
        };
        let members = self.groups.entry(key).or_default();
        members.insert(port, membership);
        self.counts.insert(port, count + 1);
        self.count += 1;
        Joined::New(expires)
    }

    /// Returns the membership of `port`.
    pub(super) fn find(&mut self, key: Key, port: PortNo) -> Option<&mut Membership> {
        self.groups.get_mut(&key)?.get_mut(&port)
    }

    /// Takes `port` out of a group and returns what it was there.
    pub(super) fn leave(&mut self, key: Key, port: PortNo) -> Option<Membership> {
        let members = self.groups.get_mut(&key)?;
        let membership = members.remove(&port)?;
        if members.is_empty() {
            self.groups.remove(&key);
        }
        self.count -= 1;
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
        let groups = self.groups.iter();
        groups
            .filter(|(_, members)| members.contains_key(&port))
            .map(|(&key, _)| key)
            .collect()
    }

    /// Returns the ports in a group, in order.
    pub(super) fn ports(&self, key: Key) -> Vec<PortNo> {
        let members = self.groups.get(&key);
        members.map_or_else(Vec::new, |members| members.keys().copied().collect())
    }

    /// Returns the VLANs in which there are groups, in order and each once.
    pub(super) fn vlans(&self) -> Vec<Vlan> {
        let mut vlans: Vec<Vlan> = self.groups.keys().map(|&(vlan, _)| vlan).collect();
        vlans.dedup();
        vlans
    }

    /// Returns everything, in order of VLAN, group and port.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, PortNo, &Membership)> {
        self.groups.iter().flat_map(|(&key, members)| {
            members
                .iter()
                .map(move |(&port, membership)| (key, port, membership))
        })
    }

    /// Returns how many groups there are.
    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Returns how many memberships there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Returns how many there may be.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }
}

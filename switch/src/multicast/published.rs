//! What frames read of snooping: no lock, no waiting.
//!
//! The memberships are cut into shards that are replaced one at a time, so that a change of one group
//! copies some of the table and not all of it: with 16,384 groups, 256 references of 16 bytes. Who asks
//! and where routers are is one small value of its own.

use core::fmt;
use core::hash::BuildHasher as _;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;
use tapweave_net::{PortNo, Timestamp};

use super::membership::{Key, Memberships};
use super::querier::{Activity, Queriers};
use super::routers::Routers;
use super::{Family, Group, Heard, Vlan};

/// How many parts the table is replaced in.
const SHARD_COUNT: usize = 64;

/// What the packet path sees of a network's groups.
pub(crate) struct Published {
    hash: FixedState,
    shards: Box<[ArcSwap<Shard>]>,
    outlook: ArcSwap<Outlook>,
}

/// Some of the groups with their ports, in order of key.
#[derive(Default)]
struct Shard(Box<[(Key, Arc<[PortNo]>)]>);

/// Who asks, and who gets everything.
#[derive(Default)]
struct Outlook {
    /// In order of key.
    activities: Box<[((Vlan, Family), Activity)]>,
    v4: Beneficiaries,
    v6: Beneficiaries,
}

/// Ports that get more than they asked for, of one IP, each list in order.
#[derive(Clone, Default)]
struct Beneficiaries {
    routers: Arc<[PortNo]>,
    /// Routers and overfull ports.
    all: Arc<[PortNo]>,
}

/// Where a frame for a group goes.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// Everywhere.
    Everyone(Reach),
    /// To these ports.
    Ports(Reach, PortSet),
}

/// Why a frame for a group goes where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// It is not for an IP group.
    NotIp,
    /// The group is never limited.
    NeverLimited,
    /// Nobody asks who listens, or not all have answered yet.
    NobodyAsks,
    /// It is a query, which is for everybody.
    Query,
    /// It is a report, which is for routers.
    Report,
    /// Somebody is known to listen.
    Members,
    /// Nobody is known to listen.
    NoMembers,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotIp => "not for an IP group",
            Self::NeverLimited => "a group of the link",
            Self::NobodyAsks => "nobody asks who listens",
            Self::Query => "a query, for everybody",
            Self::Report => "a report, for routers",
            Self::Members => "members and routers",
            Self::NoMembers => "no members",
        })
    }
}

/// Ports, without duplicates and in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct PortSet {
    members: Arc<[PortNo]>,
    others: Arc<[PortNo]>,
}

impl PortSet {
    /// Returns how many ports there are at most: more by those that are members and more.
    pub(crate) fn len_max(&self) -> usize {
        self.members.len() + self.others.len()
    }

    /// Returns the ports.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PortNo> + '_ {
        let mut members = self.members.iter().copied().peekable();
        let mut others = self.others.iter().copied().peekable();
        core::iter::from_fn(move || match (members.peek(), others.peek()) {
            (Some(member), Some(other)) if member == other => {
                members.next();
                others.next()
            }
            (Some(member), Some(other)) if other < member => others.next(),
            (Some(_), _) => members.next(),
            (None, _) => others.next(),
        })
    }
}

impl Published {
    /// Returns what is known at first: nothing.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hash: FixedState::with_seed(seed),
            shards: (0..SHARD_COUNT).map(|_| ArcSwap::default()).collect(),
            outlook: ArcSwap::default(),
        }
    }

    /// Returns where a frame goes.
    pub(crate) fn route(&self, now: Timestamp, vlan: Vlan, heard: &Heard<'_>) -> Route {
        let group = match heard {
            Heard::Other => return Route::Everyone(Reach::NotIp),
            Heard::Query(_) => return Route::Everyone(Reach::Query),
            Heard::Report(report) => return self.route_report(now, vlan, report.family()),
            Heard::Data(group) | Heard::Invalid(group) => *group,
        };
        if group.is_never_limited() {
            return Route::Everyone(Reach::NeverLimited);
        }
        let outlook = self.outlook.load();
        let family = group.family();
        if !outlook.is_active(now, vlan, family) {
            return Route::Everyone(Reach::NobodyAsks);
        }
        let others = Arc::clone(&outlook.beneficiaries(family).all);
        match self.members(vlan, group) {
            Some(members) => Route::Ports(Reach::Members, PortSet { members, others }),
            None if group.is_flooded_without_members() => Route::Everyone(Reach::NoMembers),
            None => {
                let members = Arc::default();
                Route::Ports(Reach::NoMembers, PortSet { members, others })
            }
        }
    }

    fn route_report(&self, now: Timestamp, vlan: Vlan, family: Family) -> Route {
        let outlook = self.outlook.load();
        if !outlook.is_active(now, vlan, family) {
            return Route::Everyone(Reach::NobodyAsks);
        }
        let routers = PortSet {
            members: Arc::clone(&outlook.beneficiaries(family).routers),
            others: Arc::default(),
        };
        Route::Ports(Reach::Report, routers)
    }

    fn members(&self, vlan: Vlan, group: Group) -> Option<Arc<[PortNo]>> {
        let key = (vlan, group);
        let shard = self.shard(key)?.load();
        let place = shard.0.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(Arc::clone(&shard.0.get(place)?.1))
    }

    /// Makes known who listens to a group.
    pub(super) fn publish_group(&self, key: Key, memberships: &Memberships) {
        let Some(shard) = self.shard(key) else {
            return;
        };
        let ports = memberships.ports(key);
        let mut entries = shard.load().0.to_vec();
        match (
            entries.binary_search_by_key(&key, |(key, _)| *key),
            ports.is_empty(),
        ) {
            (Ok(place), true) => drop(entries.remove(place)),
            (Ok(place), false) => entries[place].1 = ports.into(),
            (Err(place), false) => entries.insert(place, (key, ports.into())),
            (Err(_), true) => return,
        }
        shard.store(Arc::new(Shard(entries.into())));
    }

    /// Makes known who asks and who gets everything.
    pub(super) fn publish_outlook(&self, queriers: &Queriers, routers: &Routers) {
        let beneficiaries = |family| Beneficiaries {
            routers: routers.routers(family).into(),
            all: routers.always(family).into(),
        };
        self.outlook.store(Arc::new(Outlook {
            activities: queriers.activities().collect(),
            v4: beneficiaries(Family::V4),
            v6: beneficiaries(Family::V6),
        }));
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the rest is below SHARD_COUNT"
    )]
    fn shard(&self, key: Key) -> Option<&ArcSwap<Shard>> {
        let place = self.hash.hash_one(key) % SHARD_COUNT as u64;
        self.shards.get(place as usize)
    }
}

impl Outlook {
    fn is_active(&self, now: Timestamp, vlan: Vlan, family: Family) -> bool {
        let key = (vlan, family);
        let place = self.activities.binary_search_by_key(&key, |(key, _)| *key);
        let activity = place.ok().and_then(|place| self.activities.get(place));
        activity.is_some_and(|(_, activity)| activity.from <= now && now < activity.until)
    }

    const fn beneficiaries(&self, family: Family) -> &Beneficiaries {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

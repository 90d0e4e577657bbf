//! Ports that get more than they asked for: those with routers behind them, and those whose
//! memberships do not fit the table.

use std::collections::BTreeMap;

use tapweave_net::{PortNo, Timestamp};

use super::Family;
use super::timers::{MEMBERSHIP_INTERVAL, QUERIER_INTERVAL, Timer, Timers};
use crate::LearnedGroupPort;

/// A port that was heard from, and until when that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    pub(super) since: Timestamp,
    pub(super) expires: Timestamp,
}

/// Router ports and overfull ports. `mark_…` and `expire` tell whether a port came or went.
#[derive(Default)]
pub(super) struct Routers {
    routers: BTreeMap<(PortNo, Family), Heard>,
    overfull: BTreeMap<PortNo, Heard>,
}

impl Routers {
    /// Notes that a router asked on `port`.
    pub(super) fn mark_router(
        &mut self,
        now: Timestamp,
        port: PortNo,
        family: Family,
        timers: &mut Timers,
    ) -> bool {
        let expires = now + QUERIER_INTERVAL;
        let timer = Timer::Router(port, family);
        mark(&mut self.routers, (port, family), now, expires, || {
            timers.set(expires, timer);
        })
    }

    /// Notes that a membership of `port` does not fit.
    pub(super) fn mark_overfull(
        &mut self,
        now: Timestamp,
        port: PortNo,
        timers: &mut Timers,
    ) -> bool {
        let expires = now + MEMBERSHIP_INTERVAL;
        let timer = Timer::Overfull(port);
        mark(&mut self.overfull, port, now, expires, || {
            timers.set(expires, timer);
        })
    }

    /// Takes in a port of an earlier process, which ends between the two `limits`, the first of which is now. Tells
    /// whether it is in: it is not if it is over, or there.
    pub(super) fn restore(
        &mut self,
        port: &LearnedGroupPort,
        (now, limit): (Timestamp, Timestamp),
        timers: &mut Timers,
    ) -> bool {
        let heard = Heard {
            since: port.since.min(now),
            expires: port.expires.min(limit),
        };
        let (is_known, timer) = match port.router {
            Some(family) => (
                self.routers.contains_key(&(port.port, family)),
                Timer::Router(port.port, family),
            ),
            None => (
                self.overfull.contains_key(&port.port),
                Timer::Overfull(port.port),
            ),
        };
        if is_known || heard.expires <= now {
            return false;
        }
        match port.router {
            Some(family) => self.routers.insert((port.port, family), heard),
            None => self.overfull.insert(port.port, heard),
        };
        timers.set(heard.expires, timer);
        true
    }

    /// Ends what `timer` is about if its time has come, and puts the timer off otherwise.
    pub(super) fn expire(&mut self, now: Timestamp, timer: Timer, timers: &mut Timers) -> bool {
        let expires = match timer {
            Timer::Router(port, family) => self.routers.get(&(port, family)),
            Timer::Overfull(port) => self.overfull.get(&port),
            Timer::Membership(..) => None,
        }
        .map(|heard| heard.expires);
        match (expires, timer) {
            (Some(expires), _) if expires > now => {
                timers.set(expires, timer);
                false
            }
            (Some(_), Timer::Router(port, family)) => {
                self.routers.remove(&(port, family)).is_some()
            }
            (Some(_), Timer::Overfull(port)) => self.overfull.remove(&port).is_some(),
            (Some(_) | None, _) => false,
        }
    }

    /// Forgets a port that is gone. Its timers find nothing when they come up.
    pub(super) fn remove_port(&mut self, port: PortNo) -> bool {
        let before = self.routers.len() + self.overfull.len();
        self.routers.retain(|(router, _), _| *router != port);
        self.overfull.remove(&port);
        before != self.routers.len() + self.overfull.len()
    }

    /// Returns the router ports of one IP, in order.
    pub(super) fn routers(&self, family: Family) -> Vec<PortNo> {
        let routers = self.routers.keys();
        routers
            .filter(|(_, of)| *of == family)
            .map(|&(port, _)| port)
            .collect()
    }

    /// Returns the ports that get all groups of one IP, in order.
    pub(super) fn always(&self, family: Family) -> Vec<PortNo> {
        let mut ports = self.routers(family);
        ports.extend(self.overfull.keys());
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Returns all router ports.
    pub(super) fn iter_routers(&self) -> impl Iterator<Item = (PortNo, Family, Heard)> {
        let routers = self.routers.iter();
        routers.map(|(&(port, family), &heard)| (port, family, heard))
    }

    /// Returns all overfull ports.
    pub(super) fn iter_overfull(&self) -> impl Iterator<Item = (PortNo, Heard)> {
        self.overfull.iter().map(|(&port, &heard)| (port, heard))
    }
}

/// Renews or makes the entry of `key`; calls `arm` and returns true when it is new.
fn mark<K: Ord>(
    entries: &mut BTreeMap<K, Heard>,
    key: K,
    now: Timestamp,
    expires: Timestamp,
    arm: impl FnOnce(),
) -> bool {
    if let Some(heard) = entries.get_mut(&key) {
        heard.expires = expires;
        return false;
    }
    entries.insert(
        key,
        Heard {
            since: now,
            expires,
        },
    );
    arm();
    true
}

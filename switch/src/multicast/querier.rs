//! Who asks in which VLAN, from when on its answers are complete, and when the switch asks itself.
//!
//! See "When a querier is believed" in `multicast.rs`. The election is that of Linux
//! (`br_multicast_select_querier`): our IGMP queries come from 0.0.0.0 and yield to any other; our MLD
//! queries come from a link-local address and yield to a lower one (RFC 3810 §7.6.2).

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use tapweave_net::{PortNo, Timestamp};

use super::timers::{
    MEMBERSHIP_INTERVAL, QUERIER_INTERVAL, QUERY_INTERVAL, ROBUSTNESS, STARTUP_INTERVAL,
};
use super::{Family, Vlan};
use crate::LearnedQuerier;

/// From when until when what is known of a VLAN is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Activity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// Who asks in one VLAN.
#[derive(Clone, Copy)]
struct Asked {
    /// When the last general query was heard or sent.
    last: Timestamp,
    activity: Activity,
    /// Until when another querier is there.
    other_until: Timestamp,
}

/// Who asks in the VLANs of a network.
#[derive(Default)]
pub(super) struct Queriers {
    asked: BTreeMap<(Vlan, Family), Asked>,
}

impl Queriers {
    /// Notes a general query of another querier.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        vlan: Vlan,
        source: IpAddr,
        own: Option<IpAddr>,
        max_response: Duration,
    ) {
        let family = match source {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        let asked = self.note(now, vlan, family, max_response);
        let wins = own.is_none_or(|own| own.is_unspecified() || source < own);
        if wins {
            asked.other_until = now + QUERIER_INTERVAL;
        }
    }

    /// Notes a general query of our own.
    pub(super) fn ask(&mut self, now: Timestamp, vlan: Vlan, family: Family, response: Duration) {
        self.note(now, vlan, family, response);
    }

    fn note(
        &mut self,
        now: Timestamp,
        vlan: Vlan,
        family: Family,
        max_response: Duration,
    ) -> &mut Asked {
        let answered = now + max_response;
        let until = now + QUERIER_INTERVAL;
        let asked = self.asked.entry((vlan, family)).or_insert(Asked {
            last: now,
            activity: Activity {
                from: answered,
                until,
            },
            other_until: Timestamp::ZERO,
        });
        let Activity { from, until: ends } = asked.activity;
        let uninterrupted = ends > now && asked.last + MEMBERSHIP_INTERVAL >= answered;
        let from = if from > now {
            // Not complete yet: whichever query is answered first.
            from.min(answered)
        } else if uninterrupted {
            from
        } else {
            answered
        };
        asked.last = now;
        asked.activity = Activity { from, until };
        asked
    }

    /// Takes in what an earlier process knew of a VLAN, unless it is over or something is known by now; tells whether it
    /// did.
    pub(super) fn restore(&mut self, querier: &LearnedQuerier, now: Timestamp) -> bool {
        let key = (querier.vid, querier.family);
        let limit = now + QUERIER_INTERVAL;
        let asked = Asked {
            last: querier.last.min(now),
            activity: Activity {
                from: querier.from,
                until: querier.until.min(limit),
            },
            other_until: querier.other_until.min(limit),
        };
        if asked.activity.until <= now || self.asked.contains_key(&key) {
            return false;
        }
        self.asked.insert(key, asked);
        true
    }

    /// Returns who asks, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = LearnedQuerier> {
        self.asked
            .iter()
            .map(|(&(vid, family), asked)| LearnedQuerier {
                vid,
                family,
                last: asked.last,
                from: asked.activity.from,
                until: asked.activity.until,
                other_until: asked.other_until,
            })
    }

    /// Tells whether another querier is there.
    pub(super) fn other_is_present(&self, now: Timestamp, vlan: Vlan, family: Family) -> bool {
        let asked = self.asked.get(&(vlan, family));
        asked.is_some_and(|asked| asked.other_until > now)
    }

    /// Forgets the VLANs in which nobody asks any more; tells whether there were any.
    pub(super) fn expire(&mut self, now: Timestamp) -> bool {
        let before = self.asked.len();
        self.asked.retain(|_, asked| asked.activity.until > now);
        before != self.asked.len()
    }

    /// Returns the VLANs in which somebody asks, in order.
    pub(super) fn activities(&self) -> impl Iterator<Item = ((Vlan, Family), Activity)> {
        self.asked.iter().map(|(&key, asked)| (key, asked.activity))
    }
}

/// When the switch asks everybody.
#[derive(Default)]
pub(super) struct Schedule {
    /// When the next round is due; none before the first.
    next: Option<Timestamp>,
    /// Rounds so far, as long as they are counted: up to [`ROBUSTNESS`].
    round_count: u8,
    /// Whom the last call knew.
    ports: Vec<PortNo>,
    vlans: Vec<Vlan>,
}

/// Whom to ask now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// VLANs in which every port is asked.
    pub(super) vlans: Vec<Vlan>,
    /// Ports that are new and asked in the other VLANs too.
    pub(super) ports: Vec<PortNo>,
}

impl Schedule {
    /// Returns whom to ask now, given all ports and all VLANs, both in order: everybody when a round is
    /// due, otherwise what is new. The second round follows the first sooner (RFC 3376 §8.6, §8.7).
    pub(super) fn poll(&mut self, now: Timestamp, ports: &[PortNo], vlans: &[Vlan]) -> Round {
        let round = if self.next.is_none_or(|next| next <= now) {
            self.round_count = ROBUSTNESS.min(self.round_count + 1);
            let interval = if self.round_count < ROBUSTNESS {
                STARTUP_INTERVAL
            } else {
                QUERY_INTERVAL
            };
            self.next = Some(now + interval);
            Round {
                vlans: vlans.to_vec(),
                ports: Vec::new(),
            }
        } else {
            Round {
                vlans: missing(vlans, &self.vlans),
                ports: missing(ports, &self.ports),
            }
        };
        ports.clone_into(&mut self.ports);
        vlans.clone_into(&mut self.vlans);
        round
    }
}

/// Returns what is in `all` and not in `known`, both in order.
fn missing<T: Ord + Copy>(all: &[T], known: &[T]) -> Vec<T> {
    let unknown = |item: &&T| known.binary_search(item).is_err();
    all.iter().filter(unknown).copied().collect()
}

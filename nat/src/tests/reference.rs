//! A NAT for UDP that is as simple as can be: two maps, no sharing, no limits.
//!
//! Which external port a mapping gets is the one thing that it does not decide; it is told.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use tapweave_net::{NetworkNo, Timestamp};

/// Whose addresses, where packets with these addresses are seen: a network, or the outside.
pub(super) type Side = Option<NetworkNo>;
/// A packet's addresses, and where it is seen.
pub(super) type Key = (Side, SocketAddr, SocketAddr);
/// A port of a sandbox.
pub(super) type Inside = (NetworkNo, SocketAddr);

#[derive(Debug)]
pub(super) struct Reference {
    pub(super) now: Timestamp,
    /// Published port, and where it leads.
    pub(super) published: Vec<(SocketAddr, Inside)>,
    pub(super) external: Vec<core::net::IpAddr>,
    pub(super) mappings: BTreeMap<Inside, SocketAddr>,
    pub(super) flows: Vec<Flow>,
}

#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) original: Key,
    pub(super) reply: Key,
    /// Ports whose mappings live at least as long.
    uses: Vec<Inside>,
    last: Timestamp,
    is_answered: bool,
    is_in_use: bool,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It gets other addresses and is seen on another side.
    Becomes(Key),
    /// It needs a mapping for this port first.
    Needs(Inside),
    /// It is dropped.
    Lost,
}

impl Flow {
    fn lives_until(&self) -> Timestamp {
        let timeout = if self.is_in_use { 301 } else { 121 };
        self.last + Duration::from_secs(timeout)
    }
}

impl Reference {
    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        let now = self.now;
        self.flows.retain(|flow| flow.lives_until() > now);
        let flows = &self.flows;
        self.mappings
            .retain(|inside, _| flows.iter().any(|flow| flow.uses.contains(inside)));
    }

    pub(super) fn flush(&mut self) {
        self.flows.clear();
        self.mappings.clear();
    }

    /// Returns the external end of a port, and whether it is that of a mapping.
    fn external_of(&self, inside: Inside) -> Option<(SocketAddr, bool)> {
        let published = self.published.iter().find(|(_, target)| *target == inside);
        published
            .map(|(host, _)| (*host, false))
            .or_else(|| self.mappings.get(&inside).map(|host| (*host, true)))
    }

    /// Returns what an external end leads to, and whether that is by a mapping.
    fn inside_of(&self, external: SocketAddr) -> Option<(Inside, bool)> {
        let published = self.published.iter().find(|(host, _)| *host == external);
        let mapped = || self.mappings.iter().find(|(_, host)| **host == external);
        published
            .map(|(_, inside)| (*inside, false))
            .or_else(|| mapped().map(|(inside, _)| (*inside, true)))
    }

    pub(super) fn send(&mut self, key: Key) -> Fate {
        let now = self.now;
        for flow in &mut self.flows {
            if flow.original == key {
                flow.is_in_use |= flow.is_answered;
                flow.last = now;
                return Fate::Becomes(turned(flow.reply));
            }
            if flow.reply == key {
                flow.is_answered = true;
                flow.last = now;
                return Fate::Becomes(turned(flow.original));
            }
        }
        let (side, src, dst) = key;
        let Some(network) = side else {
            return match self.inside_of(dst) {
                None => Fate::Lost,
                // Strangers are let in without a flow.
                Some(((network, to), true)) => Fate::Becomes((Some(network), src, to)),
                Some(((network, to), false)) => self.begin(key, (Some(network), to, src), vec![]),
            };
        };
        let inside = (network, src);
        let target = self.inside_of(dst);
        let is_hairpin = self.external.contains(&dst.ip());
        if is_hairpin && target.is_none() {
            return Fate::Lost;
        }
        let Some((external, is_mapped)) = self.external_of(inside) else {
            return Fate::Needs(inside);
        };
        let mut uses = if is_mapped { vec![inside] } else { vec![] };
        let reply = match target {
            Some((server, is_mapped)) if is_hairpin => {
                if is_mapped {
                    uses.push(server);
                }
                (Some(server.0), server.1, external)
            }
            _ => (None, dst, external),
        };
        if reply == key {
            return Fate::Becomes(turned(reply));
        }
        self.begin(key, reply, uses)
    }

    fn begin(&mut self, original: Key, reply: Key, uses: Vec<Inside>) -> Fate {
        self.flows.push(Flow {
            original,
            reply,
            uses,
            last: self.now,
            is_answered: false,
            is_in_use: false,
        });
        Fate::Becomes(turned(reply))
    }
}

/// Returns the addresses of a packet against the direction of `key`, on its side.
fn turned((side, src, dst): Key) -> Key {
    (side, dst, src)
}

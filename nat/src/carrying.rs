//! How flows outlive the process: what a journal of them is written from, and how they come into another table.
//!
//! # Theory of operation
//!
//! A journal keeps, for each *place* of the table, the flow that stands there. It is told of places whose flow is
//! new, over, in another state, or about to end later than was said ([`Nat::poll_changes`]); between two such
//! moments only counts and sequence numbers change. So what it says of a flow is right but for these, and
//!
//! - the end of a flow is written as up to an eighth of its time later than it is: a flow may live that much longer
//!   after a restart, never shorter;
//! - an open connection comes back without its windows, as one that was picked up in the middle, see `tcp.rs`: where
//!   its ends are was not written, and segments may have passed meanwhile.
//!
//! Mappings and the counts of sandboxes are not written. They follow from the flows, which name both ends of theirs.
//!
//! While flows are restored, the rules come one after the other: a published port is not there yet, an external
//! address is. So what rules forbid is not removed until all are there ([`Nat::finish_restoring`]).
//!
//! What comes back was bytes in between, so it is checked for being a flow at all ([`is_flow`]).

use core::sync::atomic::Ordering;
use core::time::Duration;

use tapweave_net::{IpProtocol, NetworkNo, Timestamp};

use crate::flow::{host_of, interrupted, journaled_end, opener_ends, server_ends};
use crate::label::{Kind, Label};
use crate::nat::Nat;
use crate::table::{Endpoint, Entry, Insert, Realm, Record, Tuple};
use crate::{FlowKind, NatRules, Timeouts};

impl Nat {
    /// Tells `tell` of the places whose flow has changed since the last call, with the flow as it is to be restored,
    /// or none if there is none; of at most about `budget` places. Tells how many it were. Of a change that comes
    /// meanwhile it tells now or the next time. For one caller at a time.
    pub fn poll_changes(&self, budget: usize, mut tell: impl FnMut(u32, Option<Entry>)) -> usize {
        self.table
            .take_changed(budget, |place| tell(place, self.flow_in(place)))
    }

    /// Tells whether there may be changes to [poll](Self::poll_changes). Costs next to nothing.
    pub fn has_changes(&self) -> bool {
        self.table.has_changed()
    }

    /// Returns how many places have been used: there is no flow beyond.
    pub fn place_count(&self) -> u32 {
        self.table.slot_count()
    }

    /// Returns the flow in a place, as it is to be restored.
    pub fn flow_in(&self, place: u32) -> Option<Entry> {
        let flow = self.table.record_in(place)?.entry()?;
        if !Label::from_u32(flow.label).is_flow() {
            return None;
        }
        let timeout = self.config.timeouts.of_flow(&flow);
        Some(Entry {
            expires: journaled_end(flow.expires, timeout),
            ..flow
        })
    }

    /// States that flows of an earlier process will come.
    pub fn begin_restoring(&self) {
        self.is_restoring.store(true, Ordering::Relaxed);
    }

    /// States that all flows of an earlier process that there are have come, and all rules. Removes what the rules
    /// would not make; tells how many flows it were.
    pub fn finish_restoring(&self, rules: &NatRules) -> usize {
        self.is_restoring.store(false, Ordering::Relaxed);
        self.retire(rules)
    }

    /// Takes in a flow of an earlier process, whose times are of the present clock and whose networks have their
    /// present numbers; tells whether it is in. It is not if it is over, is no flow at all, or contradicts one that
    /// is there. The mapping and the count of its sandbox follow from it; limits are not asked.
    pub fn restore(&self, flow: &Entry, now: Timestamp) -> bool {
        if !is_flow(flow) || flow.expires <= now {
            return false;
        }
        let flow = Entry {
            expires: flow.expires.min(now + longest(&self.config.timeouts)),
            ..interrupted(flow)
        };
        let label = Label::from_u32(flow.label);
        let has = |holds: bool, (internal, external)| {
            holds && self.restore_share(now, &internal, external)
        };
        let held = label
            .without_shares()
            .with_opener_mapping(has(label.holds_opener_mapping(), opener_ends(&flow)))
            .with_server_mapping(has(label.holds_server_mapping(), server_ends(&flow)))
            .with_counted(label.is_counted() && self.restore_count(now, &host_of(&flow.original)));
        let is_inserted = held == label
            && matches!(
                self.table.insert(now, &flow, |gone| self.forget(gone)),
                Insert::Added(_)
            );
        if !is_inserted {
            self.forget(&Entry {
                label: held.to_u32(),
                ..flow
            });
        }
        is_inserted
    }

    /// Takes a flow out again that was [restored](Self::restore) and has changed since; tells whether it was there.
    pub fn withdraw(&self, flow: &Entry) -> bool {
        // Whether its time is over does not matter.
        let found = self.table.find(&flow.original, Timestamp::ZERO);
        let found = found.map(|(record, _)| record).filter(|record| {
            record.entry().is_some_and(|entry| {
                (entry.original, entry.reply) == (flow.original, flow.reply)
                    && Label::from_u32(entry.label).is_flow()
            })
        });
        let gone = found.and_then(Record::remove);
        if let Some(gone) = &gone {
            self.forget(gone);
        }
        gone.is_some()
    }
}

impl Entry {
    /// Returns the networks that the flow is of: that of the one who opened it first, none for the outside.
    pub fn networks(&self) -> [Option<NetworkNo>; 2] {
        [self.original.realm.network(), self.reply.realm.network()]
    }

    /// Returns the flow with other numbers of its networks; none if one of them has no number any more.
    #[must_use]
    pub fn renumbered(
        &self,
        mut renumber: impl FnMut(NetworkNo) -> Option<NetworkNo>,
    ) -> Option<Self> {
        let mut realm = |realm: Realm| match realm.network() {
            Some(network) => renumber(network).map(Realm::of),
            None => Some(realm),
        };
        Some(Self {
            original: Tuple {
                realm: realm(self.original.realm)?,
                ..self.original
            },
            reply: Tuple {
                realm: realm(self.reply.realm)?,
                ..self.reply
            },
            ..*self
        })
    }
}

/// Returns the longest time that a flow can have left.
fn longest(timeouts: &Timeouts) -> Duration {
    let all = [
        timeouts.tcp_established,
        timeouts.tcp_transitory,
        timeouts.tcp_syn,
        timeouts.tcp_reset,
        timeouts.udp,
        timeouts.udp_brief,
        timeouts.icmp_query,
    ];
    let longest = all.into_iter().max().unwrap_or_default();
    longest + longest / 8 + Timeouts::GRANULARITY
}

/// Tells whether an entry is what this table could hold as a flow.
fn is_flow(entry: &Entry) -> bool {
    let Entry {
        original, reply, ..
    } = entry;
    let label = Label::from_u32(entry.label);
    let Kind::Flow(kind) = label.kind() else {
        return false;
    };
    let networks = entry.networks();
    let has_ends = match kind {
        FlowKind::Mapping => false,
        FlowKind::Masqueraded => matches!(networks, [Some(_), None]),
        FlowKind::Published | FlowKind::Admitted => matches!(networks, [None, Some(_)]),
        FlowKind::Hairpin => matches!(networks, [Some(_), Some(_)]),
    };
    let may_hold_server = matches!(kind, FlowKind::Admitted | FlowKind::Hairpin);
    let may_hold_opener = matches!(kind, FlowKind::Masqueraded | FlowKind::Hairpin);
    let is_v4 = |end: Endpoint| end.ip().is_ipv4();
    let ends = [original.src, original.dst, reply.src, reply.dst];
    let protocol = match original.protocol {
        IpProtocol::TCP | IpProtocol::UDP => true,
        IpProtocol::ICMPV4 => is_v4(original.src),
        IpProtocol::ICMPV6 => !is_v4(original.src),
        _ => false,
    };
    has_ends
        && protocol
        && original.protocol == reply.protocol
        && original != reply
        && ends
            .into_iter()
            .all(|end| is_v4(end) == is_v4(original.src))
        && label.is_known()
        && (may_hold_server || !label.holds_server_mapping())
        && (may_hold_opener || !(label.holds_opener_mapping() || label.is_counted()))
        && entry.state & Entry::KEPT == 0
}

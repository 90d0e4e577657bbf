//! How flows end: by their time, by request, because the rules changed.

use core::sync::atomic::Ordering;

use tapweave_net::Timestamp;

use crate::flow::state_of;
use crate::label::{Kind, Label};
use crate::nat::Nat;
use crate::table::{Endpoint, Entry, Tuple};
use crate::{Endpoints, FlowEntry, FlowFilter, FlowKind, NatRules};

impl Nat {
    /// Looks at up to `budget` records and removes those whose time is over, and the fragments that have
    /// waited too long; tells how many records it were. To be called
    /// often enough that a full round takes a few seconds. In between, expired flows are not found, but
    /// their mappings are.
    pub fn poll_expiry(&self, now: Timestamp, budget: usize) -> usize {
        let budget = u32::try_from(budget).unwrap_or(u32::MAX);
        self.fragments.poll_expiry(now);
        let sweep = self.table.sweep(now, budget, |gone| self.forget(gone));
        sweep.removed
    }

    /// Returns the flows and mappings that fit `filter`, in no particular order. Each is read when it is asked for:
    /// who wants few of many stops.
    pub fn flows(&self, now: Timestamp, filter: FlowFilter) -> impl Iterator<Item = FlowEntry> {
        self.table
            .entries(now)
            .filter_map(move |(_, entry)| FlowEntry::of(&entry, now))
            .filter(move |flow| filter.fits(flow))
    }

    /// Removes the flows that fit `filter`, and with them the mappings that nothing uses any longer; tells
    /// how many flows it were.
    pub fn flush(&self, filter: &FlowFilter) -> usize {
        self.remove_flows(|entry| {
            FlowEntry::of(entry, Timestamp::ZERO).is_some_and(|flow| filter.fits(&flow))
        })
    }

    /// Removes what `rules` would not make any more: flows by an external address that is gone, by the
    /// mapping of a port that is published or reserved now, or by a published port that leads elsewhere
    /// now, and the mappings that nothing uses any longer. To be called after the rules were changed;
    /// tells how many flows it were.
    ///
    /// Nothing is removed [while flows are restored](Nat::begin_restoring): rules come one after the other then.
    pub fn retire(&self, rules: &NatRules) -> usize {
        if self.is_restoring.load(Ordering::Relaxed) {
            return 0;
        }
        self.remove_flows(|entry| is_stale(entry, rules))
    }

    fn remove_flows(&self, mut goes: impl FnMut(&Entry) -> bool) -> usize {
        let gone = self.table.records().filter_map(|record| {
            let entry = record.entry()?;
            if !Label::from_u32(entry.label).is_flow() || !goes(&entry) {
                return None;
            }
            record.remove()
        });
        gone.inspect(|entry| self.forget(entry)).count()
    }
}

/// Tells whether rules would not make a flow as it is.
fn is_stale(entry: &Entry, rules: &NatRules) -> bool {
    let (original, reply) = (&entry.original, &entry.reply);
    let label = Label::from_u32(entry.label);
    let opener = || is_stale_end(rules, original, reply.dst, label.holds_opener_mapping());
    let server = || is_stale_end(rules, reply, original.dst, label.holds_server_mapping());
    match label.kind() {
        Kind::Flow(FlowKind::Masqueraded) => opener(),
        Kind::Flow(FlowKind::Published | FlowKind::Admitted) => server(),
        Kind::Flow(FlowKind::Hairpin) => opener() || server(),
        Kind::Flow(FlowKind::Mapping) | Kind::Host => false,
    }
}

/// Tells whether the external end of a sandbox's port is not what rules say. `inside` is a key of packets
/// that come from there.
fn is_stale_end(rules: &NatRules, inside: &Tuple, external: Endpoint, is_mapped: bool) -> bool {
    let Some(network) = inside.realm.network() else {
        return true;
    };
    let (protocol, address) = (inside.protocol, inside.src.ip());
    if !rules.is_external(external.ip()) || rules.masquerade(network).is_none() {
        return true;
    }
    if is_mapped {
        return !rules.may_map(protocol, external.port());
    }
    let target = (network, address, inside.src.port());
    rules.published_at(protocol, external.ip(), external.port()) != Some(target)
}

impl FlowEntry {
    /// Returns a record as users see it, unless they do not.
    fn of(entry: &Entry, now: Timestamp) -> Option<Self> {
        let Kind::Flow(kind) = Label::from_u32(entry.label).kind() else {
            return None;
        };
        Some(Self {
            kind,
            protocol: entry.original.protocol,
            opened_in: entry.original.realm.network(),
            answered_in: entry.reply.realm.network(),
            original: endpoints(&entry.original),
            reply: endpoints(&entry.reply),
            state: state_of(entry),
            expires_in: entry.expires.since(now),
            original_packets: entry.packets[0],
            original_bytes: entry.bytes[0],
            reply_packets: entry.packets[1],
            reply_bytes: entry.bytes[1],
        })
    }
}

fn endpoints(tuple: &Tuple) -> Endpoints {
    Endpoints::between(tuple.src, tuple.dst)
}

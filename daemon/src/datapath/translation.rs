//! What the gateways translate: keeps the rules in step with networks, published ports and the uplink,
//! and shows flows.
//!
//! Flows of an earlier daemon come into the table with their networks: see [`crate::carry`].
//!
//! The rules are made anew from all that is known whenever some of it changes, by one thread at a time,
//! and replace the old ones as a whole; so nothing depends on the order in which things come and go. What
//! the new rules would not allow any more ends then.

mod carrying;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapweave_control::datapath::{
    ConnectionLimits, FlowCounters, FlowTuple, NatFlow, NatStats, PublishedPorts, Transport, WayOut,
};
use tapweave_control::{Id, PortRange};
use tapweave_nat::{
    Endpoints, FlowEntry, FlowFilter, FlowKind, Limited, Limits, Masquerade, Nat, NatDrop,
    NatRules, NetworkRules, PortProtocol, Published, Reserved, RulesConfig, RulesError,
};
use tapweave_net::{IpProtocol, NetworkNo, Timestamp};
use tapweave_switch::Switch;
use tracing::error;

use self::carrying::Carrying;
use crate::carry::{FlowNews, Journal};
use crate::clock::Clock;

/// Translates for all gateways of the switch.
#[derive(Debug)]
pub(crate) struct Translation {
    switch: Arc<Switch>,
    nat: Arc<Nat>,
    clock: Clock,
    wishes: Mutex<Wishes>,
    carrying: Carrying,
}

/// All that the rules are made of.
#[derive(Clone, Debug)]
struct Wishes {
    ports: RangeInclusive<u16>,
    networks: BTreeMap<NetworkNo, Masquerade>,
    published: Vec<PublishedPorts>,
    external: Vec<IpAddr>,
    reserved: Vec<(Transport, u16)>,
    limited: BTreeMap<(NetworkNo, IpAddr), Limits>,
}

impl Translation {
    /// Returns the translation of `switch` by `nat`, whose mappings get ports of this range. Until
    /// [`Translation::settle`], flows of an earlier daemon come in.
    pub(crate) fn new(
        switch: Arc<Switch>,
        nat: Arc<Nat>,
        ports: PortRange,
        clock: Clock,
        journal: Option<Journal>,
    ) -> Self {
        let wishes = Mutex::new(Wishes {
            ports: ports.ports(),
            networks: BTreeMap::new(),
            published: Vec::new(),
            external: Vec::new(),
            reserved: Vec::new(),
            limited: BTreeMap::new(),
        });
        nat.begin_restoring();
        Self {
            switch,
            nat,
            clock,
            wishes,
            carrying: Carrying::new(journal),
        }
    }

    /// Takes the flows that an earlier daemon has left, before any port of it is there again: see [`Carrying::inherit`].
    pub(super) fn inherit(&self, news: FlowNews) {
        self.carrying.inherit(&self.nat, news, self.clock.now());
    }

    /// Lets the network `id` out, or in; not those that are internal. Its flows of before are there when this returns.
    pub(super) fn add_network(&self, network: NetworkNo, id: &Id, way_out: WayOut) {
        let masquerade = match way_out {
            WayOut::Masquerade => Masquerade::Yes,
            WayOut::Routed => Masquerade::No,
            WayOut::None => return,
        };
        let now = self.clock.now();
        self.carrying.network_made(&self.nat, id, network, now);
        self.change(|wishes| wishes.networks.insert(network, masquerade));
    }

    /// States that all that was there before is there again, as far as it can be: see [`Carrying::settle`].
    pub(super) fn settle(&self) {
        let rules = NatRules::new(&self.wishes().rules());
        match rules {
            Ok(rules) => self.carrying.settle(&self.nat, &rules),
            // They were accepted before.
            Err(cause) => error!(%cause, "flows of an earlier daemon stay that no rule allows"),
        }
    }

    /// Writes down what has become of flows since the last call, if anything has; see [`crate::carry::Journal`].
    pub(super) fn write_journal(&self) {
        self.carrying.write_journal(self.clock.now());
    }

    /// Writes down all that is left to be written: nothing is translated any more.
    pub(super) fn finish_journal(&self) {
        self.carrying.finish_journal(self.clock.now());
    }

    /// Tells whether there is something to write down.
    pub(super) fn is_journal_due(&self) -> bool {
        self.carrying.is_journal_due()
    }

    /// Forgets a network and its flows.
    pub(super) fn remove_network(&self, network: NetworkNo) {
        let removed = self.change(|wishes| wishes.networks.remove(&network));
        if removed.is_some() {
            self.flush(Some(network));
            self.carrying.network_gone(network);
        }
    }

    /// Limits the connections of a sandbox, by each of its addresses.
    pub(super) fn limit(&self, addresses: &[(NetworkNo, IpAddr)], connections: ConnectionLimits) {
        if connections == ConnectionLimits::default() {
            return;
        }
        let default = self.nat.config().limits;
        let limits = Limits {
            flows: connections.count.or(default.flows),
            new_flows_per_second: connections.per_second.or(default.new_flows_per_second),
        };
        let limited = addresses.iter().map(|&address| (address, limits));
        self.change(|wishes| wishes.limited.extend(limited));
    }

    /// Forgets the flows of a sandbox, and its limits.
    pub(super) fn forget(&self, addresses: &[(NetworkNo, IpAddr)]) {
        let is_limited = |wishes: &Wishes| {
            addresses
                .iter()
                .any(|address| wishes.limited.contains_key(address))
        };
        if is_limited(&self.wishes()) {
            self.change(|wishes| {
                for address in addresses {
                    wishes.limited.remove(address);
                }
            });
        }
        for &(network, address) in addresses {
            self.nat.flush(&FlowFilter {
                address: Some(address),
                ..of_network(Some(network))
            });
        }
    }

    /// Replaces the published ports.
    ///
    /// # Errors
    ///
    /// When two of them overlap; then all is as it was.
    pub(super) fn set_published(&self, ports: &[PublishedPorts]) -> Result<(), RulesError> {
        let mut wishes = self.wishes();
        let changed = Wishes {
            published: ports.to_vec(),
            ..wishes.clone()
        };
        self.apply(&changed)?;
        *wishes = changed;
        Ok(())
    }

    /// Returns the published ports.
    pub(super) fn published(&self) -> Vec<PublishedPorts> {
        self.wishes().published.clone()
    }

    /// Replaces the addresses that sandboxes have outside, and the ports there that are not theirs.
    pub(super) fn set_outside(&self, external: Vec<IpAddr>, reserved: Vec<(Transport, u16)>) {
        let is_known = {
            let wishes = self.wishes();
            wishes.external == external && wishes.reserved == reserved
        };
        if !is_known {
            self.change(|wishes| {
                wishes.external = external;
                wishes.reserved = reserved;
            });
        }
    }

    /// Returns at most `limit` flows of a network, or of all. Mappings are not shown: they are what flows
    /// of one port have in common.
    pub(super) fn flows(
        &self,
        now: Timestamp,
        network: Option<NetworkNo>,
        limit: usize,
    ) -> Vec<NatFlow> {
        let flows = self.nat.flows(now, of_network(network));
        let shown = flows.filter_map(|flow| nat_flow(&flow));
        shown.take(limit).collect()
    }

    /// Forgets the flows of a network, or of all, and returns how many there were.
    pub(super) fn flush(&self, network: Option<NetworkNo>) -> usize {
        self.nat.flush(&of_network(network))
    }

    pub(super) fn stats(&self) -> NatStats {
        let stats = self.nat.stats();
        let counters = [
            ("translated", stats.translated),
            ("flows_added", stats.flows_added),
            ("flows_evicted", stats.flows_evicted),
            ("mappings_added", stats.mappings_added),
            ("mappings_yielded", stats.mappings_yielded),
            ("tcp_out_of_window", stats.tcp_out_of_window),
        ];
        let counters = [&counters[..], &self.carrying.counters()].concat();
        let drops = NatDrop::ALL.map(|reason| (reason.as_str(), stats.dropped(reason)));
        let counted = |counters: &[(&str, u64)]| {
            let counters = counters.iter().filter(|(_, count)| *count > 0);
            counters
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        NatStats {
            entries: self.nat.len(),
            limit: usize::try_from(self.nat.config().flow_limit).unwrap_or(usize::MAX),
            counters: counted(&counters),
            drops: counted(&drops),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Wishes) -> T) -> T {
        let mut wishes = self.wishes();
        let changed = change(&mut wishes);
        if let Err(cause) = self.apply(&wishes) {
            // The published ports were accepted before, and nothing else can contradict itself.
            error!(%cause, "the gateways go on by their old rules");
        }
        changed
    }

    fn apply(&self, wishes: &Wishes) -> Result<(), RulesError> {
        let rules = NatRules::new(&wishes.rules())?;
        self.switch.set_nat(&self.nat, rules);
        Ok(())
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wishes {
    fn rules(&self) -> RulesConfig {
        let networks = self.networks.iter();
        let reserved = self.reserved.iter();
        let limited = self.limited.iter();
        RulesConfig {
            external: self.external.clone(),
            ports: self.ports.clone(),
            published: self.published.iter().map(published).collect(),
            reserved: reserved
                .map(|&(transport, port)| Reserved {
                    protocol: port_protocol(transport),
                    ports: port..=port,
                })
                .collect(),
            networks: networks
                .map(|(&network, &masquerade)| NetworkRules {
                    network,
                    masquerade,
                })
                .collect(),
            limited: limited
                .map(|(&(network, address), &limits)| Limited {
                    network,
                    address,
                    limits,
                })
                .collect(),
        }
    }
}

fn published(ports: &PublishedPorts) -> Published {
    Published {
        protocol: port_protocol(ports.transport),
        host_addr: ports.host,
        host_ports: ports.host_ports.ports(),
        network: ports.network,
        target: ports.target,
        target_port: ports.target_ports.first(),
    }
}

const fn port_protocol(transport: Transport) -> PortProtocol {
    match transport {
        Transport::Tcp => PortProtocol::Tcp,
        Transport::Udp => PortProtocol::Udp,
    }
}

fn of_network(network: Option<NetworkNo>) -> FlowFilter {
    FlowFilter {
        network,
        ..FlowFilter::default()
    }
}

/// Returns the flow in the words of the control plane, `None` for a mapping and for what has no inner
/// side.
fn nat_flow(flow: &FlowEntry) -> Option<NatFlow> {
    if flow.kind == FlowKind::Mapping {
        return None;
    }
    let (network, inner) = match (flow.opened_in, flow.answered_in) {
        (Some(network), _) => (network, flow.original.src),
        (None, network) => (network?, flow.reply.src),
    };
    let (protocol, is_query) = match flow.protocol {
        IpProtocol::TCP => ("tcp", false),
        IpProtocol::UDP => ("udp", false),
        IpProtocol::ICMPV4 => ("icmp", true),
        IpProtocol::ICMPV6 => ("icmpv6", true),
        // Nothing else is translated.
        _ => return None,
    };
    // The identifier of a query stands on the side of the one who asks.
    let original_id = is_query.then(|| flow.original.src.port());
    let reply_id = is_query.then(|| flow.reply.dst.port());
    Some(NatFlow {
        kind: flow.kind.as_str(),
        network,
        inner: inner.ip(),
        protocol,
        original: tuple(&flow.original, original_id),
        reply: tuple(&flow.reply, reply_id),
        state: flow.state.as_str(),
        expires: flow.expires_in,
        sent: FlowCounters {
            packets: flow.original_packets,
            bytes: flow.original_bytes,
        },
        received: FlowCounters {
            packets: flow.reply_packets,
            bytes: flow.reply_bytes,
        },
    })
}

fn tuple(ends: &Endpoints, id: Option<u16>) -> FlowTuple {
    let ports = id.is_none();
    FlowTuple {
        source: ends.src.ip(),
        destination: ends.dst.ip(),
        source_port: ports.then(|| ends.src.port()),
        destination_port: ports.then(|| ends.dst.port()),
        id,
    }
}

#[cfg(test)]
mod tests;

//! The figures of a daemon for Prometheus.
//!
//! Names follow the conventions of Prometheus: the unit is the last word before `_total`, `receive` is what
//! came in from the sandbox. How many series there are is bounded: those of ports, peers and networks are
//! given for the first [`SERIES_MAX`] of each, in order of their names, and `tapweave_omitted` says how many
//! were left out; everything else has labels whose values come from short lists.

use std::collections::BTreeMap;

use crate::Controller;
use crate::api::{PeerStateView, PeerView, Port, PortCounters, ServiceStats, Stats};

mod text;

pub(crate) use text::{Kind, Text};

/// Most ports, peers and networks that have series of their own.
const SERIES_MAX: usize = 1000;

/// The figures that every port has, and their names after `tapweave_port_` and `tapweave_peer_`.
const COUNTERS: [Counter; 4] = [
    Counter {
        name: "receive_frames_total",
        help: "Frames that came in",
        value: |counters| counters.rx_frames,
    },
    Counter {
        name: "receive_bytes_total",
        help: "Bytes of the frames that came in",
        value: |counters| counters.rx_bytes,
    },
    Counter {
        name: "transmit_frames_total",
        help: "Frames that went out",
        value: |counters| counters.tx_frames,
    },
    Counter {
        name: "transmit_bytes_total",
        help: "Bytes of the frames that went out",
        value: |counters| counters.tx_bytes,
    },
];

/// Counts by what was counted.
type Counts = BTreeMap<String, u64>;

struct Counter {
    name: &'static str,
    help: &'static str,
    value: fn(&PortCounters) -> u64,
}

impl Controller {
    /// Writes the figures of networks, ports, peers, tables, workers and events.
    pub(crate) fn write_metrics(&self, text: &mut Text) {
        let version = env!("CARGO_PKG_VERSION");
        text.family("tapweave_build_info", Kind::Gauge, "Which daemon this is");
        text.sample(&[("version", version)], 1);
        // Without a network that is named, there is nothing to refuse.
        let ports = self.ports(None).unwrap_or_default();
        let peers = self.peers(None).unwrap_or_default();
        let stats = self.stats();
        write_sizes(text, &stats, &peers);
        write_ports(text, ports.get(..SERIES_MAX).unwrap_or(&ports));
        write_peers(text, peers.get(..SERIES_MAX).unwrap_or(&peers));
        write_tables(text, &stats);
        write_services(text, &stats);
        write_workers(text, &stats);
        write_outside(text, &stats);
        self.write_events(text);
    }

    fn write_events(&self, text: &mut Text) {
        let counts = self.events().counts();
        text.family("tapweave_events_total", Kind::Counter, "What has happened");
        for ((kind, action), count) in &counts {
            let labels = [("type", kind.as_str()), ("action", action.as_str())];
            text.sample(&labels, *count);
        }
        let help = "What was not as it was meant to be, and is again";
        text.family("tapweave_repairs_total", Kind::Counter, help);
        for (repair, count) in self.repairs() {
            text.sample(&[("repair", &repair)], count);
        }
    }
}

fn write_sizes(text: &mut Text, stats: &Stats, peers: &[PeerView]) {
    let sizes = [
        ("networks", stats.networks),
        ("sandboxes", stats.sandboxes),
        ("ports", stats.ports),
        ("peers", peers.len()),
    ];
    for (name, size) in sizes {
        let help = format!("How many {name} there are");
        text.family(&format!("tapweave_{name}"), Kind::Gauge, &help);
        text.sample(&[], number(size));
    }
    let help = "What has no series of its own, because there is too much of it";
    text.family("tapweave_omitted", Kind::Gauge, help);
    for (name, size) in sizes.into_iter().filter(|(name, _)| *name != "sandboxes") {
        text.sample(&[("kind", name)], number(size.saturating_sub(SERIES_MAX)));
    }
}

fn write_ports(text: &mut Text, ports: &[Port]) {
    for Counter { name, help, value } in COUNTERS {
        let name = format!("tapweave_port_{name}");
        text.family(
            &name,
            Kind::Counter,
            &format!("{help}, by port of a sandbox"),
        );
        for port in ports {
            text.sample(&place(port), value(&port.counters));
        }
    }
    let help = "Frames that were dropped, by port and reason";
    text.family("tapweave_port_dropped_frames_total", Kind::Counter, help);
    for port in ports {
        let [network, sandbox] = place(port);
        for (reason, count) in &port.counters.drops {
            text.sample(&[network, sandbox, ("reason", reason)], *count);
        }
    }
}

fn place(port: &Port) -> [(&'static str, &str); 2] {
    let endpoint = &port.endpoint;
    [
        ("network", endpoint.network.as_str()),
        ("sandbox", endpoint.sandbox.as_str()),
    ]
}

fn write_peers(text: &mut Text, peers: &[PeerView]) {
    let mut family = |name: &str, kind, help: &str, value: &dyn Fn(&PeerView) -> u64| {
        text.family(&format!("tapweave_peer_{name}"), kind, help);
        for peer in peers {
            let address = peer.address.to_string();
            let labels = [("network", peer.network.as_str()), ("peer", &address)];
            text.sample(&labels, value(peer));
        }
    };
    for Counter { name, help, value } in COUNTERS {
        let help = format!("{help}, by peer of an overlay network");
        family(name, Kind::Counter, &help, &|peer| value(&peer.counters));
    }
    let help = "Frames that were dropped, by peer";
    let drops = |peer: &PeerView| peer.counters.drop_count();
    family("dropped_frames_total", Kind::Counter, help, &drops);
    let help = "1 when something came from the peer in the last minute, otherwise 0";
    let heard = |peer: &PeerView| u64::from(peer.state == PeerStateView::Heard);
    family("heard", Kind::Gauge, help, &heard);
    let help = "Largest IP packet that the way to the peer takes";
    let path_mtu = |peer: &PeerView| u64::from(peer.path_mtu);
    family("path_mtu_bytes", Kind::Gauge, help, &path_mtu);
}

fn write_tables(text: &mut Text, stats: &Stats) {
    let tables = stats.fdb.get(..SERIES_MAX).unwrap_or(&stats.fdb);
    let help = "Entries of the forwarding table, by network";
    text.family("tapweave_fdb_entries", Kind::Gauge, help);
    for fdb in tables {
        text.sample(&[("network", fdb.network.as_str())], number(fdb.entries));
    }
    let help = "Most entries of the forwarding table, by network";
    text.family("tapweave_fdb_entries_limit", Kind::Gauge, help);
    for fdb in tables {
        let limit = u64::from(fdb.limit);
        text.sample(&[("network", fdb.network.as_str())], limit);
    }
    let nat = &stats.nat;
    let help = "Flows that are translated, and the mappings that they share";
    text.family("tapweave_nat_entries", Kind::Gauge, help);
    text.sample(&[], number(nat.entries));
    let help = "Most flows and mappings";
    text.family("tapweave_nat_entries_limit", Kind::Gauge, help);
    text.sample(&[], number(nat.limit));
    text.family(
        "tapweave_nat_events_total",
        Kind::Counter,
        "What happened to translated flows",
    );
    for (event, count) in &nat.counters {
        text.sample(&[("event", event)], *count);
    }
    let help = "Packets that the translation dropped, by reason";
    text.family("tapweave_nat_dropped_packets_total", Kind::Counter, help);
    for (reason, count) in &nat.drops {
        text.sample(&[("reason", reason)], *count);
    }
}

fn write_services(text: &mut Text, stats: &Stats) {
    let services = stats.services.get(..SERIES_MAX).unwrap_or(&stats.services);
    let mut counts = |name: &str, help: &str, label, of: fn(&ServiceStats) -> &Counts| {
        text.family(name, Kind::Counter, help);
        for service in services {
            for (what, count) in of(service) {
                let network = ("network", service.network.as_str());
                text.sample(&[network, (label, what)], *count);
            }
        }
    };
    let help = "Queries to the resolver, by network and what became of them";
    counts("tapweave_dns_queries_total", help, "outcome", |it| &it.dns);
    let help = "Messages of DHCP, by network and kind";
    counts("tapweave_dhcp_messages_total", help, "kind", |it| &it.dhcp);
    let help = "Messages of DHCP that were dropped, by network and reason";
    let name = "tapweave_dhcp_dropped_messages_total";
    counts(name, help, "reason", |it| &it.dhcp_drops);
    let help = "Questions to other servers that nobody answered, by network";
    text.family("tapweave_dns_failures_total", Kind::Counter, help);
    for service in services {
        text.sample(
            &[("network", service.network.as_str())],
            service.dns_failures,
        );
    }
    let mut sizes = |name: &str, help: &str, of: fn(&ServiceStats) -> usize| {
        text.family(name, Kind::Gauge, help);
        for service in services {
            text.sample(
                &[("network", service.network.as_str())],
                number(of(service)),
            );
        }
    };
    let help = "Answers in the cache of the resolver, by network";
    sizes("tapweave_dns_cache_entries", help, |it| {
        it.dns_cache_entries
    });
    let help = "Addresses of the pool that machines behind ports have or were offered, by network";
    sizes("tapweave_dhcp_leases", help, |it| it.leases);
    let help = "Addresses that are fixed for machines behind ports, by network";
    sizes("tapweave_dhcp_static_leases", help, |it| it.static_leases);
}

fn write_workers(text: &mut Text, stats: &Stats) {
    let workers = stats.workers.iter();
    let workers: Vec<_> = workers.map(|it| (it.worker.to_string(), it)).collect();
    let help = "By which event loop a worker waits";
    text.family("tapweave_worker_info", Kind::Gauge, help);
    for (name, worker) in &workers {
        text.sample(&[("worker", name), ("backend", &worker.backend)], 1);
    }
    text.family(
        "tapweave_worker_ports",
        Kind::Gauge,
        "Ports that a worker reads",
    );
    for (name, worker) in &workers {
        text.sample(&[("worker", name)], number(worker.port_count));
    }
    text.family(
        "tapweave_worker_wakeups_total",
        Kind::Counter,
        "Times a worker woke up",
    );
    for (name, worker) in &workers {
        text.sample(&[("worker", name)], worker.wakeups);
    }
    text.family(
        "tapweave_worker_batches_total",
        Kind::Counter,
        "Batches a worker handled",
    );
    for (name, worker) in &workers {
        text.sample(&[("worker", name)], worker.batches);
    }
    text.family(
        "tapweave_worker_frames_total",
        Kind::Counter,
        "Frames a worker handled",
    );
    for (name, worker) in &workers {
        text.sample(&[("worker", name)], worker.frames);
    }
}

fn write_outside(text: &mut Text, stats: &Stats) {
    text.family(
        "tapweave_uplink_info",
        Kind::Gauge,
        "How networks reach the world",
    );
    text.sample(&[("kind", &stats.uplink.kind.to_string())], 1);
    let help = "Steps that are still to be done on the host for the uplink to work";
    text.family("tapweave_uplink_missing_steps", Kind::Gauge, help);
    text.sample(&[], number(stats.uplink.missing.len()));
    let help = "Sockets that overlays listen with, by address and what is listened for";
    text.family("tapweave_underlay_sockets", Kind::Gauge, help);
    for at in &stats.underlay.addresses {
        let (address, port) = (at.address.to_string(), at.port.unwrap_or(0).to_string());
        let labels = [
            ("address", &*address),
            ("encap", &at.encap),
            ("port", &port),
        ];
        text.sample(&labels, number(at.sockets));
    }
    let help = "Datagrams from the underlay that were refused, by reason";
    text.family(
        "tapweave_underlay_refused_datagrams_total",
        Kind::Counter,
        help,
    );
    for (reason, count) in &stats.underlay.refused {
        text.sample(&[("reason", reason)], *count);
    }
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

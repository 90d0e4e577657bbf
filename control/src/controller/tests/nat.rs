//! Translated flows: listed with names, and forgotten.

use std::time::Duration;

use tapweave_net::NetworkNo;

use super::{Rig, rig, with_pid, with_subnets};
use crate::datapath::{FlowCounters, FlowTuple, NatFlow};

fn tuple(source: &str, destination: &str, ports: Option<(u16, u16)>) -> FlowTuple {
    FlowTuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        source_port: ports.map(|(source, _)| source),
        destination_port: ports.map(|(_, destination)| destination),
        id: ports.is_none().then_some(7),
    }
}

fn flow(network: u32, inner: &str, protocol: &'static str) -> NatFlow {
    let ports = (protocol == "tcp").then_some((4000, 80));
    let back = (protocol == "tcp").then_some((80, 50000));
    NatFlow {
        kind: "masqueraded",
        network: NetworkNo(network),
        inner: inner.parse().unwrap(),
        protocol,
        original: tuple(inner, "198.51.100.7", ports),
        reply: tuple("198.51.100.7", "192.0.2.1", back),
        state: "established",
        expires: Duration::from_millis(1500),
        sent: FlowCounters {
            packets: 3,
            bytes: 180,
        },
        received: FlowCounters::default(),
    }
}

/// Networks 1 and 2 with a sandbox each, whose flows are translated.
fn busy_rig() -> Rig {
    let rig = rig();
    rig.create(with_subnets("one", &["10.0.0.0/24"]));
    rig.create(with_subnets("two", &["10.0.1.0/24"]));
    rig.controller.connect("one", with_pid("web", 7)).unwrap();
    rig.datapath.translate(vec![
        flow(2, "10.0.1.9", "tcp"),
        flow(1, "10.0.0.2", "tcp"),
        flow(1, "10.0.0.2", "icmp"),
        flow(9, "10.0.9.2", "tcp"),
    ]);
    rig
}

#[test]
fn flows_are_listed_in_order_with_the_names_of_network_and_port() {
    let rig = busy_rig();
    let lines: Vec<_> = rig
        .controller
        .nat_flows(None, 100)
        .unwrap()
        .iter()
        .map(|flow| {
            let port = flow.port.as_deref().unwrap_or("-");
            format!(
                "{} {} {} {}",
                flow.network, flow.protocol, port, flow.original
            )
        })
        .collect();
    // Network 9 has just gone; the sandbox at 10.0.1.9 as well.
    assert_eq!(
        lines,
        [
            "one icmp one/web 10.0.0.2 > 198.51.100.7 id 7",
            "one tcp one/web 10.0.0.2:4000 > 198.51.100.7:80",
            "two tcp - 10.0.1.9:4000 > 198.51.100.7:80",
        ]
    );
    let limited = rig.controller.nat_flows(Some("one"), 1).unwrap();
    assert_eq!(limited.len(), 1);
    assert_eq!(limited[0].expires_ms, 1500);
    rig.controller.nat_flows(Some("nine"), 1).unwrap_err();
}

#[test]
fn the_flows_of_one_network_are_flushed_or_all() {
    let rig = busy_rig();
    rig.controller.nat_flush(Some("nine")).unwrap_err();
    assert_eq!(rig.controller.nat_flush(Some("one")).unwrap(), 2);
    assert_eq!(rig.controller.stats().nat.entries, 2);
    assert_eq!(rig.controller.nat_flush(None).unwrap(), 2);
    assert_eq!(rig.controller.nat_flows(None, 100).unwrap(), []);
}

#[test]
fn stats_tell_the_uplink() {
    let rig = rig();
    let stats = rig.controller.stats();
    assert_eq!(stats.uplink.ifname.as_deref(), Some("tapweave0"));
    rig.datapath.cut_uplink();
    assert_eq!(rig.controller.stats().uplink.reason, "it was taken away");
}

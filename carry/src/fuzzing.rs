//! The body of the fuzz target, callable without a fuzzer.
//!
//! What must hold for every input: nothing panics, reading is repeatable, and what is read can be written and is read
//! the same then. A table takes the flows in or refuses them.

#![expect(
    clippy::panic,
    reason = "a broken invariant is what a fuzzer is to find, and a panic is how it finds it"
)]

use core::time::Duration;

use tapweave_nat::{Nat, NatConfig};
use tapweave_net::Timestamp;
use tapweave_switch::{
    Learned, NetworkConfig, PortConfig, SnoopingConfig, StormLimits, Suppression, Switch,
    SwitchConfig,
};

use crate::{
    BootId, Carried, container, flows, groups, names, neighbors, peers, ports, read, read_so_far,
    stations, stopped,
};

/// The start of the machine that inputs are of.
pub const BOOT: BootId = BootId::from_bytes([0x42; BootId::LEN]);

/// Reads `input`, the sections of a file.
///
/// # Panics
///
/// When something that must hold for every input does not.
pub fn carried_state(input: &[u8]) {
    let mut file = container::header(BOOT).to_vec();
    file.extend(input);
    let Ok(carried) = read(&file, BOOT) else {
        panic!("the header is right");
    };
    let again = Carried {
        refused: std::collections::BTreeMap::new(),
        ..carried.clone()
    };
    assert_eq!(read(&written(&carried), BOOT), Ok(again));
    let nat = Nat::new(NatConfig {
        flow_limit: 64,
        ..NatConfig::new(7, 1)
    });
    for flow in carried.flows.values() {
        let _is_in = nat.restore(flow, Timestamp::from_secs(1));
    }
    restore(&carried);
    grow(&file, &carried);
}

/// A journal that is read in two parts says the same as one that is read at once, or is to be read as a whole.
fn grow(file: &[u8], carried: &Carried) {
    let half = file.len() / 2;
    let Some(Ok((mut so_far, len))) = file.get(..half).map(|half| read_so_far(half, BOOT)) else {
        return;
    };
    assert!(len <= half, "more was read than there is");
    let added = file.get(len..).and_then(flows::changes);
    if let (Some(changes), true) = (added, so_far.refused.is_empty()) {
        for (place, flow) in changes {
            match flow {
                Some(flow) => so_far.flows.insert(place, flow),
                None => so_far.flows.remove(&place),
            };
        }
        assert_eq!(so_far.flows, carried.flows);
    }
}

/// Returns a file that says what was read.
pub fn written(carried: &Carried) -> Vec<u8> {
    let mut file = container::header(BOOT).to_vec();
    names::write(&mut file, &carried.networks);
    let flows = carried.flows.iter().map(|(&place, flow)| (place, flow));
    flows::write(&mut file, flows);
    ports::write(&mut file, &carried.ports);
    stations::write(&mut file, &carried.stations);
    let neighbors = carried.neighbors.iter();
    neighbors::write(&mut file, neighbors.map(|(network, one)| (*network, one)));
    groups::write_members(&mut file, &carried.members);
    groups::write_ports(&mut file, &carried.group_ports);
    let queriers = carried.queriers.iter();
    groups::write_queriers(&mut file, queriers.map(|(network, one)| (*network, one)));
    peers::write(&mut file, &carried.peers);
    if let Some(at) = carried.stopped {
        stopped::write(&mut file, at);
    }
    file
}

/// Has a switch with a network of two ports take in all that it can.
fn restore(carried: &Carried) {
    let switch = Switch::new(SwitchConfig {
        worker_count: 1,
        seed: 7,
    });
    let network = switch.add_network(NetworkConfig {
        mtu: 1500,
        ageing: Duration::from_mins(5),
        fdb_limit: 16,
        snooping: Some(SnoopingConfig {
            mdb_limit: 16,
            ..SnoopingConfig::default()
        }),
        storm: StormLimits::NONE,
        gateway: None,
        suppression: Suppression::Off,
    });
    for _ in 0..2 {
        let _port = switch.add_port(network, PortConfig::OPEN);
    }
    let learned = Learned {
        stations: carried.stations.clone(),
        neighbors: Vec::new(),
        members: carried.members.clone(),
        group_ports: carried.group_ports.clone(),
        queriers: carried.queriers.iter().map(|(_, one)| *one).collect(),
    };
    let now = Timestamp::from_secs(1000);
    let count = switch.restore(network, &learned, now);
    assert!(count <= learned.len(), "more than there was");
    let usage = switch.fdb_usage(network);
    assert!(usage.is_none_or(|usage| usage.used <= usage.limit));
    let ends = switch.mdb_entries(network, now).into_iter();
    let mut ends = ends.map(|entry| entry.expires_in);
    assert!(ends.all(|end| end <= Duration::from_secs(260)));
}

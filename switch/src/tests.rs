//! The engine as the daemon sees it.

mod carrying;
mod gateway;
mod limits;
mod multicast;
mod probing;
mod suppression;
mod vlan;

use std::sync::Arc;
use std::time::Duration;

use tapweave_net::{Frame, MacAddr, NetworkNo, Offload, PortNo, Timestamp};

use crate::{
    AddPortError, Destination, DropReason, EgressPort, FDB_LIMIT_MAX, FdbOrigin, Flooding,
    FrameVlan, Isolation, Learning, NetworkConfig, Pipeline, PortConfig, RemoveNetworkError, Stage,
    StormLimits, Suppression, Switch, SwitchConfig, Verdict,
};

const NOW: Timestamp = Timestamp::from_secs(1000);
const NETWORK: NetworkConfig = NetworkConfig {
    mtu: 1500,
    ageing: Duration::from_mins(5),
    fdb_limit: 1024,
    snooping: None,
    storm: StormLimits::NONE,
    gateway: None,
    suppression: Suppression::Off,
};
const OPEN: PortConfig = PortConfig::OPEN;
const ISOLATED: PortConfig = PortConfig {
    isolation: Isolation::Isolated,
    ..PortConfig::OPEN
};

fn switch() -> Arc<Switch> {
    Arc::new(Switch::new(SwitchConfig {
        worker_count: 2,
        seed: 7,
    }))
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last])
}

fn bytes(to: MacAddr, from: MacAddr) -> [u8; 60] {
    let mut data = [0xa5; 60];
    data[..6].copy_from_slice(&to.octets());
    data[6..12].copy_from_slice(&from.octets());
    data[12..14].copy_from_slice(&[0x08, 0x00]);
    data
}

fn send(
    pipeline: &mut Pipeline,
    now: Timestamp,
    ingress: PortNo,
    to: MacAddr,
    from: MacAddr,
) -> Verdict {
    let mut data = bytes(to, from);
    let frames = [Frame::new(&mut data, 0, Offload::NONE)];
    let mut verdicts = Vec::new();
    pipeline.handle_batch(now, ingress, &frames, &mut verdicts);
    verdicts[0]
}

#[test]
fn stations_are_learned_move_and_are_forgotten() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let [a, b, c] = [(); 3].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut pipeline = switch.pipeline(0);

    assert_eq!(
        send(&mut pipeline, NOW, a, mac(2), mac(1)),
        Verdict::Flood(FrameVlan::NONE)
    );
    assert!(
        pipeline
            .flood_set(a, FrameVlan::NONE)
            .eq([b, c].map(EgressPort::unchanged))
    );
    let to_a = Verdict::Forward(EgressPort::unchanged(a));
    assert_eq!(send(&mut pipeline, NOW, b, mac(1), mac(2)), to_a);

    send(&mut pipeline, NOW, c, MacAddr::BROADCAST, mac(1));
    let to_c = Verdict::Forward(EgressPort::unchanged(c));
    assert_eq!(send(&mut pipeline, NOW, b, mac(1), mac(2)), to_c);
    assert_eq!(switch.port_stats(c).unwrap().fdb_moves, 1);

    let later = NOW + NETWORK.ageing;
    let forgotten = send(&mut pipeline, later, b, mac(1), mac(2));
    assert_eq!(forgotten, Verdict::Flood(FrameVlan::NONE));
    assert_eq!(switch.fdb_entries(network, later).len(), 1);
    assert_eq!(switch.poll_ageing(later, usize::MAX), 1);
    assert_eq!(switch.fdb_usage(network).unwrap().used, 1);
}

#[test]
fn networks_do_not_see_each_other() {
    let switch = switch();
    let networks = [(); 2].map(|()| switch.add_network(NETWORK));
    let [a, b] = networks.map(|network| switch.add_port(network, OPEN).unwrap());
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, a, mac(2), mac(1));
    assert_eq!(
        send(&mut pipeline, NOW, b, mac(1), mac(2)),
        Verdict::Flood(FrameVlan::NONE)
    );
    assert_eq!(pipeline.flood_set(b, FrameVlan::NONE).count(), 0);
    assert_eq!(switch.fdb_entries(networks[1], NOW)[0].mac, mac(2));
}

#[test]
fn isolated_ports_reach_open_ports_only() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let gateway = switch.add_port(network, OPEN).unwrap();
    let [a, b] = [(); 2].map(|()| switch.add_port(network, ISOLATED).unwrap());
    let mut pipeline = switch.pipeline(0);
    for (port, station) in [(gateway, 9), (a, 1), (b, 2)] {
        send(&mut pipeline, NOW, port, MacAddr::BROADCAST, mac(station));
    }
    assert!(
        pipeline
            .flood_set(a, FrameVlan::NONE)
            .eq([gateway].map(EgressPort::unchanged))
    );
    assert!(
        pipeline
            .flood_set(gateway, FrameVlan::NONE)
            .eq([a, b].map(EgressPort::unchanged))
    );
    let between = send(&mut pipeline, NOW, a, mac(2), mac(1));
    assert_eq!(between, Verdict::Drop(DropReason::Isolated));
    let to_gateway = send(&mut pipeline, NOW, a, mac(9), mac(1));
    assert_eq!(to_gateway, Verdict::Forward(EgressPort::unchanged(gateway)));
    let from_gateway = send(&mut pipeline, NOW, gateway, mac(1), mac(9));
    assert_eq!(from_gateway, Verdict::Forward(EgressPort::unchanged(a)));
}

#[test]
fn a_port_without_flooding_gets_what_is_for_its_stations_and_nothing_else() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let quiet = PortConfig {
        flooding: Flooding::Off,
        ..OPEN
    };
    let [a, b] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let silent = switch.add_port(network, quiet).unwrap();
    let mut pipeline = switch.pipeline(0);
    let shown = send(&mut pipeline, NOW, silent, MacAddr::BROADCAST, mac(3));
    assert_eq!(shown, Verdict::Flood(FrameVlan::NONE));
    let from = |ingress| {
        pipeline
            .flood_set(ingress, FrameVlan::NONE)
            .map(|to| to.port)
    };
    assert!(from(silent).eq([a, b]));
    assert!(from(a).eq([b]));
    let found = send(&mut pipeline, NOW, a, mac(3), mac(1));
    assert_eq!(found, Verdict::Forward(EgressPort::unchanged(silent)));
}

#[test]
fn what_came_out_of_a_tunnel_goes_into_none() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let tunnel = PortConfig {
        isolation: Isolation::Tunnel,
        ..OPEN
    };
    let local = switch.add_port(network, OPEN).unwrap();
    let isolated = switch.add_port(network, ISOLATED).unwrap();
    let [a, b] = [(); 2].map(|()| switch.add_port(network, tunnel.clone()).unwrap());
    let mut pipeline = switch.pipeline(0);
    for (port, station) in [(local, 9), (a, 1), (b, 2), (isolated, 3)] {
        send(&mut pipeline, NOW, port, MacAddr::BROADCAST, mac(station));
    }
    for (ingress, egress) in [
        (a, vec![local]),
        (isolated, vec![local]),
        (local, vec![isolated, a, b]),
    ] {
        let egress = egress.into_iter().map(EgressPort::unchanged);
        assert!(pipeline.flood_set(ingress, FrameVlan::NONE).eq(egress));
    }
    let between = send(&mut pipeline, NOW, a, mac(2), mac(1));
    assert_eq!(between, Verdict::Drop(DropReason::SplitHorizon));
    let isolated_to_far = send(&mut pipeline, NOW, isolated, mac(2), mac(3));
    assert_eq!(isolated_to_far, Verdict::Drop(DropReason::Isolated));
    let inwards = send(&mut pipeline, NOW, a, mac(9), mac(1));
    assert_eq!(inwards, Verdict::Forward(EgressPort::unchanged(local)));
    // A station moves from one host to the other, and back home.
    send(&mut pipeline, NOW, b, MacAddr::BROADCAST, mac(1));
    let moved = send(&mut pipeline, NOW, local, mac(1), mac(9));
    assert_eq!(moved, Verdict::Forward(EgressPort::unchanged(b)));
    send(&mut pipeline, NOW, isolated, MacAddr::BROADCAST, mac(1));
    let home = send(&mut pipeline, NOW, local, mac(1), mac(9));
    assert_eq!(home, Verdict::Forward(EgressPort::unchanged(isolated)));
}

#[test]
fn a_frame_to_a_reserved_address_is_dropped_but_learned_from() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let port = switch.add_port(network, OPEN).unwrap();
    let lldp = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
    let verdict = send(&mut switch.pipeline(0), NOW, port, lldp, mac(1));
    assert_eq!(verdict, Verdict::Drop(DropReason::ReservedDestination));
    assert_eq!(switch.fdb_entries(network, NOW)[0].port, port);
}

#[test]
fn a_static_entry_stays_when_its_station_shows_up_elsewhere() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let [a, b, c] = [(); 3].map(|()| switch.add_port(network, OPEN).unwrap());
    switch.fdb_add(network, mac(1), None, a, NOW).unwrap();
    let mut pipeline = switch.pipeline(0);
    let later = NOW + NETWORK.ageing;
    let elsewhere = send(&mut pipeline, later, b, MacAddr::BROADCAST, mac(1));
    assert_eq!(elsewhere, Verdict::Flood(FrameVlan::NONE));
    let verdict = send(&mut pipeline, later, c, mac(1), mac(3));
    assert_eq!(verdict, Verdict::Forward(EgressPort::unchanged(a)));
    assert_eq!(switch.fdb_flush(network, None), 1);
    let left = switch.fdb_entries(network, later);
    assert_eq!(
        (left.len(), left[0].origin, left[0].age),
        (1, FdbOrigin::Static, NETWORK.ageing)
    );
}

#[test]
fn a_removed_port_is_gone_for_workers_that_refresh_and_its_number_stays_away() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let [a, b] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, a, MacAddr::BROADCAST, mac(1));
    switch.fdb_add(network, mac(7), None, a, NOW).unwrap();
    let busy = RemoveNetworkError::InUse { port_count: 2 };
    assert_eq!(switch.remove_network(network), Err(busy));

    let before = switch.generation();
    switch.remove_port(a).unwrap();
    assert_eq!(switch.generation(), before + 1);
    assert!(switch.fdb_entries(network, NOW).is_empty());
    assert_eq!(
        send(&mut pipeline, NOW, b, mac(1), mac(2)),
        Verdict::Flood(FrameVlan::NONE)
    );
    let gone = send(&mut pipeline, NOW, a, mac(2), mac(1));
    assert_eq!(gone, Verdict::Drop(DropReason::PortGone));
    pipeline.count_sent(a, 1, 60);

    let c = switch.add_port(network, OPEN).unwrap();
    assert_ne!(c.index(), a.index());
    assert_eq!(pipeline.refresh(), switch.generation());
    switch.purge_port(a);
    switch.purge_port(a);
    let d = switch.add_port(network, OPEN).unwrap();
    assert_eq!(d.index(), a.index());
    assert_ne!(d, a);
    assert_eq!(switch.port_stats(d).unwrap().tx_frames, 0);
}

#[test]
fn what_a_worker_learns_for_a_removed_port_is_purged() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let [a, b] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let snapshot = switch.snapshot();
    switch.remove_port(a).unwrap();
    // A worker in the middle of a batch on the old snapshot.
    let fdb = &snapshot.port(a).unwrap().network.fdb;
    let probe = fdb.probe(None, mac(1));
    fdb.learn(fdb.assess(probe, a, NOW), probe, FdbOrigin::Learned, a, NOW);
    assert_eq!(switch.fdb_usage(network).unwrap().used, 1);
    assert!(switch.fdb_entries(network, NOW).is_empty());
    let verdict = send(&mut switch.pipeline(0), NOW, b, mac(1), mac(2));
    assert_eq!(verdict, Verdict::Flood(FrameVlan::NONE));
    switch.purge_port(a);
    assert_eq!(switch.fdb_usage(network).unwrap().used, 1);
    assert_eq!(switch.fdb_entries(network, NOW)[0].mac, mac(2));
}

#[test]
fn a_network_that_does_not_age_is_a_hub() {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        ageing: Duration::ZERO,
        ..NETWORK
    });
    let [a, b] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, a, mac(2), mac(1));
    assert_eq!(
        send(&mut pipeline, NOW, b, mac(1), mac(2)),
        Verdict::Flood(FrameVlan::NONE)
    );
    assert_eq!(switch.fdb_usage(network).unwrap().used, 0);
}

#[test]
fn a_batch_ends_when_flooding_has_been_work_enough() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let ports: Vec<_> = (0..600)
        .map(|_| switch.add_port(network, OPEN).unwrap())
        .collect();
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, ports[1], mac(1), mac(2));
    let mut verdicts = Vec::new();
    let mut data = [[0; 60]; 6];
    for (data, to) in data.iter_mut().zip([2, 9, 2, 9, 9, 2]) {
        *data = bytes(mac(to), mac(1));
    }
    let frames = data
        .each_mut()
        .map(|data| Frame::new(data, 0, Offload::NONE));
    pipeline.handle_batch(NOW, ports[0], &frames, &mut verdicts);
    let known = Verdict::Forward(EgressPort::unchanged(ports[1]));
    let flood = Verdict::Flood(FrameVlan::NONE);
    assert_eq!(verdicts, [known, flood, known, flood]);
    let handled = switch.port_stats(ports[0]).unwrap();
    assert_eq!((handled.rx_frames, handled.rx_bytes), (4, 240));
    pipeline.handle_batch(NOW, ports[0], &frames[4..], &mut verdicts);
    assert_eq!(verdicts, [flood, known]);
}

#[test]
fn outcomes_are_counted_where_they_belong_and_added_up_over_workers() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let port = switch.add_port(network, OPEN).unwrap();
    for worker in 0..2 {
        let mut pipeline = switch.pipeline(worker);
        send(&mut pipeline, NOW, port, mac(1), mac(1));
        pipeline.count_sent(port, 1, 100);
        pipeline.count_egress_drop(port, DropReason::QueueFull, 1);
        pipeline.count_ingress_drop(port, DropReason::BadOffload, 10);
    }
    let stats = switch.port_stats(port).unwrap();
    assert_eq!((stats.rx_frames, stats.rx_bytes), (4, 140));
    assert_eq!((stats.tx_frames, stats.tx_bytes), (2, 200));
    for reason in [
        DropReason::SamePort,
        DropReason::QueueFull,
        DropReason::BadOffload,
    ] {
        assert_eq!(stats.dropped(reason), 2);
    }
    assert_eq!(stats.drops.iter().sum::<u64>(), 6);
}

#[test]
fn an_explanation_names_the_stages_and_changes_nothing() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let [a, b] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut data = bytes(mac(2), mac(1));
    let frame = Frame::new(&mut data, 0, Offload::NONE);
    let explanation = switch.explain(NOW, a, &frame);
    assert_eq!(explanation.learning, Learning::Add);
    assert_eq!(explanation.egress, [EgressPort::unchanged(b)]);
    let destination = Stage::Destination {
        mac: mac(2),
        destination: Destination::Unknown,
    };
    assert_eq!(explanation.stages.last(), Some(&destination));
    assert_eq!(
        explanation.to_string(),
        "ingress      port 0.0 of network 1\n\
         size         frame of 60 bytes, packet of 46 bytes, MTU 1500\n\
         vlan         untagged, transparent port: no VLAN\n\
         guard        none on this port\n\
         source       02:00:00:00:00:01: new, would be learned\n\
         destination  02:00:00:00:00:02: unknown\n\
         verdict      flood to port 1.0"
    );
    assert_eq!(switch.fdb_usage(network).unwrap().used, 0);
    assert_eq!(switch.port_stats(a).unwrap().rx_frames, 0);

    switch.remove_port(a).unwrap();
    let gone = switch.explain(NOW, a, &frame);
    assert_eq!(gone.verdict, Verdict::Drop(DropReason::PortGone));
    assert!(
        gone.to_string()
            .starts_with("ingress      port 0.0 does not exist\n")
    );
}

#[test]
fn a_warm_pipeline_does_not_allocate() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let [a, b] = [(); 2].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut pipeline = switch.pipeline(0);
    send(&mut pipeline, NOW, b, MacAddr::BROADCAST, mac(2));
    let mut verdicts = Vec::with_capacity(3);
    let mut data = [mac(2), mac(9), MacAddr::BROADCAST].map(|to| bytes(to, mac(1)));
    let frames = data
        .each_mut()
        .map(|data| Frame::new(data, 0, Offload::NONE));
    let counted = allocation_counter::measure(|| {
        for second in 0..1_000 {
            // Sources are refreshed, forgotten and learned again as time passes.
            let now = NOW + Duration::from_secs(second * 7 % 1_000);
            pipeline.handle_batch(now, a, &frames, &mut verdicts);
            for port in pipeline.flood_set(a, FrameVlan::NONE) {
                pipeline.count_sent(port.port, 1, 60);
            }
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn things_that_do_not_exist_are_refused_or_empty() {
    let switch = switch();
    let nowhere = NetworkNo(99);
    assert_eq!(
        switch.add_port(nowhere, OPEN),
        Err(AddPortError::UnknownNetwork(nowhere))
    );
    assert_eq!(
        switch.remove_network(nowhere),
        Err(RemoveNetworkError::Unknown(nowhere))
    );
    assert!(switch.fdb_entries(nowhere, NOW).is_empty());
    assert_eq!(switch.fdb_usage(nowhere), None);
    assert_eq!(switch.fdb_flush(nowhere, None), 0);
    assert!(!switch.fdb_del(nowhere, mac(1), None));
    assert_eq!(switch.poll_ageing(NOW, 100), 0);
    switch.purge_port(PortNo::new(5, 5));
}

#[test]
fn an_absurd_table_limit_is_cut() {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        fdb_limit: u32::MAX,
        snooping: None,
        ..NETWORK
    });
    assert_eq!(switch.fdb_usage(network).unwrap().limit, FDB_LIMIT_MAX);
}

#[test]
fn the_sweep_goes_round_all_tables_in_small_steps() {
    let switch = switch();
    let networks = [(); 3].map(|()| switch.add_network(NETWORK));
    let mut pipeline = switch.pipeline(0);
    for network in networks {
        let port = switch.add_port(network, OPEN).unwrap();
        for last in 1..100 {
            send(&mut pipeline, NOW, port, MacAddr::BROADCAST, mac(last));
        }
    }
    let later = NOW + NETWORK.ageing;
    // Three tables of 512 buckets with five slots each.
    let steps = 3 * 512 / 20 + 4;
    let removed: usize = (0..steps).map(|_| switch.poll_ageing(later, 100)).sum();
    assert_eq!(removed, 3 * 99);
    assert!(
        networks
            .iter()
            .all(|n| switch.fdb_usage(*n).unwrap().used == 0)
    );
}

#[test]
fn both_sides_are_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    fn is_sent<T: Send>() {}
    is_shared::<Switch>();
    is_sent::<Pipeline>();
}

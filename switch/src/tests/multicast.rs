//! Multicast from frames in to ports out; the rules themselves are tested in `multicast/tests.rs`.

use tapweave_net::{TagAction, Vid, VlanTag};

use super::*;
use crate::multicast::test_packets::{Packet, data, join, leave, query};
use crate::{
    EgressPort, FastLeave, MdbKind, PortVlans, QuerierRole, QueryGuard, SnoopingConfig, Stage,
};

const GROUP: &str = "239.1.1.1";

struct Rig {
    switch: Arc<Switch>,
    pipeline: Pipeline,
    network: NetworkNo,
    now: Timestamp,
    /// Router, a, b, c.
    ports: [PortNo; 4],
}

fn rig_with(snooping: SnoopingConfig, configs: [PortConfig; 4]) -> Rig {
    let switch = switch();
    let network = switch.add_network(NetworkConfig {
        snooping: Some(snooping),
        ..NETWORK
    });
    let ports = configs.map(|config| switch.add_port(network, config).unwrap());
    Rig {
        pipeline: switch.pipeline(0),
        switch,
        network,
        now: NOW,
        ports,
    }
}

fn rig() -> Rig {
    rig_with(SnoopingConfig::default(), [OPEN; 4])
}

/// Returns a frame with a packet, to the MAC address of its group, from the station of a port.
fn frame(from: usize, packet: &Packet) -> Vec<u8> {
    let v6 = packet.bytes[0] >> 4 == 6;
    let mut frame = if v6 {
        [&[0x33, 0x33][..], &packet.bytes[36..40]].concat()
    } else {
        let group = &packet.bytes[16..20];
        vec![0x01, 0x00, 0x5e, group[1] & 0x7f, group[2], group[3]]
    };
    frame.extend(mac(u8::try_from(from).unwrap() + 1).octets());
    frame.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    frame.extend(&packet.bytes);
    frame
}

impl Rig {
    /// Returns where a frame from a port goes; none if it is dropped.
    fn send_frame(
        &mut self,
        from: usize,
        mut frame: Vec<u8>,
    ) -> Result<Vec<EgressPort>, DropReason> {
        let frames = [Frame::new(&mut frame, 0, Offload::NONE)];
        let ingress = self.ports[from];
        let explained = self.switch.explain(self.now, ingress, &frames[0]);
        let mut verdicts = Vec::new();
        self.pipeline
            .handle_batch(self.now, ingress, &frames, &mut verdicts);
        assert_eq!(explained.verdict, verdicts[0]);
        let egress: Vec<_> = match verdicts[0] {
            Verdict::Forward(egress) => vec![egress],
            Verdict::Flood(vlan) => self.pipeline.flood_set(ingress, vlan).collect(),
            Verdict::Multicast(vlan, group) => {
                self.pipeline.group_set(ingress, vlan, group).collect()
            }
            Verdict::Gateway | Verdict::Answer(_) => {
                panic!("no network here has a gateway or suppression")
            }
            Verdict::Drop(reason) => return Err(reason),
        };
        assert_eq!(explained.egress, egress);
        Ok(egress)
    }

    /// Returns the places in `ports` of those to which a packet goes.
    fn send(&mut self, from: usize, packet: &Packet) -> Result<Vec<usize>, DropReason> {
        let egress = self.send_frame(from, frame(from, packet))?;
        let place = |to: EgressPort| self.ports.iter().position(|port| *port == to.port);
        Ok(egress.into_iter().filter_map(place).collect())
    }

    /// Lets a router ask and everybody answer.
    fn ask(&mut self) {
        self.send(0, &query("10.0.0.1", 10)).unwrap();
        self.send(0, &query("fe80::1", 10)).unwrap();
        self.now = self.now + Duration::from_secs(10);
        self.switch.poll_groups(self.now);
    }
}

#[test]
fn a_group_goes_to_its_members_and_to_routers_and_nowhere_else() {
    let mut rig = rig();
    assert_eq!(rig.send(3, &data(GROUP)), Ok(vec![0, 1, 2]), "nobody asks");
    rig.ask();
    assert_eq!(
        rig.send(1, &join(GROUP)),
        Ok(vec![0]),
        "reports are for routers"
    );
    assert_eq!(rig.send(3, &data(GROUP)), Ok(vec![0, 1]));
    assert_eq!(
        rig.send(1, &data(GROUP)),
        Ok(vec![0]),
        "not back to the sender"
    );
    assert_eq!(rig.send(3, &data("239.1.1.2")), Ok(vec![0]));
    assert_eq!(rig.send(3, &data("224.0.0.251")), Ok(vec![0, 1, 2]));
    assert_eq!(rig.send(3, &data("ff02::1:ff00:1")), Ok(vec![0, 1, 2]));
    assert_eq!(rig.send(3, &data("ff15::1")), Ok(vec![0]));
    let router = DropReason::NoListeners;
    assert_eq!(
        rig.send(0, &data("239.1.1.2")),
        Err(router),
        "only the router would"
    );
    assert_eq!(
        rig.switch.port_stats(rig.ports[0]).unwrap().dropped(router),
        1
    );
}

#[test]
fn a_group_is_looked_up_by_ip_and_not_by_mac() {
    let mut rig = rig();
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    // 239.129.1.1 has the same MAC address.
    let namesake = data("239.129.1.1");
    assert_eq!(frame(3, &namesake)[..6], frame(3, &data(GROUP))[..6]);
    assert_eq!(rig.send(3, &namesake), Ok(vec![0]));
    let mut broadcast = frame(3, &data(GROUP));
    broadcast[..6].fill(0xff);
    assert_eq!(rig.send_frame(3, broadcast).unwrap().len(), 3);
    let mut arp = frame(3, &data(GROUP));
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(rig.send_frame(3, arp).unwrap().len(), 3);
    let mut service = frame(3, &data(GROUP));
    service.splice(12..12, [0x88, 0xa8, 0, 1]);
    assert_eq!(rig.send_frame(3, service).unwrap().len(), 3);
}

#[test]
fn groups_of_vlans_are_apart() {
    let trunk = || PortConfig {
        vlans: PortVlans::Trunk {
            tagged: "10,20".parse().unwrap(),
            native: None,
        },
        ..OPEN
    };
    let ten = Vid::new(10).unwrap();
    let access = PortConfig {
        vlans: PortVlans::Access(ten),
        ..OPEN
    };
    let mut rig = rig_with(
        SnoopingConfig::default(),
        [trunk(), access.clone(), access, trunk()],
    );
    let tagged = |from, packet: &Packet, vid: u8| {
        let mut bytes = frame(from, packet);
        bytes.splice(12..12, [0x81, 0, 0, vid]);
        bytes
    };
    rig.send_frame(0, tagged(0, &query("10.0.0.1", 10), 10))
        .unwrap();
    rig.send_frame(0, tagged(0, &query("10.0.0.1", 10), 20))
        .unwrap();
    rig.now = rig.now + Duration::from_secs(10);
    rig.switch.poll_groups(rig.now);
    rig.send(1, &join(GROUP)).unwrap();
    let to = |port, tag| EgressPort { port, tag };
    let [router, member, ..] = rig.ports;
    assert_eq!(
        rig.send_frame(3, tagged(3, &data(GROUP), 10)),
        Ok(vec![
            to(router, TagAction::Keep),
            to(member, TagAction::Pop)
        ])
    );
    assert_eq!(
        rig.send_frame(3, tagged(3, &data(GROUP), 20)),
        Ok(vec![to(router, TagAction::Keep)])
    );
    let push = TagAction::Push(VlanTag::new(ten, 0));
    assert_eq!(
        rig.send_frame(2, frame(2, &data(GROUP))),
        Ok(vec![to(router, push), to(member, TagAction::Keep)])
    );
    let entries = rig.switch.mdb_entries(rig.network, rig.now);
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| (entry.kind, entry.vid))
        .collect();
    assert_eq!(
        kinds,
        [(MdbKind::Router, None), (MdbKind::Member, Some(ten))]
    );
}

#[test]
fn isolated_members_do_not_hear_each_other() {
    let isolated = PortConfig {
        isolation: Isolation::Isolated,
        ..OPEN
    };
    let mut rig = rig_with(
        SnoopingConfig::default(),
        [OPEN, isolated.clone(), isolated, OPEN],
    );
    rig.ask();
    for member in 1..4 {
        rig.send(member, &join(GROUP)).unwrap();
    }
    assert_eq!(rig.send(1, &data(GROUP)), Ok(vec![0, 3]));
    assert_eq!(rig.send(0, &data(GROUP)), Ok(vec![1, 2, 3]));
    assert_eq!(rig.send(3, &data(GROUP)), Ok(vec![0, 1, 2]));
}

#[test]
fn a_network_without_snooping_floods() {
    let switch = switch();
    let network = switch.add_network(NETWORK);
    let ports = [(); 4].map(|()| switch.add_port(network, OPEN).unwrap());
    let mut rig = Rig {
        pipeline: switch.pipeline(0),
        switch,
        network,
        now: NOW,
        ports,
    };
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    assert_eq!(rig.send(3, &data(GROUP)), Ok(vec![0, 1, 2]));
    assert!(rig.switch.mdb_entries(network, rig.now).is_empty());
    assert_eq!(rig.switch.mdb_usage(network), None);
}

#[test]
fn the_switch_asks_each_port_in_its_form_and_counts_it() {
    let ten = Vid::new(10).unwrap();
    let trunk = PortConfig {
        vlans: PortVlans::Trunk {
            tagged: "10".parse().unwrap(),
            native: None,
        },
        ..OPEN
    };
    let access = PortConfig {
        vlans: PortVlans::Access(ten),
        ..OPEN
    };
    let config = SnoopingConfig {
        querier: QuerierRole::Querier,
        fast_leave: FastLeave::On,
        ..SnoopingConfig::default()
    };
    let mut rig = rig_with(config, [trunk, access.clone(), access, OPEN]);
    let queries = rig.switch.poll_groups(rig.now);
    // No VLAN only to the transparent port, VLAN 10 to all; each of both IPs.
    let to = |port: usize| {
        let to = queries.iter().filter(|query| query.port == rig.ports[port]);
        to.map(|query| query.frame[12..14].to_vec())
            .collect::<Vec<_>>()
    };
    let (tag, v4, v6) = ([0x81, 0x00], [0x08, 0x00], [0x86, 0xdd]);
    assert_eq!(to(0), [tag, tag]);
    assert_eq!(to(1), [v4, v6]);
    assert_eq!(to(3), [v4, v6, tag, tag]);
    rig.switch.count_query_sent(rig.ports[1], 60);
    let stats = rig.switch.port_stats(rig.ports[1]).unwrap();
    assert_eq!((stats.tx_frames, stats.tx_bytes), (1, 60));

    rig.now = rig.now + Duration::from_secs(10);
    assert_eq!(
        rig.send(1, &join(GROUP)),
        Ok(vec![]),
        "the report has done its work"
    );
    assert_eq!(rig.send(2, &data(GROUP)), Ok(vec![1]));
    rig.send(1, &leave(GROUP)).unwrap();
    assert_eq!(rig.send(2, &data(GROUP)), Err(DropReason::NoListeners));
    assert_eq!(rig.switch.poll_groups(rig.now), []);
}

#[test]
fn where_queries_are_refused_nobody_becomes_a_router() {
    let config = SnoopingConfig {
        query_guard: QueryGuard::On,
        ..SnoopingConfig::default()
    };
    let mut rig = rig_with(config, [OPEN; 4]);
    let refused = DropReason::QueryRefused;
    assert_eq!(rig.send(0, &query("10.0.0.1", 10)), Err(refused));
    assert_eq!(rig.send(0, &query("fe80::1", 10)), Err(refused));
    assert!(rig.switch.mdb_entries(rig.network, rig.now).is_empty());
    assert_eq!(
        rig.switch
            .port_stats(rig.ports[0])
            .unwrap()
            .dropped(refused),
        2
    );
}

#[test]
fn messages_that_are_not_believed_are_counted_and_go_on() {
    let mut rig = rig();
    let mut wrong = join(GROUP);
    *wrong.bytes.last_mut().unwrap() ^= 1;
    assert_eq!(rig.send(1, &wrong), Ok(vec![0, 2, 3]));
    assert_eq!(rig.switch.port_stats(rig.ports[1]).unwrap().mdb_invalid, 1);
    assert_eq!(rig.switch.mdb_usage(rig.network).unwrap().group_count, 0);
}

#[test]
fn a_membership_that_does_not_fit_is_counted() {
    let config = SnoopingConfig {
        mdb_limit: 1,
        ..SnoopingConfig::default()
    };
    let mut rig = rig_with(config, [OPEN; 4]);
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    rig.send(2, &join("239.1.1.2")).unwrap();
    assert_eq!(rig.switch.port_stats(rig.ports[2]).unwrap().mdb_full, 1);
    assert_eq!(rig.send(3, &data("239.1.1.2")), Ok(vec![0, 2]));
}

#[test]
fn a_removed_port_is_in_no_group() {
    let mut rig = rig();
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    rig.switch.remove_port(rig.ports[1]).unwrap();
    // A worker with an old snapshot might hear one more report.
    rig.switch.purge_port(rig.ports[1]);
    assert_eq!(rig.send(3, &data(GROUP)), Ok(vec![0]));
    assert_eq!(
        rig.switch.mdb_entries(rig.network, rig.now).len(),
        2,
        "the router"
    );
}

#[test]
fn the_explanation_names_the_stage() {
    let mut rig = rig();
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    let mut bytes = frame(3, &data(GROUP));
    let packet = Frame::new(&mut bytes, 0, Offload::NONE);
    let explained = rig.switch.explain(rig.now, rig.ports[3], &packet);
    assert!(matches!(explained.stages.last(), Some(Stage::Group { .. })));
    let text = explained.to_string();
    let lines: Vec<_> = text.lines().rev().take(2).collect();
    assert_eq!(
        lines,
        [
            "verdict      to those who listen to port 0.0, port 1.0",
            "group        members and routers: port 0.0, port 1.0"
        ]
    );
}

#[test]
fn data_for_groups_is_not_allocated_for() {
    let mut rig = rig();
    rig.ask();
    for member in 1..3 {
        rig.send(member, &join(GROUP)).unwrap();
    }
    let mut bytes = [(); 8].map(|()| frame(3, &data(GROUP)));
    let frames = bytes
        .each_mut()
        .map(|bytes| Frame::new(bytes, 0, Offload::NONE));
    let mut verdicts = Vec::new();
    let [.., ingress] = rig.ports;
    rig.pipeline
        .handle_batch(rig.now, ingress, &frames, &mut verdicts);
    let allocations = allocation_counter::measure(|| {
        rig.pipeline
            .handle_batch(rig.now, ingress, &frames, &mut verdicts);
        for verdict in &verdicts {
            let Verdict::Multicast(vlan, group) = *verdict else {
                panic!("{verdict}");
            };
            assert_eq!(rig.pipeline.group_set(ingress, vlan, group).count(), 3);
        }
    });
    assert_eq!(allocations.count_total, 0);
}

/// What one switch has learned makes another one limit groups in the same way, at once.
#[test]
fn groups_go_on_in_another_switch() {
    let mut rig = rig();
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    let mut learned = rig.switch.learned(rig.network, rig.now);
    let before = rig.switch.mdb_entries(rig.network, rig.now);
    let mut next = self::rig();
    next.now = rig.now;
    assert_eq!(next.send(3, &data(GROUP)), Ok(vec![0, 1, 2]));
    let (members, ports) = (learned.members.len(), learned.group_ports.len());
    assert_eq!((members, ports, learned.queriers.len()), (1, 2, 2));
    learned.stations.clear();
    assert_eq!(next.switch.restore(next.network, &learned, next.now), 5);
    assert_eq!(next.switch.mdb_entries(next.network, next.now), before);
    assert_eq!(next.send(3, &data(GROUP)), Ok(vec![0, 1]));
    assert_eq!(next.send(3, &data("239.1.1.2")), Ok(vec![0]));
    // What is there is not taken in again, and ends when it would have.
    assert_eq!(next.switch.restore(next.network, &learned, next.now), 0);
    next.now = next.now + Duration::from_secs(261);
    next.switch.poll_groups(next.now);
    assert_eq!(next.switch.mdb_entries(next.network, next.now), []);
    assert_eq!(next.switch.restore(next.network, &learned, next.now), 0);
}

/// Without those who ask, members are known and nothing is limited: who has joined since is not cut off.
#[test]
fn members_alone_limit_nothing() {
    let mut rig = rig();
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    let mut learned = rig.switch.learned(rig.network, rig.now);
    learned.queriers.clear();
    learned.stations.clear();
    let mut next = self::rig();
    next.now = rig.now;
    assert_eq!(next.switch.restore(next.network, &learned, next.now), 3);
    assert_eq!(next.send(3, &data(GROUP)), Ok(vec![0, 1, 2]));
    next.ask();
    assert_eq!(next.send(3, &data(GROUP)), Ok(vec![0, 1]));
}

/// Times that cannot be, of whoever wrote them, are brought within what the table would say.
#[test]
fn no_membership_outlives_its_time_by_what_was_written() {
    let mut rig = rig();
    rig.ask();
    rig.send(1, &join(GROUP)).unwrap();
    let mut learned = rig.switch.learned(rig.network, rig.now);
    learned.stations.clear();
    let far = Timestamp::from_secs(u64::from(u32::MAX));
    for member in &mut learned.members {
        (member.since, member.expires) = (far, far);
    }
    for port in &mut learned.group_ports {
        port.expires = far;
    }
    for querier in &mut learned.queriers {
        (querier.last, querier.until, querier.other_until) = (far, far, far);
    }
    let mut next = self::rig();
    next.now = rig.now;
    assert_eq!(next.switch.restore(next.network, &learned, next.now), 5);
    next.now = next.now + Duration::from_secs(261);
    next.switch.poll_groups(next.now);
    assert_eq!(next.switch.mdb_entries(next.network, next.now), []);
    assert_eq!(next.send(3, &data(GROUP)), Ok(vec![0, 1, 2]));
}

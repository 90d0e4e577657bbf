//! What is for the gateway itself and somebody else answers.

use std::sync::Mutex;

use super::*;
use crate::{Service, ServicePacket, ServiceQueue};

/// Keeps as many packets as it has room for.
#[derive(Debug)]
struct Queue {
    packets: Mutex<Vec<ServicePacket>>,
    room: usize,
}

impl ServiceQueue for Queue {
    fn offer(&self, packet: ServicePacket) -> Result<(), ServicePacket> {
        let mut packets = self.packets.lock().unwrap();
        if packets.len() == self.room {
            return Err(packet);
        }
        packets.push(packet);
        Ok(())
    }
}

/// Returns a rig whose first network is served, and where its packets are.
fn served(room: usize) -> (Rig, Arc<Queue>) {
    let rig = Rig::new(Outside::Closed);
    let queue = Arc::new(Queue {
        packets: Mutex::default(),
        room,
    });
    rig.switch
        .serve(rig.network, Service::Dns, Some(Arc::<Queue>::clone(&queue)));
    (rig, queue)
}

/// A query: an empty datagram from 10.0.0.`host` to port 53 of the gateway.
fn query(host: u8) -> Vec<u8> {
    let mut packet = Way::out(host, "10.0.0.1", &format!("10.0.0.{host}")).udp(&[]);
    to_port_53(&mut packet, 36);
    packet
}

/// Changes the destination port at `at`, and the checksum with it.
fn to_port_53(packet: &mut [u8], at: usize) {
    packet[at..at + 2].copy_from_slice(&53_u16.to_be_bytes());
    // There is none.
    packet[at + 4..at + 6].fill(0);
}

#[test]
fn a_query_leaves_the_packet_path_as_it_came() {
    let (mut rig, queue) = served(10);
    let [a, ..] = rig.ports;
    let packet = query(2);
    let (verdict, sent) = rig.handle(a, &packet);
    assert_eq!((verdict, sent), (Verdict::Gateway, Vec::new()));
    let taken = queue.packets.lock().unwrap().pop().unwrap();
    assert_eq!((taken.service, taken.port), (Service::Dns, a));
    assert_eq!((taken.network, taken.frame), (rig.network, packet.clone()));
    let drops = rig.switch.port_stats(a).unwrap().drops;
    assert_eq!(drops.iter().sum::<u64>(), 0);
    // The question whether it would be takes nothing.
    let stages = rig.explain(a, &packet).stages;
    let step = GatewayStep::Served {
        service: Service::Dns,
    };
    assert!(stages.contains(&Stage::Gateway { step }));
    assert!(queue.packets.lock().unwrap().is_empty());
}

#[test]
fn other_ports_other_networks_and_strangers_are_not_served() {
    let (mut rig, queue) = served(10);
    let [a, ..] = rig.ports;
    let (reason, _) = rig.refuse(a, &Way::out(2, "10.0.0.1", "10.0.0.2").udp(&[]));
    assert_eq!(reason, DropReason::GatewayPort);
    let mut strange = Way::out(2, "10.0.0.1", "192.0.2.9").udp(&[]);
    to_port_53(&mut strange, 36);
    assert_eq!(rig.drop(a, &strange), DropReason::GatewaySource);
    let mut other = Way::out(2, "10.9.0.1", "10.9.0.2").udp(&[]);
    to_port_53(&mut other, 36);
    other[..6].copy_from_slice(&OTHER_GATEWAY.octets());
    let other_port = rig.other_port;
    let (reason, _) = rig.refuse(other_port, &other);
    assert_eq!(reason, DropReason::GatewayPort);
    assert!(queue.packets.lock().unwrap().is_empty());
}

#[test]
fn a_port_has_its_places_and_leaves_the_others_theirs() {
    let (mut rig, queue) = served(10_000);
    let [a, b, _] = rig.ports;
    for _ in 0..256 {
        rig.handle(a, &query(2));
    }
    assert_eq!(rig.drop(a, &query(2)), DropReason::ServiceLimit);
    rig.handle(b, &query(3));
    assert_eq!(queue.packets.lock().unwrap().len(), 257);
    // Who is dealt with makes room.
    queue.packets.lock().unwrap().remove(0);
    rig.handle(a, &query(2));
    assert_eq!(rig.drop(a, &query(2)), DropReason::ServiceLimit);
}

#[test]
fn what_does_not_fit_the_queue_is_dropped_and_its_place_is_free() {
    let (mut rig, queue) = served(1);
    let [a, ..] = rig.ports;
    rig.handle(a, &query(2));
    for _ in 0..300 {
        assert_eq!(rig.drop(a, &query(2)), DropReason::ServiceFull);
    }
    queue.packets.lock().unwrap().clear();
    rig.handle(a, &query(2));
    assert_eq!(queue.packets.lock().unwrap().len(), 1);
}

#[test]
fn nobody_serves_any_more_once_that_is_said() {
    let (mut rig, _queue) = served(1);
    let [a, ..] = rig.ports;
    rig.switch.serve(rig.network, Service::Dns, None);
    let (reason, _) = rig.refuse(a, &query(2));
    assert_eq!(reason, DropReason::GatewayPort);
}

/// Returns a rig whose first network has a DHCP server, and where its packets are. The third port leads to another host.
fn with_dhcp() -> (Rig, Arc<Queue>) {
    let rig = Rig::with(Outside::Closed, |config, number| PortConfig {
        isolation: if number == 4 {
            Isolation::Tunnel
        } else {
            Isolation::Open
        },
        ..config
    });
    let queue = Arc::new(Queue {
        packets: Mutex::default(),
        room: 1000,
    });
    rig.switch.serve(
        rig.network,
        Service::Dhcp,
        Some(Arc::<Queue>::clone(&queue)),
    );
    (rig, queue)
}

/// Returns an empty datagram between the ports of DHCP, from station 2.
fn dhcp(dst_mac: MacAddr, src: &str, dst: &str) -> Vec<u8> {
    let mut frame = Way::out(2, dst, src).udp(&[]);
    frame[..6].copy_from_slice(&dst_mac.octets());
    let (at, ports) = if dst.contains(':') {
        (54, [546_u16, 547])
    } else {
        (34, [68, 67])
    };
    frame[at..at + 2].copy_from_slice(&ports[0].to_be_bytes());
    frame[at + 2..at + 4].copy_from_slice(&ports[1].to_be_bytes());
    frame[at + 6..at + 8].fill(0);
    frame
}

const DHCP_SERVERS_MAC: MacAddr = MacAddr::new([0x33, 0x33, 0, 1, 0, 2]);

#[test]
fn who_asks_for_dhcp_servers_asks_the_gateway_and_nobody_else() {
    let (mut rig, queue) = with_dhcp();
    let [a, ..] = rig.ports;
    let everybody = MacAddr::BROADCAST;
    for frame in [
        dhcp(everybody, "0.0.0.0", "255.255.255.255"),
        dhcp(everybody, "10.0.0.2", "255.255.255.255"),
        dhcp(GATEWAY, "0.0.0.0", "255.255.255.255"),
        dhcp(GATEWAY, "10.0.0.2", "10.0.0.1"),
        dhcp(DHCP_SERVERS_MAC, "fe80::2", "ff02::1:2"),
        dhcp(GATEWAY, "fd00::2", "fd00::1"),
    ] {
        let (verdict, sent) = rig.handle(a, &frame);
        assert_eq!((verdict, sent), (Verdict::Gateway, Vec::new()));
        let taken = queue.packets.lock().unwrap().pop().unwrap();
        assert_eq!((taken.service, taken.port), (Service::Dhcp, a));
        assert_eq!(taken.frame, frame);
    }
    let foreign = dhcp(everybody, "192.0.2.9", "255.255.255.255");
    assert_eq!(rig.drop(a, &foreign), DropReason::GatewaySource);
    let other = dhcp(everybody, "10.0.0.1", "255.255.255.255");
    assert_eq!(rig.drop(a, &other), DropReason::GatewaySource);
}

#[test]
fn dhcp_of_other_hosts_and_where_there_is_no_server_stays_what_it_is() {
    let (mut rig, queue) = with_dhcp();
    let [a, _, tunnel] = rig.ports;
    let ask = dhcp(MacAddr::BROADCAST, "0.0.0.0", "255.255.255.255");
    let servers = dhcp(DHCP_SERVERS_MAC, "fe80::2", "ff02::1:2");
    for frame in [&ask, &servers] {
        assert!(matches!(rig.handle(tunnel, frame).0, Verdict::Flood(_)));
    }
    let (reason, _) = rig.refuse(tunnel, &dhcp(GATEWAY, "10.0.0.2", "10.0.0.1"));
    assert_eq!(reason, DropReason::GatewayPort);
    // Another port of everybody, and a part of a datagram, are not asked by who asks for a server.
    let mut other = ask.clone();
    other[37] = 69;
    assert!(matches!(rig.handle(a, &other).0, Verdict::Flood(_)));
    rig.switch.serve(rig.network, Service::Dhcp, None);
    for frame in [&ask, &servers] {
        assert!(matches!(rig.handle(a, frame).0, Verdict::Flood(_)));
    }
    assert!(queue.packets.lock().unwrap().is_empty());
}

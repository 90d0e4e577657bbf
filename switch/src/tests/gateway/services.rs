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
        .serve(rig.network, Some(Arc::<Queue>::clone(&queue)));
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
    rig.switch.serve(rig.network, None);
    let (reason, _) = rig.refuse(a, &query(2));
    assert_eq!(reason, DropReason::GatewayPort);
}

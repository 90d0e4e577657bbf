//! A thousand ports that are flooded, and one flow that must not wait for it. Counted, not timed.

use std::time::Duration;

use tapweave_device::{
    Backend, EpollBackend, MemoryPort, PortQueue, RECV_BUF_LEN, Reading, Received, UringBackend,
};
use tapweave_net::{MacAddr, Offload, OffloadSet};
use tapweave_switch::PortConfig;
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::test_switch::with_network;

const PORT_COUNT: usize = 1_000;
const FLOODED_COUNT: usize = 32;
const SOON: Option<Duration> = Some(Duration::ZERO);

fn frame(dst: MacAddr, src: MacAddr) -> [u8; 60] {
    let mut bytes = [0xa5; 60];
    bytes[..6].copy_from_slice(&dst.octets());
    bytes[6..12].copy_from_slice(&src.octets());
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes
}

fn received_count(from: &MemoryPort) -> usize {
    let mut buf = vec![0; RECV_BUF_LEN];
    let mut count = 0;
    while let Ok(Received::Frame(_)) = from.recv(&mut buf) {
        count += 1;
    }
    count
}

fn flooding_lets_a_flow_pass(mut backend: Box<dyn Backend>) {
    let (switch, network) = with_network(1);
    let (events, _) = unbounded_channel();
    let clock = Clock::new();
    let mut forwarder = Forwarder::new(switch.pipeline(0), clock, Arc::default(), events);
    let wire = |capacity| MemoryPort::pair(capacity, OffloadSet::ALL).unwrap();
    let mut add = |queue: Arc<dyn PortQueue>, reading| {
        let port = switch.add_port(network, PortConfig::OPEN).unwrap();
        backend.add_port(port, queue, reading).unwrap();
        port
    };
    let (near, flooder) = wire(FLOODED_COUNT);
    add(Arc::new(near), Reading::Here);
    let (near, sender) = wire(1);
    add(Arc::new(near), Reading::Here);
    let (near, receiver) = wire(2 * FLOODED_COUNT);
    let to = add(Arc::new(near), Reading::Elsewhere);
    // All others end in one place.
    let (near, others) = wire(FLOODED_COUNT * PORT_COUNT);
    let near: Arc<dyn PortQueue> = Arc::new(near);
    for _ in 3..PORT_COUNT {
        add(Arc::clone(&near), Reading::Elsewhere);
    }
    let station = MacAddr::new([2, 0, 0, 0, 0, 2]);
    switch
        .fdb_add(network, station, None, to, clock.now())
        .unwrap();
    let from = MacAddr::new([2, 0, 0, 0, 0, 1]);
    let mut bytes = frame(MacAddr::BROADCAST, MacAddr::new([2, 0, 0, 0, 0, 3]));
    for _ in 0..FLOODED_COUNT {
        let mut frame = Frame::new(&mut bytes, 0, Offload::NONE);
        flooder.send(&mut frame).unwrap();
    }
    let mut copies = 0;
    for passed in 1..=4 {
        let mut bytes = frame(station, from);
        sender
            .send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
            .unwrap();
        backend.turn(SOON, &mut forwarder).unwrap();
        let flooded = received_count(&others);
        assert!(flooded <= 2 * PORT_COUNT, "{flooded} copies in one turn");
        copies += flooded;
        // The flow's frame of this turn, and those that were flooded.
        let got = received_count(&receiver);
        assert!(got > flooded / PORT_COUNT, "turn {passed}: {got}");
    }
    for _ in 0..FLOODED_COUNT {
        backend.turn(SOON, &mut forwarder).unwrap();
        copies += received_count(&others);
    }
    assert_eq!(copies, FLOODED_COUNT * (PORT_COUNT - 3), "none is lost");
}

#[test]
fn flooding_a_thousand_ports_lets_a_flow_pass_in_every_turn() {
    flooding_lets_a_flow_pass(Box::new(EpollBackend::new(Duration::ZERO).unwrap()));
    flooding_lets_a_flow_pass(Box::new(UringBackend::new(Duration::ZERO).unwrap()));
}

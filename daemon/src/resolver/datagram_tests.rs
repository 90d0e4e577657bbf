//! Queries out of frames, and answers into frames.

use std::sync::{Arc, Mutex};

use tapweave_net::{Frame, Gso, NetworkNo, Offload, Timestamp};
use tapweave_switch::{
    Advertising, GatewayConfig, Information, NetworkConfig, Outside, PortConfig, Service,
    ServiceQueue, Switch, SwitchConfig, Verdict,
};

use super::*;
use crate::test_switch::NETWORK;

const GATEWAY: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xfe]);
const CLIENT: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);

#[derive(Debug, Default)]
struct Queue(Mutex<Vec<ServicePacket>>);

impl ServiceQueue for Queue {
    fn offer(&self, packet: ServicePacket) -> Result<(), ServicePacket> {
        self.0.lock().unwrap().push(packet);
        Ok(())
    }
}

/// Lets a switch take `frame` out of its path.
fn taken(frame: &[u8], offload: Offload) -> ServicePacket {
    let switch = Arc::new(Switch::new(SwitchConfig {
        worker_count: 1,
        seed: 7,
    }));
    let addresses = ["10.0.0.1/24", "fd00::1/64"];
    let network: NetworkNo = switch.add_network(NetworkConfig {
        gateway: Some(GatewayConfig {
            mac: GATEWAY,
            addresses: addresses.map(|text| text.parse().unwrap()).to_vec(),
            outside: Outside::Closed,
            advertising: Advertising::Silent,
            information: Information::default(),
        }),
        ..NETWORK
    });
    let queue = Arc::new(Queue::default());
    switch.serve(network, Service::Dns, Some(Arc::<Queue>::clone(&queue)));
    let port = switch.add_port(network, PortConfig::OPEN).unwrap();
    let mut pipeline = switch.pipeline(0);
    let mut buffer = [&[0; 128], frame].concat();
    let mut frames = [Frame::new(&mut buffer, 128, offload)];
    let (mut verdicts, now) = (Vec::new(), Timestamp::from_secs(1));
    pipeline.handle_batch(now, port, &frames, &mut verdicts);
    assert_eq!(verdicts, [Verdict::Gateway]);
    let [frame] = &mut frames;
    pipeline.handle_gateway(now, (port, 0), frame, &mut |_, _| {});
    let taken = queue.0.lock().unwrap().pop();
    taken.expect("the switch kept it")
}

/// Returns a frame with `payload` to port 53 of the gateway.
fn frame(is_v4: bool, tag: &[u8], payload: &[u8]) -> Vec<u8> {
    let (client, gateway) = if is_v4 {
        ("10.0.0.2", "10.0.0.1")
    } else {
        ("fd00::2", "fd00::1")
    };
    let ethertype = if is_v4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let link = [&CLIENT.octets()[..], &GATEWAY.octets(), tag, &ethertype].concat();
    // The way back of a way back is a way there.
    let there = WayBack {
        port: PortNo::from_u32(1),
        link: LinkHeader::turned(&link, link.len()).unwrap(),
        client: gateway.parse().unwrap(),
        client_port: 53,
        gateway: client.parse().unwrap(),
        gateway_port: 40_000,
        _place: None,
    };
    let mut frame = there.frame(payload).unwrap();
    frame[..6].copy_from_slice(&GATEWAY.octets());
    frame[6..12].copy_from_slice(&CLIENT.octets());
    frame
}

#[test]
fn an_answer_goes_back_to_who_asked_in_the_vlan_of_the_question() {
    for is_v4 in [true, false] {
        for tag in [&[][..], &[0x81, 0x00, 0x20, 0x0a]] {
            let bytes = frame(is_v4, tag, b"question");
            let packet = taken(&bytes, Offload::NONE);
            let parsed = ParsedFrame::parse(&packet.frame).unwrap();
            assert!(is_intact(&packet, &parsed));
            let port = packet.port;
            let mut asked = queries(packet, &parsed);
            let (query, back) = asked.pop().unwrap();
            assert_eq!(
                (&query[..], back.port, asked.len()),
                (&b"question"[..], port, 0)
            );
            let answer = back.frame(b"an answer").unwrap();
            let read = ParsedFrame::parse(&answer).unwrap();
            assert_eq!((read.dst(), read.src()), (CLIENT, GATEWAY));
            let (FlowKey::V4 { ports, .. } | FlowKey::V6 { ports, .. }) = read.flow() else {
                panic!("{:?}", read.flow())
            };
            assert_eq!(
                ports.map(|ports| (ports.src, ports.dst)),
                Some((53, 40_000))
            );
            let len = if is_v4 { 4 } else { 16 };
            let ends = |frame: &[u8]| (frame[..len].to_vec(), frame[len..2 * len].to_vec());
            let addresses_at = parsed.l3_offset() + if is_v4 { 12 } else { 8 };
            let (client, gateway) = ends(&bytes[addresses_at..]);
            assert_eq!(ends(&answer[addresses_at..]), (gateway, client));
            assert_eq!(read.tags(), parsed.tags());
            assert_eq!(verify_transport(&answer, &read), Verification::Right);
            assert_eq!(answer[read.payload_offset().unwrap()..], b"an answer"[..]);
        }
    }
}

#[test]
fn a_super_frame_holds_as_many_queries_as_segments() {
    let bytes = frame(true, &[], b"one.two.thr");
    let offload = Offload {
        checksum: ChecksumOffload::Partial {
            start: 34,
            offset: 6,
        },
        gso: Some(Gso {
            kind: GsoKind::Udp,
            ecn: false,
            size: 4,
            header_len_hint: 42,
        }),
    };
    let packet = taken(&bytes, offload);
    let parsed = ParsedFrame::parse(&packet.frame).unwrap();
    assert!(is_intact(&packet, &parsed));
    let asked = queries(packet, &parsed);
    let asked: Vec<&[u8]> = asked.iter().map(|(query, _)| &query[..]).collect();
    assert_eq!(asked, [&b"one."[..], b"two.", b"thr"]);
}

#[test]
fn a_query_with_a_wrong_checksum_is_none() {
    let mut bytes = frame(true, &[], b"question");
    bytes[40] ^= 1;
    let packet = taken(&bytes, Offload::NONE);
    let parsed = ParsedFrame::parse(&packet.frame).unwrap();
    assert!(!is_intact(&packet, &parsed));
}

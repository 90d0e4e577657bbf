use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tapweave_net::checksum::Sum;
use tapweave_net::{IpProtocol, Offload, VnetHdrError};

use super::*;
use crate::backend::{Backend, Egress, Reading, Sent};
use crate::epoll::EpollBackend;
use crate::memory::MemoryPort;
use crate::queue::{PortQueue, RECV_BUF_LEN, Received};

/// Returns how many of `batches` in a row are looked at, when each leaves as `run_count` frames.
fn looks(attention: &mut Attention, batches: u32, run_count: usize) -> u32 {
    let mut looks = 0;
    for _ in 0..batches {
        attention.begin_batch(32);
        if attention.is_awake {
            looks += 1;
            attention.judge(32, run_count);
        }
    }
    looks
}

#[test]
fn traffic_that_never_merges_is_soon_left_alone() {
    let mut attention = Attention::new();
    assert_eq!(looks(&mut attention, PATIENCE, 32), PATIENCE);
    assert_eq!(looks(&mut attention, 100 * REST, 31), 100);
}

#[test]
fn one_batch_that_merges_brings_attention_back() {
    let mut attention = Attention::new();
    looks(&mut attention, 10 * PATIENCE, 32);
    assert_eq!(looks(&mut attention, 1000, 30), 1000);
    assert_eq!(looks(&mut attention, PATIENCE, 32), PATIENCE);
}

#[test]
fn a_frame_alone_is_not_looked_at() {
    let mut attention = Attention::new();
    attention.begin_batch(1);
    assert!(!attention.is_awake);
    attention.begin_batch(2);
    assert!(attention.is_awake);
}

/// Sends everything to port 1, as it comes, and notes the outcomes.
#[derive(Default)]
struct ToPortOne {
    sent_now: usize,
    completions: Vec<(PortNo, usize, usize, bool)>,
}

impl BatchHandler for ToPortOne {
    fn handle_batch(
        &mut self,
        _: PortNo,
        frames: &mut [Frame<'_>],
        egress: &mut dyn Egress,
    ) -> usize {
        for frame in &mut *frames {
            let sent = egress.send(port(1), frame).unwrap();
            self.sent_now += usize::from(sent == Sent::Now);
        }
        frames.len()
    }

    fn handle_completion(
        &mut self,
        port: PortNo,
        frame_count: usize,
        byte_count: usize,
        outcome: Result<(), SendError>,
    ) {
        let completion = (port, frame_count, byte_count, outcome.is_ok());
        self.completions.push(completion);
    }

    fn handle_malformed(&mut self, _: PortNo, error: VnetHdrError) {
        panic!("{error}");
    }

    fn handle_port_failure(&mut self, _: PortNo, error: io::Error) {
        panic!("{error}");
    }
}

fn port(index: u32) -> PortNo {
    PortNo::new(index, 0)
}

/// A datagram of 18 bytes to port `dst` whose checksum is right, 60 bytes in all.
fn datagram(dst: u8) -> Vec<u8> {
    let (src_ip, dst_ip) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
    let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend(src_ip.octets());
    frame.extend(dst_ip.octets());
    let checksum = Sum::of(&frame[14..]).checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame.extend([0, 9, 0, dst, 0, 26, 0, 0]);
    frame.extend([dst; 18]);
    let pseudo = Sum::pseudo_v4(src_ip, dst_ip, IpProtocol::UDP, 26);
    let checksum = pseudo.and_bytes(&frame[34..]).udp_checksum();
    frame[40..42].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// Sends datagrams to these ports in one batch, to a port with `offloads` that takes `capacity`
/// frames, and returns what the handler saw and what came out.
fn batch(
    dsts: &[u8],
    offloads: OffloadSet,
    capacity: usize,
) -> (ToPortOne, Vec<(usize, Option<u16>)>) {
    let (near_in, far_in) = MemoryPort::pair(MAX_BATCH, OffloadSet::EMPTY).unwrap();
    let (near_out, far_out) = MemoryPort::pair(capacity, offloads).unwrap();
    let mut backend = EpollBackend::new(Duration::ZERO).unwrap();
    let (near_in, near_out) = (Arc::new(near_in), Arc::new(near_out));
    backend.add_port(port(0), near_in, Reading::Here).unwrap();
    backend
        .add_port(port(1), near_out, Reading::Elsewhere)
        .unwrap();
    for dst in dsts {
        let mut bytes = datagram(*dst);
        far_in
            .send(&mut Frame::new(&mut bytes, 0, Offload::NONE))
            .unwrap();
    }
    let mut handler = ToPortOne::default();
    backend.turn(Some(Duration::ZERO), &mut handler).unwrap();
    let mut buf = vec![0; RECV_BUF_LEN];
    let mut received = Vec::new();
    while let Ok(Received::Frame(frame)) = far_out.recv(&mut buf) {
        let size = frame.offload().gso.map(|gso| gso.size);
        received.push((frame.data().len(), size));
    }
    (handler, received)
}

#[test]
fn a_burst_leaves_as_one_super_frame_and_is_counted_by_datagrams() {
    let (handler, received) = batch(&[1; 10], OffloadSet::ALL, 100);
    assert_eq!(received, [(42 + 10 * 18, Some(18))]);
    assert_eq!(handler.completions, [(port(1), 10, 600, true)]);
    assert_eq!(handler.sent_now, 0);
}

#[test]
fn flows_in_turn_leave_as_one_super_frame_each() {
    let (handler, received) = batch(&[1, 2, 1, 2, 3], OffloadSet::ALL, 100);
    assert_eq!(received, [(78, Some(18)), (78, Some(18)), (60, None)]);
    let counts: Vec<_> = handler.completions.iter().map(|seen| seen.1).collect();
    assert_eq!(counts, [2, 2, 1]);
}

#[test]
fn a_port_that_cannot_cut_datagrams_gets_them_one_by_one() {
    let without_uso = OffloadSet::CHECKSUM
        .union(OffloadSet::TSO4)
        .union(OffloadSet::TSO6);
    for offloads in [OffloadSet::EMPTY, without_uso] {
        let (handler, received) = batch(&[1; 10], offloads, 100);
        assert_eq!(received, [(60, None); 10]);
        assert_eq!((handler.sent_now, handler.completions.len()), (10, 0));
    }
}

#[test]
fn a_datagram_alone_is_sent_at_once() {
    let (handler, received) = batch(&[1], OffloadSet::ALL, 100);
    assert_eq!(received, [(60, None)]);
    assert_eq!((handler.sent_now, handler.completions.len()), (1, 0));
}

#[test]
fn a_super_frame_that_is_refused_is_counted_as_all_its_datagrams() {
    let (handler, received) = batch(&[1, 1, 1, 2, 2], OffloadSet::ALL, 1);
    assert_eq!(received, [(42 + 3 * 18, Some(18))]);
    let want = [(port(1), 3, 180, true), (port(1), 2, 120, false)];
    assert_eq!(handler.completions, want);
}

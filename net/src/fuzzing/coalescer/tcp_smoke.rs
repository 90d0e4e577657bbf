//! A deterministic run of the fuzz target in the ordinary tests: bursts of TCP segments that a seeded
//! generator builds and then breaks in a few places.

use core::net::{Ipv4Addr, Ipv6Addr};

use tapweave_smoke::Source;

use super::{read_batch, segments};
use crate::checksum::Sum;
use crate::{IpProtocol, VnetHdr};

const BATCHES: usize = 1000;

/// Returns a batch in which neighbours often follow each other in one flow.
fn input(source: &mut Source) -> Vec<u8> {
    let mut input = Vec::new();
    let mut next = [u32::MAX - 100; 4];
    let mut flow = 0;
    for id in 0..source.below(40) {
        if source.below(4) == 0 {
            flow = source.below(4);
        }
        let payload_len = match source.below(12) {
            0 => source.pick(&[7, 0, 300]),
            _ => 20,
        };
        let (mut header, mut frame) = frame(source, flow, id, next[flow], payload_len);
        if source.below(16) > 0 {
            next[flow] = next[flow].wrapping_add(u32::try_from(payload_len).unwrap());
        }
        for _ in 0..source.below(8).saturating_sub(6) {
            let at = source.below(frame.len());
            frame[at] ^= 1 << source.below(8);
        }
        if source.below(64) == 0 {
            header[source.below(VnetHdr::LEN)] = source.pick(&[0, 1, 4, 6, 40]);
        }
        let [high, low] = u16::try_from(frame.len()).unwrap().to_be_bytes();
        input.extend([u8::from(source.below(16) == 0), high, low]);
        input.extend(header);
        input.extend(frame);
    }
    input
}

/// Returns a segment whose checksum is right or, with every other flow, partial.
fn frame(
    source: &mut Source,
    flow: usize,
    id: usize,
    seq: u32,
    payload_len: usize,
) -> ([u8; VnetHdr::LEN], Vec<u8>) {
    let (flow, id) = (u8::try_from(flow).unwrap(), u8::try_from(id).unwrap());
    let tcp_len = u16::try_from(20 + payload_len).unwrap();
    let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
    let pseudo = if flow < 2 {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + tcp_len).to_be_bytes());
        frame.extend([0, id, source.pick(&[0x40, 0x40, 0]), 0, 64, 6, 0, 0]);
        frame.extend([src.octets(), dst.octets()].as_flattened());
        let checksum = Sum::of(&frame[14..]).checksum();
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        Sum::pseudo_v4(src, dst, IpProtocol::TCP, tcp_len)
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(tcp_len.to_be_bytes());
        frame.extend([6, 64]);
        let address = Ipv6Addr::LOCALHOST;
        frame.extend([address.octets(), address.octets()].as_flattened());
        Sum::pseudo_v6(address, address, IpProtocol::TCP, tcp_len.into())
    };
    let l4 = frame.len();
    frame.extend([0, flow, 0, 9]);
    frame.extend(seq.to_be_bytes());
    let flags = match source.below(12) {
        0 => source.pick(&[0x18, 0x11, 0x02, 0x50]),
        _ => 0x10,
    };
    frame.extend([0, 0, 0, 7, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    frame.extend(vec![id; payload_len]);
    let mut header = [0; VnetHdr::LEN];
    let checksum = if flow.is_multiple_of(2) {
        header[0] = 1;
        header[6..8].copy_from_slice(&u16::try_from(l4).unwrap().to_ne_bytes());
        header[8..10].copy_from_slice(&16_u16.to_ne_bytes());
        pseudo.fold()
    } else {
        pseudo.and_bytes(&frame[l4..]).checksum()
    };
    frame[l4 + 16..l4 + 18].copy_from_slice(&checksum.to_be_bytes());
    (header, frame)
}

#[test]
fn generated_and_broken_batches_hold_the_invariants() {
    let mut source = Source::new(1);
    for _ in 0..BATCHES {
        segments(&read_batch(&input(&mut source)));
    }
}

#[test]
fn the_generator_reaches_what_it_is_for() {
    let mut source = Source::new(2);
    let (mut offered, mut merged) = (0, 0);
    for _ in 0..100 {
        let batch = read_batch(&input(&mut source));
        offered += batch.len();
        merged += segments(&batch);
    }
    assert!(
        (offered / 6..offered * 9 / 10).contains(&merged),
        "{merged} of {offered} frames are merged"
    );
}

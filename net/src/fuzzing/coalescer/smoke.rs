//! A deterministic run of the fuzz target in the ordinary tests: bursts of datagrams that a seeded
//! generator builds and then breaks in a few places.

use core::net::{Ipv4Addr, Ipv6Addr};

use tapweave_smoke::Source;

use super::{datagrams, leave, read_batch};
use crate::checksum::Sum;
use crate::coalesce::RunTable;
use crate::{IpProtocol, VnetHdr};

const BATCHES: usize = 5000;

/// Returns a batch in which neighbours are often of one flow.
fn input(source: &mut Source) -> Vec<u8> {
    let mut input = Vec::new();
    let (mut flow, mut payload_len) = (0, 18);
    for id in 0..source.below(40) {
        if source.below(4) == 0 {
            flow = source.pick(&[0, 1, 2, 3]);
            payload_len = source.pick(&[18, 18, 19, 5, 300]);
        }
        let id = u16::try_from(id).unwrap();
        let (mut header, mut frame) = frame(source, flow, id, payload_len);
        for _ in 0..source.below(8).saturating_sub(6) {
            let at = source.below(frame.len());
            frame[at] ^= 1 << source.below(8);
        }
        if source.below(64) == 0 {
            header[source.below(VnetHdr::LEN)] = source.pick(&[0, 1, 5, 6, 40]);
        }
        let [high, low] = u16::try_from(frame.len()).unwrap().to_be_bytes();
        input.extend([u8::from(source.below(8) == 0), high, low]);
        input.extend(header);
        input.extend(frame);
    }
    input
}

/// Returns a datagram whose checksum is right or, with every other flow, partial.
fn frame(
    source: &mut Source,
    flow: u8,
    id: u16,
    payload_len: usize,
) -> ([u8; VnetHdr::LEN], Vec<u8>) {
    let udp_len = u16::try_from(8 + payload_len).unwrap();
    let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
    let pseudo = if flow < 2 {
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + udp_len).to_be_bytes());
        frame.extend(id.to_be_bytes());
        frame.extend([source.pick(&[0x40, 0x40, 0]), 0, 64, 17, 0, 0]);
        frame.extend(src.octets());
        frame.extend(dst.octets());
        let checksum = Sum::of(&frame[14..]).checksum();
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        Sum::pseudo_v4(src, dst, IpProtocol::UDP, udp_len)
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(udp_len.to_be_bytes());
        frame.extend([17, 64]);
        let address = Ipv6Addr::LOCALHOST;
        frame.extend(address.octets());
        frame.extend(address.octets());
        Sum::pseudo_v6(address, address, IpProtocol::UDP, udp_len.into())
    };
    let l4 = frame.len();
    frame.extend([0, flow, 0, 9]);
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    let payload = vec![id.to_be_bytes()[1]; payload_len];
    frame.extend(payload);
    let mut header = [0; VnetHdr::LEN];
    let checksum = if flow.is_multiple_of(2) {
        header[0] = 1;
        header[6..8].copy_from_slice(&u16::try_from(l4).unwrap().to_ne_bytes());
        header[8..10].copy_from_slice(&6_u16.to_ne_bytes());
        pseudo.fold()
    } else {
        pseudo.and_bytes(&frame[l4..]).udp_checksum()
    };
    frame[l4 + 6..l4 + 8].copy_from_slice(&checksum.to_be_bytes());
    (header, frame)
}

#[test]
fn generated_and_broken_batches_hold_the_invariants() {
    let mut source = Source::new(1);
    for _ in 0..BATCHES {
        datagrams(&read_batch(&input(&mut source)));
    }
}

#[test]
fn the_generator_reaches_what_it_is_for() {
    let mut source = Source::new(2);
    let (mut offered, mut merged) = (0, 0);
    for _ in 0..100 {
        let mut table = RunTable::new(64, 0);
        let mut count = |to, run: &mut crate::coalesce::Run| {
            merged += run.frame_count() - 1;
            leave(to, run);
        };
        for (to, frame, offload) in read_batch(&input(&mut source)) {
            offered += 1;
            table.offer(to, &frame, offload, &mut count);
        }
        table.dismiss_all(&mut count);
    }
    assert!(
        merged > offered / 3,
        "{merged} of {offered} frames are merged"
    );
    assert!(
        merged < offered * 9 / 10,
        "{merged} of {offered} are merged"
    );
}

//! A deterministic run of the fuzz target in the ordinary tests: datagrams and frames that a seeded
//! generator builds and then breaks in a few places.

use tapweave_smoke::{Source, stored_inputs};

use super::tunnel;

/// How far into an input it is broken: most often where the headers are.
const REACHES: [usize; 4] = [14, 70, 70, usize::MAX];

/// Returns an IP packet, its version, and where its TCP header is.
fn packet(source: &mut Source) -> (Vec<u8>, bool, u16) {
    let payload_len = source.below(3000);
    let mut tcp = source.bytes(20 + payload_len);
    tcp[12] = 0x50;
    let is_v6 = source.below(2) == 0;
    let mut packet = if is_v6 {
        let mut header = source.bytes(40);
        header[0] = 0x60 | (header[0] & 0x0f);
        let len = u16::try_from(tcp.len()).unwrap();
        header[4..6].copy_from_slice(&len.to_be_bytes());
        header[6] = 6;
        header
    } else {
        let mut header = source.bytes(20);
        header[0] = 0x45;
        let len = u16::try_from(20 + tcp.len()).unwrap();
        header[2..4].copy_from_slice(&len.to_be_bytes());
        header[6..8].fill(0);
        header[9] = 6;
        header
    };
    let start = u16::try_from(packet.len()).unwrap();
    packet.extend(tcp);
    (packet, is_v6, start)
}

fn input(source: &mut Source) -> Vec<u8> {
    let (packet, is_v6, start) = packet(source);
    let mut frame = source.bytes(12);
    for _ in 0..source.below(8).saturating_sub(6) {
        frame.extend([0x81, 0, 0, 1]);
    }
    frame.extend(if is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    let start = start + u16::try_from(frame.len()).unwrap();
    frame.extend(&packet);
    let [s0, s1] = start.to_ne_bytes();
    let [g0, g1] = source.pick(&[40_u16, 536, 1400]).to_ne_bytes();
    let [o0, o1] = 16_u16.to_ne_bytes();
    let gso = if is_v6 { 4 } else { 1 };
    let mut input = vec![source.byte(), source.byte()];
    input.extend([1, gso, 0, 0, g0, g1, s0, s1, o0, o1, 0, 0]);
    match source.below(3) {
        0 => input.extend(packet),
        1 => {
            input.extend([8, 0, 0, 0, 0, 0, 42, 0]);
            input.extend(frame);
        }
        _ => input.extend(frame),
    }
    input
}

fn run(seed: u8) {
    let mut source = Source::new(seed);
    for _ in 0..10_000 {
        let mut input = input(&mut source);
        source.mutate(&mut input, &REACHES);
        tunnel(&input);
    }
}

#[test]
fn generated_and_broken_datagrams_hold_the_invariants_first_half() {
    run(1);
}

#[test]
fn generated_and_broken_datagrams_hold_the_invariants_second_half() {
    run(2);
}

#[test]
fn stored_inputs_hold_the_invariants() {
    let inputs = stored_inputs("tunnel").unwrap();
    for input in &inputs {
        tunnel(input);
    }
    let count = inputs.len();
    assert!(count >= 6, "{count} stored inputs");
}

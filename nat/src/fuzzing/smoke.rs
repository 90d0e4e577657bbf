//! A deterministic run of the fuzz target in the ordinary tests: the stored corpus, and packets that a
//! seeded generator builds, with right checksums, and then breaks in a few places.

use tapweave_net::{Offload, VnetHdr};
use tapweave_smoke::{Source, stored_inputs};

use super::nat_packet;
use crate::packet::QueryKind;
use crate::packet::tests::build::{
    Kind, Spec, State, cut, ends, error_frame, error_types, header_len,
};

/// How far into an input it is broken: most often where the headers are.
const REACHES: [usize; 5] = [12, 80, 80, 160, usize::MAX];

fn spec(source: &mut Source) -> Spec {
    let kind = source.pick(&[
        Kind::Tcp,
        Kind::Udp,
        Kind::UdpWithoutChecksum,
        Kind::Query(QueryKind::Request),
        Kind::Query(QueryKind::Reply),
    ]);
    let mut pair = if source.below(2) == 0 {
        ends("10.0.0.2:40000", "192.0.2.9:443")
    } else {
        ends("[fd00::2]:40000", "[2001:db8::9]:443")
    };
    match kind {
        Kind::Query(QueryKind::Request) => pair.dst = pair.dst.with_port(0),
        Kind::Query(QueryKind::Reply) => pair.src = pair.src.with_port(0),
        Kind::Tcp | Kind::Udp | Kind::UdpWithoutChecksum => {}
    }
    let payload_len = source.below(200);
    let payload = source.bytes(payload_len);
    let mut spec = Spec::new(kind, pair, &payload);
    if kind != Kind::UdpWithoutChecksum && source.below(3) == 0 {
        spec.state = State::Partial;
    }
    spec
}

fn input(source: &mut Source) -> Vec<u8> {
    let spec = spec(source);
    match source.below(4) {
        0 | 1 => stored(spec.offload(), &spec.frame()),
        2 => {
            let kind = source.pick(error_types(spec.is_v6()));
            let len = header_len(&spec) + source.below(90);
            let router = source.pick(&[spec.ends.src.ip(), spec.ends.dst.ip()]);
            stored(Offload::NONE, &error_frame(kind, router, &spec, len, &[]))
        }
        _ => {
            let len = spec.l4().len();
            if len <= 24 {
                return stored(spec.offload(), &spec.frame());
            }
            let parts = cut(&spec, &[0, 24]);
            let index = source.below(2);
            stored(Offload::NONE, &parts[index])
        }
    }
}

fn stored(offload: Offload, frame: &[u8]) -> Vec<u8> {
    [&VnetHdr::from(offload).encode()[..], frame].concat()
}

#[test]
fn generated_and_broken_packets_hold_the_invariants() {
    let mut source = Source::new(1);
    for _ in 0..30_000 {
        let mut input = input(&mut source);
        nat_packet(&input);
        source.mutate(&mut input, &REACHES);
        nat_packet(&input);
    }
}

#[test]
fn stored_inputs_hold_the_invariants() {
    let mut count = 0;
    // What breaks parsers may break the translation.
    for target in ["nat_packet", "frame_parser"] {
        for input in stored_inputs(target).unwrap() {
            nat_packet(&input);
            count += 1;
        }
    }
    assert!(count >= 35, "{count} stored inputs");
}

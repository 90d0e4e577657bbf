//! State that outlives a daemon: what it takes to write the flows of a full table, to read them, and to have them in a
//! table again.
//!
//! 65,536 flows are there, each with a mapping of its own: as many as a table of the usual size takes. Figures are of all of
//! them together. *mark* is what the journal's writer pays for a round in which nothing has changed.

#![expect(
    clippy::expect_used,
    reason = "a benchmark ends where its preparation fails"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tapweave_carry::names::Networks;
use tapweave_carry::{BootId, container, flows, names, read};
use tapweave_nat::table::{Endpoint, Entry, Realm, Tuple};
use tapweave_nat::{Nat, NatConfig};
use tapweave_net::{IpProtocol, NetworkNo, Timestamp};

const FLOWS: u32 = 1 << 16;
const BOOT: BootId = BootId::from_bytes([1; BootId::LEN]);
const NOW: Timestamp = Timestamp::from_secs(1000);

/// A connection that is open, of one of 256 sandboxes.
fn flow(number: u32) -> Entry {
    let [_, _, host, low] = number.to_be_bytes();
    let port = 1024 + u16::from(low);
    let outside = Endpoint::new([192, 0, 2, host].into(), port);
    let inside = Endpoint::new([10, 0, host, 2].into(), port);
    let server = Endpoint::new([198, 51, 100, low].into(), 443);
    let tuple = |realm, src, dst| Tuple {
        realm,
        protocol: IpProtocol::TCP,
        src,
        dst,
    };
    Entry {
        // Masqueraded, with a share in its mapping, counted with its sandbox.
        label: 1 | 1 << 3 | 1 << 5,
        // Established.
        state: Entry::ASSURED | 2,
        ..Entry::new(
            tuple(Realm::of(NetworkNo(1)), inside, server),
            tuple(Realm::OUTSIDE, server, outside),
            Timestamp::from_secs(5000),
        )
    }
}

fn full() -> Nat {
    let nat = empty();
    let taken = (0..FLOWS).filter(|&number| nat.restore(&flow(number), NOW));
    assert_eq!(taken.count(), FLOWS as usize);
    nat
}

fn empty() -> Nat {
    Nat::new(NatConfig {
        flow_limit: 1 << 18,
        ..NatConfig::new(7, 1)
    })
}

fn written(nat: &Nat) -> Vec<u8> {
    let mut file = container::header(BOOT).to_vec();
    let networks: Networks = [(NetworkNo(1), "a".repeat(names::ID_LEN))].into();
    names::write(&mut file, &networks);
    let places = 0..nat.place_count();
    let found: Vec<_> = places
        .filter_map(|place| Some((place, nat.flow_in(place)?)))
        .collect();
    flows::write(&mut file, found.iter().map(|(place, flow)| (*place, flow)));
    file
}

fn carry(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("carry");
    group.sample_size(20);
    let nat = full();
    let file = written(&nat);
    group.bench_function("write", |bencher| {
        bencher.iter(|| black_box(written(&nat)));
    });
    group.bench_function("read", |bencher| {
        bencher.iter(|| read(&file, BOOT).expect("it was just written"));
    });
    let carried = read(&file, BOOT).expect("it was just written");
    group.bench_function("restore", |bencher| {
        let restore = |nat: Nat| {
            for flow in carried.flows.values() {
                nat.restore(flow, NOW);
            }
            nat
        };
        bencher.iter_batched(empty, restore, BatchSize::PerIteration);
    });
    while nat.has_changes() {
        nat.poll_changes(usize::MAX, |_, _| {});
    }
    group.bench_function("mark", |bencher| bencher.iter(|| nat.has_changes()));
    group.finish();
}

criterion_group!(benches, carry);
criterion_main!(benches);

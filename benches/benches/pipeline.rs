//! The whole decision on frames: `Pipeline::handle_batch`, 32 frames a batch.
//!
//! Throughput is in frames, so criterion's time divided by 32 is the cost of one. Source and
//! destination are drawn at random from all stations of the table, which is the worst case for the
//! caches: a real batch has few, as `64-flows` has. Before each measurement the same batches run once with an
//! allocator that counts, and a single allocation fails the benchmark.

mod support;

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipnet::IpNet;
use tapweave_net::MacAddr;
use tapweave_switch::{
    Guard, NetworkConfig, Pipeline, PortConfig, StormLimits, Suppression, Verdict,
};

use support::{BATCH_LEN, NOW, Numbers, PORTS, Rig, frame, time_batches};

#[derive(Clone, Copy)]
enum Class {
    /// A random pair of stations each frame.
    KnownUnicast,
    /// The same pair all the time.
    OneFlow,
    /// A random one of 64 pairs each frame, which are spread over the table.
    SixtyFourFlows,
    /// A known source, and a destination that nobody knows.
    UnknownUnicast,
}

fn handle_batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline/handle_batch");
    group.throughput(Throughput::Elements(BATCH_LEN as u64));
    for (size, station_count) in [("1k", 1_000), ("100k", 100_000)] {
        let rig = Rig::full(station_count, 1);
        for (name, class) in [
            ("known-unicast", Class::KnownUnicast),
            ("one-flow", Class::OneFlow),
            ("64-flows", Class::SixtyFourFlows),
            ("unknown-unicast", Class::UnknownUnicast),
        ] {
            let mut pipeline = rig.switch.pipeline(0);
            let mut verdicts = Vec::with_capacity(BATCH_LEN);
            assert_no_allocation(&rig, class, &mut pipeline, &mut verdicts);
            let mut numbers = Numbers(1);
            group.bench_function(format!("{name}-{size}"), |bencher| {
                bencher.iter_custom(|batch_count| {
                    run(&rig, class, &mut numbers, batch_count, |frames| {
                        pipeline.handle_batch(NOW, rig.ports[0], black_box(frames), &mut verdicts);
                    })
                });
            });
        }
    }
    group.finish();
}

/// TCP from a port with a guard, beside the same frames from a port without.
fn guarded(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline/handle_batch");
    group.throughput(Throughput::Elements(BATCH_LEN as u64));
    let rig = Rig::new(8, 1);
    let sent = tcp_frame(0, 1);
    let mut own = [0; 6];
    own.copy_from_slice(&sent[6..12]);
    let own = MacAddr::new(own);
    let guard = Guard::new(own, [IpNet::from(IpAddr::from(TCP_SRC))]);
    let network = rig.switch.add_network(NetworkConfig {
        mtu: 1500,
        ageing: Duration::from_mins(5),
        fdb_limit: 1_000,
        snooping: None,
        storm: StormLimits::NONE,
        gateway: None,
        suppression: Suppression::Off,
    });
    for (name, guard) in [("open", None), ("guarded", Some(Arc::new(guard)))] {
        let config = PortConfig {
            guard,
            ..PortConfig::OPEN
        };
        let Ok(port) = rig.switch.add_port(network, config) else {
            continue;
        };
        let mut pipeline = rig.switch.pipeline(0);
        let mut verdicts = Vec::with_capacity(BATCH_LEN);
        group.bench_function(format!("tcp4-{name}"), |bencher| {
            bencher.iter_custom(|batch_count| {
                let make = || [sent; BATCH_LEN];
                time_batches(batch_count, make, |frames| {
                    pipeline.handle_batch(NOW, port, black_box(frames), &mut verdicts);
                })
            });
        });
        let is_dropped = |verdict: &Verdict| matches!(verdict, Verdict::Drop(_));
        assert!(!verdicts.iter().any(is_dropped), "{verdicts:?}");
    }
    group.finish();
}

/// Where [`tcp_frame`] comes from.
const TCP_SRC: [u8; 4] = [10, 192, 0, 2];

/// A frame with a TCP segment over IPv4.
fn tcp_frame(to: u64, from: u64) -> [u8; 64] {
    let mut data = frame(to, from);
    data[14..24].copy_from_slice(&[0x45, 0, 0, 50, 0, 1, 0x40, 0, 64, 6]);
    data[26..30].copy_from_slice(&TCP_SRC);
    data[30..34].copy_from_slice(&[10, 192, 0, 3]);
    data[46] = 0x50;
    data
}

fn assert_no_allocation(
    rig: &Rig,
    class: Class,
    pipeline: &mut Pipeline,
    verdicts: &mut Vec<Verdict>,
) {
    let counted = allocation_counter::measure(|| {
        run(rig, class, &mut Numbers(1), 1_000, |frames| {
            pipeline.handle_batch(NOW, rig.ports[0], frames, verdicts);
        });
    });
    assert_eq!(counted.count_total, 0, "the packet path allocated");
}

/// Handles batches that came in from the first port.
fn run(
    rig: &Rig,
    class: Class,
    numbers: &mut Numbers,
    batch_count: u64,
    work: impl FnMut(&[tapweave_net::Frame<'_>]),
) -> Duration {
    let make = || {
        [(); BATCH_LEN].map(|()| match class {
            Class::KnownUnicast => frame(numbers.station_off(rig, 0), numbers.station_on(rig, 0)),
            Class::OneFlow => frame(1, 0),
            Class::SixtyFourFlows => {
                let row = numbers.below(64) * (rig.station_count / PORTS as u64 / 64);
                let from = row * PORTS as u64;
                frame(from + 1, from)
            }
            Class::UnknownUnicast => {
                let unknown = rig.station_count + numbers.below(1 << 20);
                frame(unknown, numbers.station_on(rig, 0))
            }
        })
    };
    time_batches(batch_count, make, work)
}

criterion_group!(benches, handle_batch, guarded);
criterion_main!(benches);

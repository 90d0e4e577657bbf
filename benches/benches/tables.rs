//! Our FDB beside the maps that it could have been built on; `docs/decisions/0002-fdb.md` has the
//! figures.
//!
//! All do the least that a learning switch must do with a batch of frames: look for the source, write
//! it if it is new, has moved or is stale, look for the destination, and give out a verdict. Ours does
//! it through `Pipeline::handle_batch`, its only door, and so also checks the frame, counts it, ages
//! entries and limits the table; the maps do none of that. *hit*: everything is known. *learn*: every
//! source is new and the destination is a group, which is not looked for.

mod rivals;
mod support;
mod workers;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use tapweave_net::{Frame, NetworkNo, PortNo};

use rivals::Table;
use support::{BATCH_LEN, NOW, Numbers, Rig, frame, time_batches};
use workers::run_workers;

#[derive(Clone, Copy)]
enum Action {
    Hit,
    Learn,
}

fn tables(criterion: &mut Criterion) {
    for (name, action) in [("hit", Action::Hit), ("learn", Action::Learn)] {
        let mut group = criterion.benchmark_group(format!("tables/{name}"));
        group.throughput(Throughput::Elements(BATCH_LEN as u64));
        group.sample_size(20);
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(1));
        for (size, station_count) in [("1k", 1_000), ("100k", 100_000)] {
            for worker_count in [1, 2] {
                let case = format!("{size}-{worker_count}-workers");
                let rig = Rig::full(station_count, worker_count);
                measure(
                    &mut group,
                    &format!("tapweave-{case}"),
                    worker_count,
                    |worker, batches| run_tapweave(&rig, action, worker, batches),
                );
                for (name, table) in rivals::all() {
                    table.fill(&stations(&rig));
                    let table = table.as_ref();
                    measure(
                        &mut group,
                        &format!("{name}-{case}"),
                        worker_count,
                        |worker, batches| run_rival(&rig, table, action, worker, batches),
                    );
                }
            }
        }
        group.finish();
    }
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    worker_count: usize,
    run: impl Fn(usize, u64) -> Duration + Sync,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|batch_count| {
            run_workers(worker_count, |worker| run(worker, batch_count))
        });
    });
}

fn run_tapweave(rig: &Rig, action: Action, worker: usize, batch_count: u64) -> Duration {
    let mut pipeline = rig.switch.pipeline(worker);
    let mut verdicts = Vec::with_capacity(BATCH_LEN);
    let forget = || {
        rig.switch.fdb_flush(NetworkNo(1), None);
    };
    run(rig, action, worker, batch_count, forget, |frames| {
        pipeline.handle_batch(NOW, rig.ports[worker], frames, &mut verdicts);
        black_box(&mut verdicts).clear();
    })
}

fn run_rival(
    rig: &Rig,
    table: &dyn Table,
    action: Action,
    worker: usize,
    batch_count: u64,
) -> Duration {
    let ingress = rig.ports[worker];
    let mut verdicts: Vec<Option<PortNo>> = Vec::with_capacity(BATCH_LEN);
    run(
        rig,
        action,
        worker,
        batch_count,
        || table.fill(&[]),
        |frames| {
            for frame in frames {
                let [to, from] = [0, 6].map(|start| station(&frame.data()[start..start + 6]));
                let fresh = table.find(from).is_some_and(|seen| {
                    let (port, secs) = unpack(seen);
                    port == ingress && secs + 1 >= NOW_SECS
                });
                if !fresh {
                    table.learn(from, pack(ingress));
                }
                let is_group = frame.data()[0] & 1 == 1;
                let found = (!is_group).then(|| table.find(to)).flatten();
                verdicts.push(found.map(|seen| unpack(seen).0));
            }
            black_box(&mut verdicts).clear();
        },
    )
}

/// Makes batches and times `work` on them; `forget` empties the table when every station was learned.
fn run(
    rig: &Rig,
    action: Action,
    worker: usize,
    batch_count: u64,
    forget: impl Fn(),
    work: impl FnMut(&[Frame<'_>]),
) -> Duration {
    let mut numbers = Numbers(worker as u64);
    let mut next = rig.station_count;
    let make = || {
        [(); BATCH_LEN].map(|()| match action {
            Action::Hit => frame(
                numbers.station_off(rig, worker),
                numbers.station_on(rig, worker),
            ),
            Action::Learn => {
                // Each worker has every other station, in order.
                next += 2;
                if next >= rig.station_count {
                    forget();
                    next = 0;
                }
                let mut data = frame(0, next + worker as u64);
                data[0] = 0xff;
                data
            }
        })
    };
    time_batches(batch_count, make, work)
}

/// Returns all stations of a rig with their ports.
fn stations(rig: &Rig) -> Vec<(u64, u64)> {
    let entry = |number| (station(&frame(0, number)[6..12]), pack(rig.port_of(number)));
    (0..rig.station_count).map(entry).collect()
}

fn station(mac: &[u8]) -> u64 {
    mac.iter()
        .fold(0, |station, &byte| station << 8 | u64::from(byte))
}

const NOW_SECS: u64 = 1000;

fn pack(port: PortNo) -> u64 {
    NOW_SECS << u32::BITS | u64::from(port.to_u32())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "takes apart what `pack` put together"
)]
const fn unpack(seen: u64) -> (PortNo, u64) {
    (PortNo::from_u32(seen as u32), seen >> u32::BITS)
}

criterion_group!(benches, tables);
criterion_main!(benches);

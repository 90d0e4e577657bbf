//! The FDB under one and two workers, seen through `Pipeline::handle_batch`, its only user.
//!
//! Every frame asks the table twice: for its source, whether there is something to learn, and for its
//! destination. *hit*: both are known. *miss*: the source is known, the destination is not. *learn*:
//! the source is new (the table is flushed, outside of the measured part, when all stations have
//! been seen), the destination is a group, which is not looked up. With two workers both work on the
//! same table at the same time; equal figures mean that they do not hinder each other.

mod support;
mod workers;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapweave_net::NetworkNo;

use support::{BATCH_LEN, NOW, Numbers, Rig, frame, time_batches};
use workers::run_workers;

#[derive(Clone, Copy)]
enum Action {
    Hit,
    Miss,
    Learn,
}

fn fdb(criterion: &mut Criterion) {
    for (name, action) in [
        ("hit", Action::Hit),
        ("miss", Action::Miss),
        ("learn", Action::Learn),
    ] {
        let mut group = criterion.benchmark_group(format!("fdb/{name}"));
        group.throughput(Throughput::Elements(BATCH_LEN as u64));
        for (size, station_count) in [("1k", 1_000), ("100k", 100_000)] {
            for worker_count in [1, 2] {
                let rig = Rig::full(station_count, worker_count);
                group.bench_function(format!("{size}-{worker_count}-workers"), |bencher| {
                    bencher.iter_custom(|batch_count| {
                        run_workers(worker_count, |worker| {
                            run_worker(&rig, action, worker, batch_count)
                        })
                    });
                });
            }
        }
        group.finish();
    }
}

fn run_worker(rig: &Rig, action: Action, worker: usize, batch_count: u64) -> Duration {
    let mut pipeline = rig.switch.pipeline(worker);
    let mut verdicts = Vec::with_capacity(BATCH_LEN);
    let mut numbers = Numbers(worker as u64);
    let mut next = 0;
    let ingress = rig.ports[worker];
    let make = || {
        [(); BATCH_LEN].map(|()| {
            let own = numbers.station_on(rig, worker);
            match action {
                Action::Hit => frame(numbers.station_off(rig, worker), own),
                Action::Miss => frame(rig.station_count + numbers.below(1 << 20), own),
                Action::Learn => {
                    // Each worker has every other station, in order.
                    next += 2;
                    if next >= rig.station_count {
                        rig.switch.fdb_flush(NetworkNo(1), None);
                        next = 0;
                    }
                    let mut data = frame(0, next + worker as u64);
                    data[0] = 0xff;
                    data
                }
            }
        })
    };
    time_batches(batch_count, make, |frames| {
        pipeline.handle_batch(NOW, ingress, frames, &mut verdicts);
    })
}

criterion_group!(benches, fdb);
criterion_main!(benches);

//! Our table of flows beside the maps that it could have been built on;
//! `docs/decisions/0006-nat-table.md` has the figures.
//!
//! *translate*: a packet of a flow chosen at random, in either direction: find the flow, count the
//! packet, read the other key. *insert*: a new flow into a table that is nearly as full as the case
//! says. *churn*: a new flow comes and the oldest goes. Each worker has flows of its own to insert; all
//! translate packets of all flows.

#[path = "../workers/mod.rs"]
mod workers;

mod rivals;

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tapweave_benches::trial;
use tapweave_nat::table::{Direction, Endpoint, Entry, Realm, Tuple};
use tapweave_net::{IpProtocol, NetworkNo, Timestamp};

use rivals::Flows;
use workers::run_workers;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1000);
/// Most workers that a case has; each has an equal part of the flows.
const WORKERS: u32 = 4;

fn flows(criterion: &mut Criterion) {
    for (size, count) in [("1k", 1_000), ("100k", 100_000), ("1M", 1_000_000)] {
        let count = trial::size(count);
        // Room for the flows that a worker inserts before it takes others away.
        let capacity = count + count / 10;
        for (name, table) in rivals::all(capacity) {
            let before = resident();
            let mut is_filled = false;
            for worker_count in [1, 2, 4] {
                let mut group = criterion.benchmark_group("flows");
                group.sample_size(10);
                group.warm_up_time(Duration::from_millis(100));
                group.measurement_time(Duration::from_millis(400));
                for (action, run) in [
                    ("translate", translate as Run),
                    ("insert", insert),
                    ("churn", churn),
                ] {
                    let case = format!("{action}/{size}-{worker_count}-workers-{name}");
                    group.bench_function(case, |bencher| {
                        if !is_filled {
                            fill(table.as_ref(), count);
                            is_filled = true;
                        }
                        bencher.iter_custom(|iterations| {
                            run_workers(worker_count, |worker| {
                                let worker = u32::try_from(worker).unwrap_or(0);
                                run(table.as_ref(), count, worker, iterations)
                            })
                        });
                    });
                }
                group.finish();
            }
            if is_filled && count >= 100_000 {
                report_memory(name, resident().saturating_sub(before), count);
            }
        }
    }
}

type Run = fn(&dyn Flows, u32, u32, u64) -> Duration;

fn fill(table: &dyn Flows, count: u32) {
    for number in 0..count {
        assert!(table.insert(&flow(number)), "every flow is new");
    }
}

fn translate(table: &dyn Flows, count: u32, worker: u32, iterations: u64) -> Duration {
    let mut state = u64::from(worker) + 1;
    time(|| {
        for _ in 0..iterations {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let [high, low] = [state >> 33, (state >> 32) & 1];
            let number = u32::try_from((high * u64::from(count)) >> 31).unwrap_or(0);
            let direction = Direction::ALL[usize::from(low == 1)];
            let key = key(number, direction);
            assert!(black_box(table.translate(&key)).is_some(), "known");
        }
    })
}

/// Inserts a few flows that are not there, and takes them away again outside of the measured time.
fn insert(table: &dyn Flows, count: u32, worker: u32, iterations: u64) -> Duration {
    let chunk = u64::from(count / 10 / WORKERS);
    let first = count + worker * (count / 10 / WORKERS);
    let mut left = iterations;
    let mut elapsed = Duration::ZERO;
    while left > 0 {
        let numbers = first..first + u32::try_from(left.min(chunk)).unwrap_or(1);
        elapsed += time(|| {
            for number in numbers.clone() {
                assert!(black_box(table.insert(&flow(number))), "new");
            }
        });
        for number in numbers {
            table.remove(&flow(number));
        }
        left -= left.min(chunk);
    }
    elapsed
}

/// The flows of a worker go round: those of one half of the cycle take the place of the other's. All
/// flows are there again in the end.
fn churn(table: &dyn Flows, count: u32, worker: u32, iterations: u64) -> Duration {
    let part = count / WORKERS;
    let old = |step: u32| flow(worker * part + step);
    let new = |step: u32| flow(2 * count + worker * part + step);
    let mut left = iterations;
    let mut elapsed = Duration::ZERO;
    while left > 0 {
        let steps = u32::try_from(left.min(u64::from(part))).unwrap_or(part);
        elapsed += time(|| {
            for step in 0..steps {
                table.remove(&old(step));
                assert!(black_box(table.insert(&new(step))), "new");
            }
        });
        for step in 0..steps {
            table.remove(&new(step));
            table.insert(&old(step));
        }
        left -= u64::from(steps);
    }
    elapsed
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock that the core does not"
)]
fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Returns a key of the flow of a number, each with ports and addresses of its own inside and outside.
fn key(number: u32, direction: Direction) -> Tuple {
    let [a, b, c, d] = number.to_be_bytes();
    let port = 1024 + u16::from_be_bytes([c, d]) % 60_000;
    let server = Endpoint::new([192, 0, 2, d].into(), 443);
    let protocol = IpProtocol::TCP;
    match direction {
        Direction::Original => Tuple {
            realm: Realm::of(NetworkNo(1)),
            protocol,
            src: Endpoint::new([10, a, b, c].into(), port),
            dst: server,
        },
        Direction::Reply => Tuple {
            realm: Realm::OUTSIDE,
            protocol,
            src: server,
            dst: Endpoint::new([198, a, b, c].into(), port),
        },
    }
}

fn flow(number: u32) -> Entry {
    let [original, reply] = Direction::ALL.map(|direction| key(number, direction));
    let expires = NOW + Duration::from_mins(5);
    Entry::new(original, reply, expires)
}

/// Returns the memory of this process in bytes.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_u64) * 4096
}

#[expect(clippy::print_stdout, reason = "it is a figure of the report")]
fn report_memory(name: &str, bytes: u64, count: u32) {
    println!(
        "memory/{count}-{name}: {} bytes a flow",
        bytes / u64::from(count)
    );
}

criterion_group!(benches, flows);
criterion_main!(benches);

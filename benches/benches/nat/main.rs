//! What address translation costs: reading a packet and giving it other ends, and all of it through a
//! full table.
//!
//! Every action runs once more with an allocator that counts, before it is measured, and a single
//! allocation fails the benchmark. Frames were parsed just before, so they lie in the first-level
//! cache. *Scattered* packets are each of a flow drawn at random, so with many flows what they need of
//! the table lies in memory, in two places that are found one after the other; *trains* are 16
//! packets of one flow, as a batch from a busy sandbox has them. *Ahead* is how a worker does it: flows are
//! read for the whole batch before its first packet is translated, and that is part of the figure; without it
//! each packet is translated by itself. The table has huge pages, as that of the daemon has, where the kernel
//! gives them. A `translate` figure is that of 64 packets, the most that a batch has.

mod flows;
#[path = "../steady/mod.rs"]
mod steady;
mod template;

use std::cell::LazyCell;
use std::env;
use std::hint::black_box;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group};
use tapweave_benches::trial;
use tapweave_nat::packet::{Ends, Packet, rewrite};
use tapweave_net::{Frame, ParsedFrame};

use flows::{Reading, Rig, Traffic, Way};
use steady::measure;
use template::{CLASSES, Class};

/// Flows of a table that was tuned for, and of the smallest and the largest that are promised.
const FLOW_COUNT: u32 = 100_000;
const FLOW_COUNTS: [u32; 3] = [16, 1_000, 1_000_000];

/// Numbers that look random and are the same in each run (a linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }
}

fn ends(src: &str, dst: &str) -> Option<[SocketAddr; 2]> {
    Some([src.parse().ok()?, dst.parse().ok()?])
}

/// The ends of a packet before and after translation.
fn ends_of(class: &Class) -> Option<[[SocketAddr; 2]; 2]> {
    Some(if class.is_v6 {
        [
            ends("[fd00::2]:40000", "[2001:db8::9]:443")?,
            ends("[2001:db8:7::7]:1024", "[2001:db8::9]:443")?,
        ]
    } else {
        [
            ends("10.0.0.2:40000", "192.0.2.9:443")?,
            ends("198.51.100.7:1024", "192.0.2.9:443")?,
        ]
    })
}

/// A packet that is read and rewritten, without a table.
fn packet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nat/packet");
    group.throughput(Throughput::Elements(1));
    for class in CLASSES {
        let Some([[src, dst], [to_src, to_dst]]) = ends_of(&class) else {
            continue;
        };
        let mut bytes = class.frame();
        class.set_ends(&mut bytes, src, dst);
        let Ok(parsed) = ParsedFrame::parse(&bytes) else {
            continue;
        };
        let mut frame = Frame::new(&mut bytes, 0, class.offload());
        measure(&mut group, &format!("read-{}", class.name), || {
            black_box(Packet::read(black_box(&frame), black_box(&parsed)).is_ok());
        });
        let Ok(Packet::Flow(flow)) = Packet::read(&frame, &parsed) else {
            continue;
        };
        let to = Ends {
            src: to_src.into(),
            dst: to_dst.into(),
        };
        measure(&mut group, &format!("rewrite-{}", class.name), || {
            let (parsed, flow, to) = (black_box(&parsed), black_box(&flow), black_box(&to));
            black_box(rewrite(&mut frame, parsed, flow, to).is_ok());
        });
    }
    group.finish();
}

/// Packets of known flows.
fn translate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nat/translate");
    group.throughput(Throughput::Elements(Rig::batch_len()));
    for class in CLASSES {
        // There are no more identifiers than for that.
        let count = if class.protocol == template::ECHO {
            10_000
        } else {
            FLOW_COUNT
        };
        translate_class(&mut group, class, count);
        if matches!(class.name, "tcp4-partial" | "udp4") {
            for count in FLOW_COUNTS {
                translate_class(&mut group, class, count);
            }
        }
    }
    group.finish();
}

/// The flows are opened when the first benchmark that is not filtered out needs them.
fn translate_class(group: &mut BenchmarkGroup<'_, WallTime>, class: Class, count: u32) {
    let rig = LazyCell::new(|| Rig::new(class, trial::size(count)));
    for (way, direction) in [(Way::Out, "out"), (Way::In, "in")] {
        for (train_len, reading, how) in [
            (1, Reading::OnTheWay, "scattered"),
            (1, Reading::Ahead, "scattered-ahead"),
            (16, Reading::OnTheWay, "trains"),
            (16, Reading::Ahead, "trains-ahead"),
        ] {
            let traffic = Traffic {
                way,
                train_len,
                reading,
            };
            let mut numbers = Numbers(7);
            let name = format!("{direction}-{}-{count}-flows-{how}", class.name);
            group.bench_function(name, |bencher| {
                let Some(rig) = &*rig else { return };
                assert_eq!(rig.allocations(way), 0, "{} allocated", class.name);
                bencher.iter_custom(|batch_count| {
                    let time = rig.time(batch_count, traffic, &mut numbers);
                    time.unwrap_or_default()
                });
            });
        }
    }
}

/// Has the allocator ask for huge pages, by starting this program once more: glibc reads that at the start.
///
/// The daemon asks for them before the table is written to. The allocator that counts writes zeros into all of it
/// first, so here it would be too late. Another libc, or a kernel that has none, changes nothing.
fn in_huge_pages() {
    const TUNABLES: &str = "GLIBC_TUNABLES";
    if env::var_os(TUNABLES).is_none() {
        let mut again = Command::new("/proc/self/exe");
        again.args(env::args_os().skip(1));
        // Comes back only when there is no such program, and goes on without.
        let _error = again.env(TUNABLES, "glibc.malloc.hugetlb=1").exec();
    }
}

criterion_group!(benches, packet, translate);

fn main() {
    in_huge_pages();
    benches();
    Criterion::default().configure_from_args().final_summary();
}

//! What the pure packet code costs: parsing, flow hashing, checksums, cutting and merging super-frames.
//!
//! Every action runs once more with an allocator that counts, before it is measured, and a single
//! allocation fails the benchmark. The frames lie in the first-level cache: these are the costs of the
//! instructions, to which a real frame adds the misses on its headers.

mod coalescing;
mod frames;
#[path = "../steady/mod.rs"]
mod steady;

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapweave_net::checksum::{Delta, Sum, complete};
use tapweave_net::{ChecksumOffload, ParsedFrame, Splitter};

use coalescing::{coalesce, coalesce_tcp};
use frames::L4;
use steady::measure;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("net/parse");
    group.throughput(Throughput::Elements(1));
    for (class, frame, l4) in frames::classes() {
        let parsed = ParsedFrame::parse(&frame);
        let found = parsed.is_ok_and(|parsed| parsed.transport().is_some() == (l4 == L4::Some));
        assert!(found, "{class} is not parsed as it should");
        measure(&mut group, class, || {
            black_box(ParsedFrame::parse(black_box(&frame)).is_ok());
        });
    }
    group.finish();
}

fn flow(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("net/flow-hash");
    group.throughput(Throughput::Elements(1));
    for (class, frame, _) in frames::classes() {
        if let Ok(parsed) = ParsedFrame::parse(&frame) {
            measure(&mut group, class, || {
                black_box(black_box(parsed.flow()).hash(0x5eed));
            });
        }
    }
    group.finish();
}

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("net/checksum");
    for len in [20, 64, 1460, 65_000] {
        let data = vec![0xa5; len];
        group.throughput(Throughput::Bytes(len as u64));
        measure(&mut group, &format!("sum-{len}"), || {
            black_box(Sum::of(black_box(&data)).checksum());
        });
    }
    group.throughput(Throughput::Elements(1));
    let (old, new) = (Ipv4Addr::new(10, 192, 0, 2), Ipv4Addr::new(192, 0, 2, 1));
    measure(&mut group, "delta-of-address-and-port", || {
        let delta = Delta::NONE
            .and_v4(black_box(old), black_box(new))
            .and_u16(black_box(40_000), black_box(50_000));
        black_box(delta.apply(black_box(0x1234)));
    });
    let (mut frame, offload) = frames::tcp4_segment();
    if let ChecksumOffload::Partial { start, offset } = offload.checksum {
        group.throughput(Throughput::Bytes(frame.len() as u64));
        measure(&mut group, "complete-1514", || {
            black_box(complete(black_box(&mut frame), start, offset).is_ok());
        });
    }
    group.finish();
}

/// Cuts a super-frame into segments in a buffer of one segment, as a port without offloads gets them.
fn split(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("net/gso-split");
    for (class, (frame, offload)) in [
        ("tcp4-64k", frames::tcp4_super()),
        ("tcp6-64k", frames::tcp6_super()),
        ("udp4-64k", frames::udp4_super()),
    ] {
        let mut segment = vec![0; frame.len()];
        let mut cut = || {
            let splitter = Splitter::new(black_box(&frame), offload).ok()?;
            (0..splitter.segment_count()).try_for_each(|index| {
                let len = splitter.write_segment(index, &mut segment).ok()?;
                black_box(segment.get(..len)?);
                Some(())
            })
        };
        assert!(cut().is_some(), "{class} is not what its offload says");
        group.throughput(Throughput::Bytes(frame.len() as u64));
        measure(&mut group, class, || {
            black_box(cut());
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    parse,
    flow,
    checksum,
    split,
    coalesce,
    coalesce_tcp
);
criterion_main!(benches);

//! Merging the datagrams or segments of a batch, from the first look to the finished super-frames.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tapweave_net::coalesce::{Offered, RunTable};
use tapweave_net::tcp_coalesce::TcpCoalescer;
use tapweave_net::{ChecksumOffload, Frame, Offload, ParsedFrame, PortNo};

use crate::frames::{self, Datagrams};
use crate::measure;

/// Frames of a batch.
const BATCH_LEN: u16 = 32;

type Batch = Vec<(Vec<u8>, Offload)>;

/// Throughput is in frames, so criterion's time divided by 32 is the cost of one.
pub(crate) fn coalesce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("net/coalesce");
    group.throughput(Throughput::Elements(BATCH_LEN.into()));
    let one_flow = Datagrams {
        flow_count: 1,
        payload_len: 18,
        checksum: ChecksumOffload::Complete,
    };
    let partial = frames::udp4_partial();
    for (class, datagrams, want) in [
        ("one-flow-60", one_flow, 1),
        (
            "one-flow-60-partial",
            Datagrams {
                checksum: partial,
                ..one_flow
            },
            1,
        ),
        (
            "one-flow-1514",
            Datagrams {
                payload_len: 1472,
                ..one_flow
            },
            1,
        ),
        (
            "one-flow-1514-partial",
            Datagrams {
                payload_len: 1472,
                checksum: partial,
                ..one_flow
            },
            1,
        ),
        (
            "8-flows-60",
            Datagrams {
                flow_count: 8,
                ..one_flow
            },
            8,
        ),
        (
            "nothing-merges-60",
            Datagrams {
                flow_count: BATCH_LEN,
                ..one_flow
            },
            32,
        ),
        (
            "nothing-merges-1514",
            Datagrams {
                flow_count: BATCH_LEN,
                payload_len: 1472,
                ..one_flow
            },
            32,
        ),
    ] {
        let batch: Batch = (0..BATCH_LEN)
            .map(|number| datagrams.frame(number))
            .collect();
        measure_batch(&mut group, class, &batch, want);
    }
    // What the run table never keeps: TCP, ARP and others, in turn.
    let classes = frames::classes().into_iter();
    let foreign: Batch = classes
        .filter(|(class, _, _)| *class != "udp4" && *class != "tcp6-destination-options")
        .map(|(_, frame, _)| (frame, Offload::NONE))
        .cycle()
        .take(BATCH_LEN.into())
        .collect();
    measure_batch(&mut group, "foreign", &foreign, 0);
    group.finish();
}

/// Puts the segments of a super-frame of 64 KiB together again: the checksum of each is verified and its payload copied.
/// What copying those bytes takes in the same run stands beside it.
pub(crate) fn coalesce_tcp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("net/tcp-coalesce");
    let segments = frames::tcp4_segments();
    let bytes: usize = segments.iter().map(Vec::len).sum();
    group.throughput(Throughput::Bytes(bytes as u64));
    let mut coalescer = TcpCoalescer::new(1, 0);
    let mut left = 0;
    let mut run = || {
        left = 0;
        let leave = &mut |_: PortNo, frame: &mut Frame<'_>| {
            left += 1;
            black_box(frame.data());
        };
        for segment in &segments {
            let segment = black_box(segment);
            if let Ok(parsed) = ParsedFrame::parse(segment) {
                let port = PortNo::new(1, 0);
                let offered = coalescer.offer(port, segment, &parsed, Offload::NONE, leave);
                black_box(offered == Offered::Kept);
            }
        }
        coalescer.dismiss_all(leave);
    };
    run();
    measure(&mut group, "tcp4-64k", run);
    assert_eq!(left, 1, "the segments are not merged as they should");
    let mut copies = segments.clone();
    measure(&mut group, "memcpy-64k", || {
        for (copy, segment) in copies.iter_mut().zip(&segments) {
            copy.copy_from_slice(black_box(segment));
        }
        black_box(&copies);
    });
    group.finish();
}

/// Measures a batch that leaves as `want` runs.
fn measure_batch(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    class: &str,
    batch: &Batch,
    want: usize,
) {
    let mut table = RunTable::new(BATCH_LEN.into(), 0);
    let mut left = 0;
    let mut run = || {
        left = 0;
        let leave = &mut |_, run: &mut tapweave_net::coalesce::Run| {
            left += 1;
            black_box(run.finish().data());
        };
        for (frame, offload) in batch {
            let offered = table.offer(PortNo::new(1, 0), black_box(frame), *offload, leave);
            black_box(offered == Offered::Kept);
        }
        table.dismiss_all(leave);
        table.clear();
    };
    // The table grows to what the batch needs.
    run();
    measure(group, class, run);
    assert_eq!(left, want, "{class} is not merged as it should");
}

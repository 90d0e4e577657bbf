//! The control plane by itself, over a packet path in memory, with 1,000 networks and 10,000 endpoints.
//!
//! What a request costs besides the kernel: *network-create* makes a network with a subnet of its own choice
//! and removes it; *connect-disconnect* makes a sandbox known, connects it, and forgets it again; *list* makes what the
//! API shows of everything.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has to end"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tapweave_benches::trial;
use tapweave_control::Controller;
use tapweave_control::api::{Connect, CreateNetwork};
use tapweave_control::datapath::NamespaceRef;
use tapweave_control::memory::{MemoryDatapath, MemoryHost};
use tapweave_ipam::DefaultPools;

const NETWORK_COUNT: u32 = 1_000;
const ENDPOINT_COUNT: u32 = 10_000;

fn full() -> Controller {
    let controller = Controller::new(
        Arc::new(MemoryDatapath::default()),
        Arc::new(MemoryHost::default()),
        DefaultPools::default(),
    );
    for number in 0..NETWORK_COUNT {
        controller
            .create_network(network(number))
            .expect("the pools have 4,096 subnets");
    }
    for number in 0..trial::size(ENDPOINT_COUNT) {
        connect(&controller, number);
    }
    controller
}

fn network(number: u32) -> CreateNetwork {
    let name = format!("network-{number}");
    CreateNetwork::new(name.parse().expect("a name"))
}

fn connect(controller: &Controller, number: u32) {
    let request = Connect {
        namespace: Some(NamespaceRef::Pid(number + 1)),
        ..Connect::new(sandbox(number))
    };
    let network = format!("network-{}", number % NETWORK_COUNT);
    controller
        .connect(&network, request)
        .expect("there is room");
}

fn sandbox(number: u32) -> String {
    format!("sandbox-{number}")
}

fn control(criterion: &mut Criterion) {
    let controller = full();
    let mut group = criterion.benchmark_group("control");
    group.sample_size(20);
    group.measurement_time(Duration::from_secs(2));
    group.bench_function("network-create/1k-networks", |bencher| {
        bencher.iter(|| {
            let made = controller
                .create_network(network(NETWORK_COUNT))
                .expect("a subnet is free");
            controller
                .remove_network(made.id.as_str())
                .expect("nobody is in it");
        });
    });
    group.bench_function("connect-disconnect/10k-endpoints", |bencher| {
        bencher.iter(|| {
            connect(&controller, ENDPOINT_COUNT);
            controller
                .remove_sandbox(&sandbox(ENDPOINT_COUNT))
                .expect("it is there");
        });
    });
    group.bench_function("list/1k-networks", |bencher| {
        bencher.iter(|| black_box(controller.networks()));
    });
    group.bench_function("reconcile/10k-endpoints", |bencher| {
        bencher.iter(|| black_box(controller.reconcile()));
    });
    group.bench_function("list/10k-endpoints", |bencher| {
        bencher.iter(|| black_box(controller.endpoints()));
    });
    group.finish();
}

criterion_group!(benches, control);
criterion_main!(benches);

//! Addresses: what one costs, at any fill level of small and huge subnets, while others come and go.
//!
//! *next*: a random endpoint gives its address back, and another one that was never there gets any; both are
//! measured together, so half of a figure is one of them. The leases are scattered over the whole subnet, which makes
//! as many gaps as there can be. *again*: an endpoint gives its address back and gets it again. *fixed*: one that
//! asks for an address by name. The goal is 2 µs for an allocation.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has to end"
)]

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ipnet::IpNet;
use tapweave_ipam::{DefaultPools, Family, Subnet};

/// A subnet, the addresses in it that are leased, and endpoints that may come.
struct Rig {
    subnet: Subnet,
    leased: Vec<IpAddr>,
    owners: Vec<String>,
    random: u64,
    turn: usize,
}

/// Names that no endpoint has while it is measured.
const OWNER_COUNT: usize = 1 << 16;

impl Rig {
    /// Leases `count` addresses, `stride` apart.
    fn new(prefix: &str, count: u32, stride: u32) -> Self {
        let prefix: IpNet = prefix.parse().expect("a prefix");
        let mut subnet = Subnet::new(prefix.into()).expect("a subnet");
        let mut leased = Vec::new();
        for place in 0..count {
            // The first two and the last are not for endpoints.
            let address = address(prefix, 2 + place * stride);
            subnet
                .lease(address, &format!("net/old-{place}"))
                .expect("nobody has it");
            leased.push(address);
        }
        Self {
            subnet,
            leased,
            owners: (0..OWNER_COUNT).map(|n| format!("net/new-{n}")).collect(),
            random: 7,
            turn: 0,
        }
    }

    /// Returns a place among the leased addresses.
    fn place(&mut self) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % self.leased.len()
    }

    /// One goes, another comes.
    fn change(&mut self) -> IpAddr {
        let place = self.place();
        self.subnet.release(self.leased[place]);
        self.turn = (self.turn + 1) % OWNER_COUNT;
        let owner = &self.owners[self.turn];
        let address = self.subnet.lease_next(owner).expect("one is free");
        self.leased[place] = address;
        address
    }
}

fn address(prefix: IpNet, place: u32) -> IpAddr {
    match prefix {
        IpNet::V4(prefix) => IpAddr::V4((prefix.network().to_bits() + place).into()),
        IpNet::V6(prefix) => {
            // Over all bits of the host part.
            let spread = u128::from(place) << 40;
            IpAddr::V6((prefix.network().to_bits() + 2 + spread).into())
        }
    }
}

fn subnets(criterion: &mut Criterion) {
    for (name, prefix, count, stride) in [
        ("16-at-0-percent", "10.0.0.0/16", 1, 1),
        ("16-at-50-percent", "10.0.0.0/16", 32_760, 2),
        ("16-at-99.9-percent", "10.0.0.0/16", 65_470, 1),
        ("8-with-1m", "10.0.0.0/8", 1_000_000, 16),
        ("64-with-1m", "fd00::/64", 1_000_000, 1),
    ] {
        let mut rig = Rig::new(prefix, count, stride);
        criterion.bench_function(&format!("ipam/next/{name}"), |bencher| {
            bencher.iter(|| black_box(rig.change()));
        });
        criterion.bench_function(&format!("ipam/again/{name}"), |bencher| {
            bencher.iter(|| {
                let address = rig.change();
                rig.subnet.release(address);
                let again = rig.subnet.lease_next(&rig.owners[rig.turn]);
                assert_eq!(again, Some(address));
            });
        });
        criterion.bench_function(&format!("ipam/fixed/{name}"), |bencher| {
            bencher.iter(|| {
                let place = rig.place();
                let address = rig.leased[place];
                rig.subnet.release(address);
                rig.subnet
                    .lease(black_box(address), "net/fixed")
                    .expect("it was given back");
            });
        });
    }
}

fn pools(criterion: &mut Criterion) {
    let pools = DefaultPools::default();
    let taken: Vec<IpNet> = (0..1_000_u32)
        .map(|n| format!("10.{}.{}.0/24", 192 + n / 256, n % 256))
        .map(|text| text.parse().expect("a prefix"))
        .collect();
    criterion.bench_function("ipam/subnet/1k-networks", |bencher| {
        bencher.iter_batched(
            || taken.clone(),
            |taken| pools.choose(Family::V4, taken),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, subnets, pools);
criterion_main!(benches);

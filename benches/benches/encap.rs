//! What the overlay's core costs: one frame into a tunnel and out of it, a super-frame into
//! segments, look-ups.
//!
//! Every action runs once more with an allocator that counts, before it is measured, and a single
//! allocation fails the benchmark. The bytes lie in the first-level cache, except where a
//! super-frame is read; `memcpy` beside it is what the same run takes to copy those bytes.

mod steady;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapweave_encap::{
    Admission, Encap, EncapKind, Inner, Marking, Peer, RouteTable, TagPolicy, TrafficClass, Tunnel,
    Vni, Vtep, VxlanTable, pop,
};
use tapweave_net::checksum::Sum;
use tapweave_net::{ChecksumOffload, Frame, Gso, GsoKind, NetworkNo, Offload, ParsedFrame};

use steady::measure;

const SEED: u64 = 0x5eed;
const HEADROOM: usize = 64;
const VNI: Vni = Vni::from_octets([0, 0, 7]);
const NETWORK: NetworkNo = NetworkNo(1);
/// TCP payload of one segment in VXLAN over IPv4 at MTU 1500.
const MSS: u16 = 1410;
const SEGMENT_COUNT: u16 = 44;
/// ECT(0), as TCP with ECN sends it: what is brought in is looked at.
const ECT0: TrafficClass = TrafficClass::from_u8(2);

const VTEP: Vtep = Vtep::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4789);

fn tunnels() -> [(&'static str, Tunnel); 2] {
    let tunnel = |encap| Tunnel {
        encap,
        marking: Marking::default(),
        tags: TagPolicy::Refuse,
    };
    [
        ("vxlan", tunnel(Encap::Vxlan(Vni::MAX))),
        ("gue", tunnel(Encap::Gue)),
    ]
}

/// A TCP segment over IPv4 with ECT(0) and a partial checksum.
fn tcp4(payload_len: u16) -> Vec<u8> {
    let mut header = [
        0x45, 2, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3,
    ];
    header[2..4].copy_from_slice(&(40 + payload_len).to_be_bytes());
    let checksum = Sum::of(&header).checksum();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut tcp = vec![0xa5; 20 + usize::from(payload_len)];
    tcp[12..14].copy_from_slice(&[0x50, 0x10]);
    let link = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    [&link[..], &header, &tcp].concat()
}

fn send(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encap/send");
    group.throughput(Throughput::Elements(1));
    let bytes = tcp4(MSS);
    let mut buffer = [&[0; HEADROOM], &bytes[..]].concat();
    for (name, tunnel) in tunnels() {
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        measure(&mut group, &format!("{name}-with-parsing"), || {
            let Ok(inner) = Inner::parse(black_box(frame.data()), SEED) else {
                return;
            };
            black_box(tunnel.outer(&inner, black_box(VTEP)));
            black_box(tunnel.push(&mut frame, &inner).is_ok());
        });
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        if let Ok(parsed) = ParsedFrame::parse(&bytes) {
            measure(&mut group, &format!("{name}-parsed-before"), || {
                let inner = Inner::new(black_box(frame.data()), black_box(&parsed), SEED);
                black_box(tunnel.outer(&inner, black_box(VTEP)));
                black_box(tunnel.push(&mut frame, &inner).is_ok());
            });
        }
    }
    group.finish();
}

fn receive(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encap/receive");
    group.throughput(Throughput::Elements(1));
    for (name, tunnel) in tunnels() {
        let kind = tunnel.encap.kind();
        let start = match kind {
            EncapKind::Vxlan => 0,
            EncapKind::Fou | EncapKind::Gue | EncapKind::Ipip => 14,
        };
        let mut datagram = [tunnel.header().bytes(), &tcp4(MSS)[start..]].concat();
        measure(&mut group, name, || {
            if let Ok(popped) = pop(kind, black_box(&mut datagram)) {
                black_box(tunnel.admit(popped.inner, black_box(ECT0)).is_ok());
            }
        });
    }
    group.finish();
}

/// 100 segments and 200 peers, all of them in one of the segments and each with a prefix.
fn tables() -> Option<(VxlanTable, RouteTable)> {
    let (mut vxlan, mut routes) = (VxlanTable::default(), RouteTable::default());
    for number in 0..100 {
        let vni = Vni::new(number).ok()?;
        vxlan.add_segment(vni, NETWORK, Admission::Peers).ok()?;
    }
    let prefix = |number| format!("10.0.{number}.0/24").parse().ok();
    routes.add_local(NETWORK, prefix(0)?).ok()?;
    for number in 1..=200 {
        let addr = Ipv4Addr::new(192, 0, 2, number);
        let peer = Arc::new(Peer::new(Vtep::new(addr.into(), 4789), 1500));
        vxlan.add_peer(VNI, Arc::clone(&peer)).ok()?;
        routes.add_remote(NETWORK, prefix(number)?, peer).ok()?;
    }
    Some((vxlan, routes))
}

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encap/look-up");
    group.throughput(Throughput::Elements(1));
    let (vxlan, routes) = tables().unwrap_or_default();
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));
    assert_eq!(vxlan.accept(VNI, source).err(), None);
    measure(&mut group, "accept-vxlan-200-peers", || {
        black_box(vxlan.accept(black_box(VNI), black_box(source)).is_ok());
    });
    let destination = IpAddr::V4(Ipv4Addr::new(10, 0, 77, 1));
    assert_eq!(routes.route(NETWORK, destination).err(), None);
    measure(&mut group, "route-200-prefixes", || {
        black_box(routes.route(NETWORK, black_box(destination)).is_ok());
    });
    let mut packet = tcp4(0).split_off(14);
    packet[14] = 77;
    assert_eq!(routes.accept(source, &packet).err(), None);
    measure(&mut group, "accept-ip-200-prefixes", || {
        black_box(routes.accept(black_box(source), black_box(&packet)).is_ok());
    });
    group.finish();
}

/// Writes the headers of all segments of a super-frame, with their checksums over the payload.
fn split(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encap/split");
    let frame = tcp4(SEGMENT_COUNT * MSS);
    let offload = Offload {
        checksum: ChecksumOffload::Partial {
            start: 34,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: MSS,
            header_len_hint: 54,
        }),
    };
    group.throughput(Throughput::Bytes(frame.len() as u64));
    let mut side_array = [[0; 128]; SEGMENT_COUNT as usize];
    for (name, tunnel) in tunnels() {
        let mut cut = || {
            let inner = Inner::parse(black_box(&frame), SEED).ok()?;
            let segments = tunnel.segments(&frame, offload, &inner).ok()?;
            for (index, out) in side_array.iter_mut().enumerate() {
                black_box(segments.write(index, out).ok()?);
            }
            Some(segments.count())
        };
        assert_eq!(cut(), Some(usize::from(SEGMENT_COUNT)));
        measure(&mut group, &format!("{name}-64k"), || {
            black_box(cut());
        });
    }
    let mut copy = vec![0; frame.len()];
    measure(&mut group, "memcpy-64k", || {
        copy.copy_from_slice(black_box(&frame));
        black_box(&copy);
    });
    group.finish();
}

criterion_group!(benches, send, receive, look_up, split);
criterion_main!(benches);

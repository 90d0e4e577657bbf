use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapweave_net::{ChecksumOffload, Gso, GsoKind};

use super::*;
use crate::{DatagramRun, Dscp, DscpModel, EcnMode, HopLimit};

const SEED: u64 = 0x5eed;

fn tunnel(encap: Encap) -> Tunnel {
    Tunnel {
        encap,
        marking: Marking::default(),
        tags: TagPolicy::Refuse,
    }
}

fn vxlan() -> Tunnel {
    tunnel(Encap::Vxlan(Vni::from_octets([0, 0, 42])))
}

fn ethernet(tag: &[u8], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let macs = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
    [&macs, tag, &ethertype.to_be_bytes(), payload].concat()
}

/// An IPv4 packet of 28 bytes with traffic class `class`.
fn v4(class: u8) -> Vec<u8> {
    let mut packet = vec![0x45, class, 0, 28, 0, 1, 0x40, 0, 9, 17, 0, 0];
    packet.extend([10, 0, 0, 2, 10, 0, 0, 3, 0, 7, 0, 9, 0, 8, 0, 0]);
    packet
}

fn v6() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, 59, 64];
    packet.extend([0xfd; 32]);
    packet
}

/// Pushes `frame` out of a buffer of 0xa5 with `headroom` bytes in front.
fn pushed(tunnel: &Tunnel, frame: &[u8], headroom: usize) -> Result<Vec<u8>, Refusal> {
    let mut buffer = vec![0xa5; headroom];
    buffer.extend(frame);
    let mut in_buffer = Frame::new(&mut buffer, headroom, Offload::NONE);
    let inner = Inner::parse(frame, SEED).unwrap();
    let bytes = tunnel.push(&mut in_buffer, &inner)?.to_vec();
    assert_eq!(in_buffer.data(), frame);
    let written = tunnel.header().bytes().len();
    assert!(buffer[..headroom - written].iter().all(|b| *b == 0xa5));
    Ok(bytes)
}

#[test]
fn vxlan_puts_eight_bytes_in_front_of_the_whole_frame() {
    let frame = ethernet(&[], 0x0800, &v4(0));
    let want = [&[8, 0, 0, 0, 0, 0, 42, 0], &frame[..]].concat();
    assert_eq!(pushed(&vxlan(), &frame, 8), Ok(want.clone()));
    assert_eq!(pushed(&vxlan(), &frame, 64), Ok(want));
    assert_eq!(pushed(&vxlan(), &frame, 7), Err(Refusal::NoHeadroom));
}

#[test]
fn ip_in_anything_is_the_packet_without_ethernet_and_padding() {
    for encap in [Encap::Fou, Encap::Gue, Encap::Ipip] {
        let mut frame = ethernet(&[], 0x0800, &v4(0));
        frame.resize(60, 0xa5);
        assert_eq!(pushed(&tunnel(encap), &frame, 0), Ok(v4(0)));
    }
    let frame = ethernet(&[], 0x86dd, &v6());
    for encap in [Encap::Fou, Encap::Gue, Encap::Ipip] {
        assert_eq!(pushed(&tunnel(encap), &frame, 0), Ok(v6()));
    }
}

#[test]
fn what_a_tunnel_does_not_carry_is_refused_on_its_way_out() {
    let arp = ethernet(&[], 0x0806, &[0xa5; 28]);
    let malformed = ethernet(&[], 0x0800, &[0x45; 10]);
    let tagged = ethernet(&[0x81, 0, 0, 10], 0x0800, &v4(0));
    let refused = |encap, frame: &[u8]| pushed(&tunnel(encap), frame, 8).unwrap_err();
    assert_eq!(refused(Encap::Gue, &arp), Refusal::NotIp);
    assert_eq!(refused(Encap::Gue, &malformed), Refusal::InnerMalformed);
    assert_eq!(refused(Encap::Gue, &tagged), Refusal::InnerTagged);
    // A switch carries what it does not understand.
    pushed(&vxlan(), &arp, 8).unwrap();
    pushed(&vxlan(), &malformed, 8).unwrap();
}

#[test]
fn inner_tags_pass_only_where_they_are_let_through() {
    for tag in [[0x81, 0, 0, 10], [0x81, 0, 0, 0], [0x88, 0xa8, 0, 10]] {
        let mut frame = ethernet(&tag, 0x0800, &v4(0));
        let mut policy = vxlan();
        assert_eq!(pushed(&policy, &frame, 8), Err(Refusal::InnerTagged));
        let class = TrafficClass::default();
        let refused = policy.admit(&mut frame, class);
        assert_eq!(refused, Err(Refusal::InnerTagged));
        policy.tags = TagPolicy::Pass;
        pushed(&policy, &frame, 8).unwrap();
        assert_eq!(policy.admit(&mut frame, class), Ok(()));
    }
}

#[test]
fn the_outer_headers_follow_flow_and_marking() {
    let mut tunnel = vxlan();
    tunnel.marking = Marking {
        dscp: DscpModel::Pipe(Dscp::new(10).unwrap()),
        ecn: EcnMode::Normal,
        hop_limit: HopLimit::Inherit,
    };
    let to = Vtep::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4789);
    let inner = Inner::parse(&ethernet(&[], 0x0800, &v4(0xb9)), SEED).unwrap();
    let outer = tunnel.outer(&inner, to);
    assert_eq!((outer.to, outer.hop_limit), (to, 9));
    assert_eq!(outer.class.to_u8(), 10 << 2 | 1);
    assert_eq!(outer.src_port, inner.src_port());
}

#[test]
fn what_came_out_of_a_tunnel_is_checked_before_it_enters() {
    let class = TrafficClass::from_u8(0);
    for len in 0..14 {
        let refused = vxlan().admit(&mut vec![2; len], class);
        assert_eq!(refused, Err(Refusal::InnerMalformed), "{len}");
    }
    let admit = |encap, packet: &[u8]| tunnel(encap).admit(&mut packet.to_vec(), class);
    assert_eq!(admit(Encap::Gue, &v4(0)), Ok(()));
    assert_eq!(admit(Encap::Gue, &v6()), Ok(()));
    assert_eq!(admit(Encap::Gue, &[]), Err(Refusal::InnerMalformed));
    assert_eq!(
        admit(Encap::Gue, &v4(0)[..27]),
        Err(Refusal::InnerMalformed)
    );
    assert_eq!(admit(Encap::Ipip, &[0x50; 40]), Err(Refusal::InnerVersion));
}

#[test]
fn congestion_on_the_way_reaches_the_inner_packet_of_every_tunnel() {
    let ce = TrafficClass::from_u8(3);
    let mut frame = ethernet(&[], 0x0800, &v4(2));
    vxlan().admit(&mut frame, ce).unwrap();
    assert_eq!(frame[15], 3);
    let mut packet = v4(2);
    tunnel(Encap::Gue).admit(&mut packet, ce).unwrap();
    assert_eq!(packet[1], 3);
    let mut not_ect = ethernet(&[], 0x0800, &v4(0));
    assert_eq!(vxlan().admit(&mut not_ect, ce), Err(Refusal::EcnDrop));
    // Nothing can be told to what is not IP, and nothing has to be.
    let mut arp = ethernet(&[], 0x0806, &[0xa5; 28]);
    assert_eq!(vxlan().admit(&mut arp, ce), Ok(()));
}

#[test]
fn the_inner_mtu_follows_the_path_to_the_peer() {
    let v4 = Peer::new(Vtep::new(Ipv4Addr::new(192, 0, 2, 2).into(), 4789), 1500);
    let v6 = Peer::new(Vtep::new(Ipv6Addr::LOCALHOST.into(), 4789), 1500);
    assert_eq!(vxlan().inner_mtu(&v4), Some(1450));
    assert_eq!(vxlan().inner_mtu(&v6), Some(1430));
    v4.set_kernel_mtu(1400);
    assert_eq!(vxlan().inner_mtu(&v4), Some(1350));
    assert_eq!(tunnel(Encap::Ipip).inner_mtu(&v4), Some(1380));
}

/// A TCP super-frame with `payload_len` bytes and a partial checksum, to be cut into segments of
/// 1000.
fn super_frame(payload_len: u16) -> (Vec<u8>, Offload) {
    let [high, low] = (40 + payload_len).to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0, 1, 0x40, 0, 64, 6, 0, 0];
    packet.extend([10, 0, 0, 2, 10, 0, 0, 3, 0x9c, 0x40, 0x14, 0x51, 0, 0, 0, 1]);
    packet.extend([0, 0, 0, 0, 0x50, 0x18, 0xfa, 0xf0, 0x14, 0x0b, 0, 0]);
    packet.extend((0..payload_len).map(|place| place.to_be_bytes()[1]));
    let offload = Offload {
        checksum: ChecksumOffload::Partial {
            start: 34,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: 1000,
            header_len_hint: 54,
        }),
    };
    (ethernet(&[], 0x0800, &packet), offload)
}

#[test]
fn segments_of_a_super_frame_fill_one_message() {
    let (frame, offload) = super_frame(2500);
    let inner = Inner::parse(&frame, SEED).unwrap();
    for (sender, lead) in [(vxlan(), 8 + 14), (tunnel(Encap::Gue), 0)] {
        let segments = sender.segments(&frame, offload, &inner).unwrap();
        assert_eq!((segments.count(), segments.segment_len()), (3, lead + 1040));
        let mut run = DatagramRun::default();
        let mut payload: Vec<u8> = Vec::new();
        for index in 0..segments.count() {
            let mut out = vec![0xa5; segments.headers_len() + 2];
            let segment = segments.write(index, &mut out).unwrap();
            assert_eq!(segment.headers.end, segments.headers_len());
            assert_eq!(out[segments.headers_len()..], [0xa5; 2]);
            let headers = &out[segment.headers];
            assert_eq!(headers.len(), lead + 40);
            assert_eq!(&headers[..lead.min(8)], sender.header().bytes());
            assert_eq!(headers[lead], 0x45);
            let len = headers.len() + segment.payload.len();
            assert_eq!(segments.len_of(index), Some(len));
            assert!(run.push(len));
            payload.extend(segment.payload);
        }
        assert_eq!(payload, frame[54..]);
        assert_eq!(usize::from(run.gso_size().unwrap()), segments.segment_len());
        assert_eq!(segments.len_of(3), None);
    }
}

#[test]
fn segments_that_cannot_be_written_leave_the_output_alone() {
    let (frame, offload) = super_frame(2500);
    let inner = Inner::parse(&frame, SEED).unwrap();
    let segments = vxlan().segments(&frame, offload, &inner).unwrap();
    for len in 0..segments.headers_len() {
        let mut out = vec![0xa5; len];
        segments.write(0, &mut out).unwrap_err();
        assert!(out.iter().all(|octet| *octet == 0xa5));
    }
    let mut out = vec![0xa5; 200];
    segments.write(3, &mut out).unwrap_err();
    assert!(out.iter().all(|octet| *octet == 0xa5));
    let refused = vxlan().segments(&frame, Offload::NONE, &inner);
    assert_eq!(
        refused.map(|_| ()),
        Err(SegmentsError::Split(SplitError::NotSuper))
    );
    let mut tagged = frame;
    tagged.splice(12..12, [0x81, 0, 0, 10]);
    let inner = Inner::parse(&tagged, SEED).unwrap();
    let want = SegmentsError::Refused(Refusal::InnerTagged);
    for tunnel in [vxlan(), tunnel(Encap::Fou)] {
        let refused = tunnel.segments(&tagged, offload, &inner).map(|_| ());
        assert_eq!(refused, Err(want));
    }
}

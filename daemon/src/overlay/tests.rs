//! From one end of a tunnel to the other over loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tapweave_device::{
    DatagramReceiver, FrameSink, FrameSource, HEADROOM, Intake, PortQueue, SendError,
    UnderlaySender,
};
use tapweave_encap::{Admission, Encap, Marking, Peer, Prober, TagPolicy, Tunnel, Vni, Vtep};
use tapweave_net::checksum::{Sum, complete};
use tapweave_net::{ChecksumOffload, Frame, Gso, GsoKind, IpProtocol, NetworkNo, Offload, PortNo};

use super::refusals::RefusalCounters;
use super::segments::Segments;
use super::senders::Senders;
use super::source::VxlanSource;
use super::vtep::VtepQueue;
use crate::clock::Clock;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PROBER: Prober = Prober::new([1, 2, 3, 4]);
const PORT: PortNo = PortNo::new(7, 0);

/// Both ends of a tunnel.
struct Rig {
    queue: VtepQueue,
    source: VxlanSource,
    peer: Arc<Peer>,
    refusals: Arc<RefusalCounters>,
}

/// Keeps what comes out.
#[derive(Default)]
struct Kept(Vec<(PortNo, Vec<u8>, Offload)>);

impl FrameSink for Kept {
    fn deliver(&mut self, ingress: PortNo, frames: &mut [Frame<'_>]) {
        let kept = |frame: &Frame<'_>| (ingress, frame.data().to_vec(), frame.offload());
        self.0.extend(frames.iter().map(kept));
    }
}

impl Rig {
    /// Sends to `port` of this host; the MTU of the network is 1450.
    fn new(port: u16) -> Self {
        let vni = Vni::new(42).unwrap();
        let tunnel = Tunnel {
            encap: Encap::Vxlan(vni),
            marking: Marking::default(),
            tags: TagPolicy::Refuse,
        };
        let peer = Arc::new(Peer::new(Vtep::new(LOCAL, port), 1500));
        let mut segments = Segments::default();
        segments
            .add_segment(vni, NetworkNo(1), Admission::Peers, tunnel, 1450)
            .unwrap();
        segments.add_peer(vni, &peer, PORT).unwrap();
        let refusals = Arc::new(RefusalCounters::default());
        let receiver = DatagramReceiver::bind(SocketAddr::new(LOCAL, port)).unwrap();
        let sender = UnderlaySender::new(LOCAL, 64).unwrap();
        let silence = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        Self {
            queue: VtepQueue::new(
                tunnel,
                Arc::clone(&peer),
                1450,
                Senders {
                    udp: Arc::new(ArcSwapOption::from_pointee(sender)),
                    raw: Arc::default(),
                },
                7,
                Arc::new(silence),
            ),
            source: VxlanSource::new(
                receiver,
                Arc::new(ArcSwap::from_pointee(segments)),
                Arc::clone(&refusals),
                PROBER,
                Clock::new(),
            ),
            peer,
            refusals,
        }
    }

    fn send(&self, bytes: &[u8], offload: Offload) -> Result<(), SendError> {
        let mut buffer = vec![0xa5; HEADROOM];
        buffer.extend(bytes);
        self.queue
            .send(&mut Frame::new(&mut buffer, HEADROOM, offload))
    }

    /// Receives until `len` bytes of payload behind the 54 bytes of headers have come.
    fn receive(&mut self, len: usize) -> Vec<(PortNo, Vec<u8>, Offload)> {
        let mut kept = Kept::default();
        let payload_len =
            |kept: &Kept| -> usize { kept.0.iter().map(|(_, frame, _)| frame.len() - 54).sum() };
        while payload_len(&kept) < len {
            let fd = self.source.readiness();
            let fd = fd.as_fd();
            poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
            while self.source.receive(&mut kept) == Intake::More {}
        }
        kept.0
    }
}

/// A TCP frame with `payload_len` bytes and a partial checksum.
fn tcp(payload_len: u16) -> Vec<u8> {
    let addrs = [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)];
    let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    let mut ip = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0];
    ip[2..4].copy_from_slice(&(40 + payload_len).to_be_bytes());
    ip.extend(addrs.map(|addr| addr.octets()).as_flattened());
    let checksum = Sum::of(&ip).checksum();
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0x9c, 0x40, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 1]);
    frame.extend([0x50, 0x10, 0xfa, 0xf0]);
    let partial = Sum::pseudo_v4(addrs[0], addrs[1], IpProtocol::TCP, 20 + payload_len);
    frame.extend(partial.fold().to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((0..payload_len).map(|place| place.to_be_bytes()[1]));
    frame
}

const PARTIAL: ChecksumOffload = ChecksumOffload::Partial {
    start: 34,
    offset: 16,
};

fn cut(size: u16) -> Offload {
    Offload {
        checksum: PARTIAL,
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size,
            header_len_hint: 54,
        }),
    }
}

#[test]
fn a_super_frame_comes_out_as_it_went_in() {
    let mut rig = Rig::new(48_801);
    let frame = tcp(60_000);
    rig.send(&frame, cut(1410)).unwrap();
    let out = rig.receive(60_000);
    // More than one message, of which each may come by itself.
    assert!(out.len() <= 3, "{} frames", out.len());
    let payload: Vec<u8> = out
        .iter()
        .flat_map(|(_, frame, _)| &frame[54..])
        .copied()
        .collect();
    assert!(payload == frame[54..]);
    for (port, _, offload) in &out {
        assert_eq!(*port, PORT);
        assert_eq!(offload.gso.map(|gso| gso.size), Some(1410));
    }
    assert!(rig.peer.last_heard().is_some());
    assert_eq!(rig.refusals.nonzero().count(), 0);
}

#[test]
fn a_partial_checksum_is_completed_on_the_way() {
    let mut rig = Rig::new(48_802);
    let offload = Offload {
        checksum: PARTIAL,
        gso: None,
    };
    let mut frame = tcp(100);
    rig.send(&frame, offload).unwrap();
    complete(&mut frame, 34, 16).unwrap();
    assert_eq!(rig.receive(100), [(PORT, frame, Offload::NONE)]);
}

#[test]
fn what_is_larger_than_the_path_takes_is_refused_with_what_would_fit() {
    let rig = Rig::new(48_803);
    for (frame, offload) in [
        (tcp(1411), Offload::NONE),
        (tcp(60_000), cut(1411)),
        (tcp(65_000), cut(64_000)),
    ] {
        let refused = rig.send(&frame, offload);
        assert!(matches!(refused, Err(SendError::TooBig { mtu: 1450 })));
    }
    rig.send(&tcp(1410), Offload::NONE).unwrap();
    rig.peer.set_kernel_mtu(1400);
    let refused = rig.send(&tcp(1410), Offload::NONE);
    assert!(matches!(refused, Err(SendError::TooBig { mtu: 1350 })));
}

#[test]
fn a_syn_promises_no_more_than_the_path_takes() {
    let mut rig = Rig::new(48_804);
    let mut syn = tcp(0);
    // An MSS of 1410, and so a header of six words.
    syn.extend([2, 4, 0x05, 0x82]);
    (syn[46], syn[47], syn[17]) = (0x60, 0x02, 44);
    let checksum = Sum::of(&syn[14..24]).and_bytes(&syn[26..34]).checksum();
    syn[24..26].copy_from_slice(&checksum.to_be_bytes());
    for (path_mtu, mss) in [(1500, 1410), (1400, 1310)] {
        rig.peer.set_kernel_mtu(path_mtu);
        rig.send(&syn, Offload::NONE).unwrap();
        let (_, out, _) = &rig.receive(4)[0];
        assert_eq!(u16::from_be_bytes([out[56], out[57]]), mss);
    }
}

#[test]
fn a_tagged_frame_is_not_let_through() {
    let rig = Rig::new(48_805);
    let mut frame = tcp(100);
    frame.splice(12..12, [0x81, 0, 0, 10]);
    let refused = rig.send(&frame, Offload::NONE);
    assert!(matches!(refused, Err(SendError::Tagged)));
}

#[test]
fn segments_that_take_several_reads_leave_as_one_super_frame() {
    let port = 48_806;
    let mut rig = Rig::new(port);
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    for index in 0..100_u32 {
        let mut datagram = vec![8, 0, 0, 0, 0, 0, 42, 0];
        datagram.extend(tcp(100));
        datagram[46..50].copy_from_slice(&(index * 100).to_be_bytes());
        socket.send_to(&datagram, (LOCAL, port)).unwrap();
    }
    let out = rig.receive(10_000);
    let lens: Vec<_> = out.iter().map(|(_, frame, _)| frame.len()).collect();
    assert_eq!(lens, [54 + 10_000]);
    assert_eq!(out[0].2, cut(100));
}

#[test]
fn a_flood_of_short_datagrams_does_not_keep_the_worker_for_long() {
    let port = 48_807;
    let mut rig = Rig::new(port);
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    for _ in 0..300 {
        socket.send_to(&[0], (LOCAL, port)).unwrap();
    }
    let mut kept = Kept::default();
    let mut refused_count = || {
        let intake = rig.source.receive(&mut kept);
        let refused: u64 = rig.refusals.nonzero().map(|(_, count)| count).sum();
        (intake, refused)
    };
    assert_eq!(refused_count(), (Intake::More, 256));
    assert_eq!(refused_count(), (Intake::Drained, 300));
}

#[test]
fn a_station_is_noticed_and_what_it_answers_to_a_probe_goes_no_further() {
    let mut rig = Rig::new(48_808);
    rig.peer.want_station();
    rig.send(&tcp(10), Offload::NONE).unwrap();
    assert_eq!(rig.receive(10).len(), 1);
    let station = rig.peer.station().unwrap();
    assert_eq!(station.addr, IpAddr::from([10, 0, 0, 2]));
    // What the prober asks passes, also where it is larger than the path is believed to take.
    rig.peer.set_kernel_mtu(600);
    let mut buffer = vec![0; HEADROOM];
    buffer.extend(PROBER.question(station, 1000).unwrap());
    let mut question = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
    rig.queue.send_probe(&mut question).unwrap();
    let asked = rig.receive(946);
    assert_eq!((asked.len(), asked[0].1.len()), (1, 1000));
    // The answer, which nobody waits for and then somebody does.
    let mut answer = asked[0].1[..42].to_vec();
    let mac = station.mac.octets();
    answer.copy_within(6..12, 0);
    answer[6..12].copy_from_slice(&mac);
    answer[21] = 2;
    answer.copy_within(22..28, 32);
    answer.copy_within(38..42, 28);
    answer[22..28].copy_from_slice(&mac);
    answer[28..32].copy_from_slice(&[10, 0, 0, 2]);
    for (nonce, is_wanted) in [(7, false), (8, true)] {
        if is_wanted {
            rig.peer.want_answer(nonce);
        }
        rig.send(&answer, Offload::NONE).unwrap();
        rig.send(&tcp(10), Offload::NONE).unwrap();
        // What came behind it is all that comes out.
        assert_eq!(rig.receive(10).len(), 1);
        assert_eq!(rig.peer.answered() == nonce, is_wanted);
    }
}

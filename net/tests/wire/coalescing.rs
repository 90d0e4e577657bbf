//! What was merged, cut again, against what went in.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a quirk that does not apply changes nothing"
)]

use proptest::prelude::*;
use tapweave_net::checksum::{Sum, Verification, complete, verify_transport};
use tapweave_net::coalesce::{Offered, Run, RunTable};
use tapweave_net::{
    ChecksumOffload, FlowKey, GsoKind, IpProtocol, Ipv4Mut, Ipv4View, Network, Offload,
    ParsedFrame, PortNo, Splitter,
};

use super::frames::{L4, Shape};

type Sent = (PortNo, Vec<u8>, Offload);

/// What is done to a frame so that it cannot be merged, or only with its like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Quirk {
    None,
    Partial,
    WrongPartial,
    WrongChecksum,
    NoChecksum,
    WrongHeaderChecksum,
    Padding,
    Fragment,
    LaterFragment,
    ShortUdpLength,
    DiffServ,
    HopsLeft,
    MayFragment,
    Reserved,
    Group,
}

const HEADROOM: usize = 12;

fn port(index: u32) -> PortNo {
    PortNo::from_u32(index)
}

/// Two small flows and the quirks of one frame.
fn step() -> impl Strategy<Value = (PortNo, Vec<u8>, Offload)> {
    let quirk = prop_oneof![
        20 => Just(Quirk::None),
        10 => Just(Quirk::Partial),
        1 => Just(Quirk::WrongPartial),
        1 => Just(Quirk::WrongChecksum),
        1 => Just(Quirk::NoChecksum),
        1 => Just(Quirk::WrongHeaderChecksum),
        1 => Just(Quirk::Padding),
        1 => Just(Quirk::Fragment),
        1 => Just(Quirk::LaterFragment),
        1 => Just(Quirk::ShortUdpLength),
        1 => Just(Quirk::DiffServ),
        1 => Just(Quirk::HopsLeft),
        4 => Just(Quirk::MayFragment),
        1 => Just(Quirk::Reserved),
        1 => Just(Quirk::Group),
    ];
    let len =
        prop_oneof![20 => Just(18_usize), 2 => 0_usize..40, 1 => Just(1472), 1 => Just(30_000)];
    let extras = prop_oneof![20 => Just(0_usize), 1 => Just(1)];
    let tags = prop_oneof![9 => Just(vec![]), 1 => Just(vec![5]), 1 => Just(vec![7, 5])];
    let l4 = prop_oneof![
        30 => Just(L4::Udp),
        1 => Just(L4::Icmp),
        1 => Just(L4::Tcp { flags: 16, timestamps: false }),
    ];
    (
        (0_u32..2, any::<bool>(), 0_u16..2, 0_u16..4, any::<u8>()),
        (quirk, len, extras, tags, l4),
    )
        .prop_map(
            |((to, v6, flow, id, fill), (quirk, len, extras, tags, l4))| {
                let shape = Shape {
                    tags,
                    v6,
                    extras,
                    l4,
                    id,
                    seq: 1,
                    ports: [1000 + flow, 9],
                    payload: (0..=u8::MAX).cycle().skip(fill.into()).take(len).collect(),
                };
                let (frame, offload) = apply(quirk, shape.build());
                (port(to), frame, offload)
            },
        )
}

/// A frame of one flow with payload that names it.
fn datagram(v6: bool, id: u16, payload: &[u8]) -> Vec<u8> {
    let shape = Shape {
        tags: vec![],
        v6,
        extras: 0,
        l4: L4::Udp,
        id,
        seq: 0,
        ports: [1000, 9],
        payload: payload.to_vec(),
    };
    shape.build()
}

/// Applies a quirk; a quirk of another protocol changes nothing.
fn apply(quirk: Quirk, mut frame: Vec<u8>) -> (Vec<u8>, Offload) {
    let parsed = ParsedFrame::parse(&frame).unwrap();
    let (l3, l4) = (parsed.l3_offset(), parsed.l4_offset().unwrap());
    let is_v4 = parsed.network() == Network::V4;
    let is_udp = parsed.protocol() == Some(IpProtocol::UDP);
    let mut offload = Offload::NONE;
    match quirk {
        Quirk::WrongChecksum => *frame.last_mut().unwrap() ^= 0x10,
        Quirk::Padding => frame.extend([0; 5]),
        Quirk::Group => frame[0] |= 1,
        Quirk::NoChecksum if is_udp => frame[l4 + 6..l4 + 8].fill(0),
        Quirk::ShortUdpLength if is_udp => frame[l4 + 5] ^= 1,
        Quirk::Partial | Quirk::WrongPartial if is_udp => {
            let len = u16::try_from(frame.len() - l4).unwrap();
            let sum = pseudo_header(&frame, &parsed, len);
            let sum = sum.wrapping_add(u16::from(quirk == Quirk::WrongPartial));
            frame[l4 + 6..l4 + 8].copy_from_slice(&sum.to_be_bytes());
            offload.checksum = ChecksumOffload::Partial {
                start: l4.try_into().unwrap(),
                offset: 6,
            };
        }
        Quirk::DiffServ if !is_v4 => frame[l3 + 1] ^= 0x10,
        Quirk::HopsLeft if !is_v4 => frame[l3 + 7] -= 1,
        Quirk::WrongHeaderChecksum if is_v4 => frame[l3 + 10] ^= 1,
        quirk if is_v4 => {
            match quirk {
                Quirk::DiffServ => frame[l3 + 1] = 4,
                Quirk::HopsLeft => frame[l3 + 8] -= 1,
                Quirk::MayFragment => frame[l3 + 6] = 0,
                Quirk::Reserved => frame[l3 + 6] |= 0x80,
                Quirk::Fragment => frame[l3 + 6] = 0x20,
                Quirk::LaterFragment => frame[l3 + 7] = 1,
                _ => {}
            }
            Ipv4Mut::parse(&mut frame[l3..]).unwrap().fill_checksum();
        }
        _ => {}
    }
    (frame, offload)
}

fn pseudo_header(frame: &[u8], parsed: &ParsedFrame, len: u16) -> u16 {
    let l3 = &frame[parsed.l3_offset()..];
    let addresses = match parsed.network() {
        Network::V4 => &l3[12..20],
        Network::V6 | Network::Other => &l3[8..40],
    };
    Sum::of(addresses).and_u16(17).and_u16(len).fold()
}

/// Sends a batch through a table of `capacity` runs.
fn coalesce(batch: &[Sent], capacity: usize) -> Vec<Sent> {
    let mut table = RunTable::new(capacity, HEADROOM);
    let mut sent = Vec::new();
    for (to, frame, offload) in batch {
        let offered = table.offer(*to, frame, *offload, &mut |to, run| {
            sent.push(leave(to, run));
        });
        if offered == Offered::Passed {
            sent.push((*to, frame.clone(), *offload));
        }
    }
    table.dismiss_all(&mut |to, run| sent.push(leave(to, run)));
    table.clear();
    table.dismiss_all(&mut |_, _| panic!("the table is empty"));
    sent
}

fn leave(to: PortNo, run: &mut Run) -> Sent {
    let (frame_count, byte_count) = (run.frame_count(), run.byte_count());
    let frame = run.finish();
    assert_eq!(frame.headroom_len(), HEADROOM);
    let sent = (to, frame.data().to_vec(), frame.offload());
    let cut = cut(&sent);
    assert_eq!(cut.len(), frame_count);
    assert_eq!(
        cut.iter().map(|(_, frame)| frame.len()).sum::<usize>(),
        byte_count
    );
    assert!(frame_count <= Run::MAX_FRAMES);
    assert!(sent.1.len() <= Run::MAX_LEN);
    sent
}

/// Returns the frames that stand on the wire in the end, with what has no meaning wiped out.
fn cut((to, frame, offload): &Sent) -> Vec<(PortNo, Vec<u8>)> {
    if offload.gso.is_none() {
        let mut frame = frame.clone();
        if let ChecksumOffload::Partial { start, offset } = offload.checksum {
            complete(&mut frame, start, offset).unwrap();
        }
        return vec![(*to, without_meaningless_id(frame))];
    }
    let splitter = Splitter::new(frame, *offload).unwrap();
    (0..splitter.segment_count())
        .map(|index| {
            let mut segment = vec![0xa5; splitter.max_segment_len()];
            let len = splitter.write_segment(index, &mut segment).unwrap();
            segment.truncate(len);
            (*to, without_meaningless_id(segment))
        })
        .collect()
}

/// Clears the Identification of an atomic packet with a right header checksum (RFC 6864 §4).
fn without_meaningless_id(mut frame: Vec<u8>) -> Vec<u8> {
    let Ok(parsed) = ParsedFrame::parse(&frame) else {
        return frame;
    };
    let l3 = &mut frame[parsed.l3_offset()..];
    let is_atomic = Ipv4View::parse(l3)
        .is_ok_and(|ip| ip.dont_fragment() && !ip.fragment().is_part() && ip.verify_checksum());
    if is_atomic {
        let mut ip = Ipv4Mut::parse(l3).unwrap();
        ip.set_id(0);
        ip.fill_checksum();
    }
    frame
}

/// Returns the frames of one flow and port in order; with no flow those that may be of any.
fn of_flow<'a>(sent: &'a [(PortNo, Vec<u8>)], to: PortNo, flow: &Flow) -> Vec<&'a [u8]> {
    sent.iter()
        .filter(|(port, _)| *port == to)
        .map(|(_, frame)| frame.as_slice())
        .filter(|frame| flow_of(frame) == *flow)
        .collect()
}

/// What must stay in order: a flow to one station, or to a group.
type Flow = Option<(FlowKey, bool)>;

fn flow_of(frame: &[u8]) -> Flow {
    let parsed = ParsedFrame::parse(frame).ok()?;
    Some((*parsed.flow(), parsed.dst().is_group()))
}

fn is_fragment(frame: &[u8]) -> bool {
    ParsedFrame::parse(frame).is_ok_and(|parsed| parsed.fragment().is_part())
}

proptest! {
    #[test]
    fn cutting_what_was_merged_gives_back_every_flow_in_order(
        batch in prop::collection::vec(step(), 0..120),
        capacity in prop_oneof![Just(64_usize), 0_usize..4],
    ) {
        let before: Vec<_> = batch.iter().flat_map(cut).collect();
        let sent = coalesce(&batch, capacity);
        prop_assert!(sent.len() <= batch.len());
        let after: Vec<_> = sent.iter().flat_map(cut).collect();
        prop_assert_eq!(before.len(), after.len());
        for (to, frame) in &before {
            let flow = flow_of(frame);
            prop_assert_eq!(of_flow(&before, *to, &flow), of_flow(&after, *to, &flow));
        }
        // A fragment has no ports, so it stays where it is among all frames of its port.
        for to in [port(0), port(1)] {
            let places = |sent: &[(PortNo, Vec<u8>)]| {
                let sent = sent.iter().filter(|(port, _)| *port == to);
                let udp = sent.filter(|(_, frame)| {
                    ParsedFrame::parse(frame)
                        .is_ok_and(|parsed| parsed.protocol() == Some(IpProtocol::UDP))
                        && frame[0] & 1 == 0
                });
                udp.enumerate()
                    .filter(|(_, (_, frame))| is_fragment(frame))
                    .map(|(place, _)| place)
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(places(&before), places(&after));
        }
    }
}

/// Sends plain frames through port 0 and tells into how many frames each that leaves is cut.
fn runs_of(frames: &[(Vec<u8>, Offload)]) -> Vec<usize> {
    let batch: Vec<_> = frames
        .iter()
        .map(|(frame, offload)| (port(0), frame.clone(), *offload))
        .collect();
    coalesce(&batch, 64)
        .iter()
        .map(|sent| cut(sent).len())
        .collect()
}

fn plain(frame: Vec<u8>) -> (Vec<u8>, Offload) {
    (frame, Offload::NONE)
}

#[test]
fn a_run_leaves_as_one_super_frame_with_a_partial_checksum() {
    for v6 in [false, true] {
        let batch: Vec<_> = (0..5)
            .map(|id| (port(0), datagram(v6, id, &[7; 18]), Offload::NONE))
            .collect();
        let sent = coalesce(&batch, 64);
        assert_eq!(sent.len(), 1);
        let (_, frame, offload) = &sent[0];
        let l4 = if v6 { 54 } else { 34 };
        assert_eq!(frame.len(), usize::from(l4) + 8 + 5 * 18);
        let partial = ChecksumOffload::Partial {
            start: l4,
            offset: 6,
        };
        assert_eq!(offload.checksum, partial);
        let gso = offload.gso.unwrap();
        assert_eq!((gso.kind, gso.size, gso.ecn), (GsoKind::Udp, 18, false));
        assert_eq!(gso.header_len_hint, l4 + 8);
        let parsed = ParsedFrame::parse(frame).unwrap();
        assert_eq!(parsed.l3_end(), frame.len());
        let mut completed = frame.clone();
        complete(&mut completed, l4, 6).unwrap();
        assert_eq!(verify_transport(&completed, &parsed), Verification::Right);
    }
}

#[test]
fn a_frame_alone_leaves_as_it_came() {
    for quirk in [Quirk::None, Quirk::Partial, Quirk::WrongChecksum] {
        let (frame, offload) = apply(quirk, datagram(false, 1, &[7; 18]));
        let batch = [(port(3), frame, offload)];
        assert_eq!(coalesce(&batch, 64), batch);
    }
}

#[test]
fn sizes_and_counts_end_a_run() {
    let frames = |lens: &[usize]| {
        let lens = lens.iter().enumerate();
        lens.map(|(id, len)| plain(datagram(false, id.try_into().unwrap(), &vec![7; *len])))
            .collect::<Vec<_>>()
    };
    let cases: [(&[usize], &[usize]); 6] = [
        // A shorter frame ends a run, a longer one starts another.
        (&[100, 100, 60, 60], &[3, 1]),
        (&[60, 100, 100], &[1, 2]),
        // Nothing to cut: the frame without payload stays between the others.
        (&[100, 100, 0, 100, 100], &[2, 1, 2]),
        // IP states 65,535 bytes at most.
        (&[32_754, 32_754], &[1, 1]),
        (&[32_754, 32_753], &[2]),
        (&[30_000, 30_000, 30_000], &[2, 1]),
    ];
    for (lens, want) in cases {
        assert_eq!(runs_of(&frames(lens)), want, "{lens:?}");
    }
    assert_eq!(runs_of(&frames(&[1; 130])), [64, 64, 2]);
}

#[test]
fn an_identification_counts_up_unless_it_means_nothing() {
    let frames = |quirk, ids: [u16; 3]| ids.map(|id| apply(quirk, datagram(false, id, &[7; 9])));
    assert_eq!(
        runs_of(&frames(Quirk::MayFragment, [0xfffe, 0xffff, 0])),
        [3]
    );
    assert_eq!(runs_of(&frames(Quirk::MayFragment, [4, 5, 5])), [2, 1]);
    assert_eq!(runs_of(&frames(Quirk::MayFragment, [4, 6, 7])), [1, 2]);
    assert_eq!(runs_of(&frames(Quirk::None, [4, 4, 0xffff])), [3]);
}

#[test]
fn what_is_not_like_its_neighbours_stays_alone_and_in_its_place() {
    let quirks = [
        Quirk::WrongPartial,
        Quirk::WrongChecksum,
        Quirk::NoChecksum,
        Quirk::WrongHeaderChecksum,
        Quirk::Padding,
        Quirk::Fragment,
        Quirk::LaterFragment,
        Quirk::ShortUdpLength,
        Quirk::DiffServ,
        Quirk::HopsLeft,
        Quirk::MayFragment,
        Quirk::Reserved,
    ];
    for quirk in quirks {
        let mut frames: Vec<_> = (0..5)
            .map(|id| plain(datagram(false, id, &[7; 18])))
            .collect();
        frames[2] = apply(quirk, datagram(false, 2, &[7; 18]));
        assert_eq!(runs_of(&frames), [2, 1, 2], "{quirk:?}");
    }
    // A group is another flow: the run goes on around its frame, which is sent at once.
    let mut frames: Vec<_> = (0..5)
        .map(|id| plain(datagram(false, id, &[7; 18])))
        .collect();
    frames[2] = apply(Quirk::Group, datagram(false, 2, &[7; 18]));
    assert_eq!(runs_of(&frames), [1, 4]);
}

#[test]
fn a_corrupted_datagram_stays_corrupted_wherever_it_stands() {
    for bad in 0..4 {
        let batch: Vec<_> = (0..4)
            .map(|id| {
                let quirk = if id == bad {
                    Quirk::WrongChecksum
                } else {
                    Quirk::None
                };
                let (frame, offload) = apply(quirk, datagram(false, id, &[7; 18]));
                (port(0), frame, offload)
            })
            .collect();
        let sent: Vec<_> = coalesce(&batch, 64).iter().flat_map(cut).collect();
        let verdicts: Vec<_> = sent
            .iter()
            .map(|(_, frame)| verify_transport(frame, &ParsedFrame::parse(frame).unwrap()))
            .collect();
        let wrong = verdicts
            .iter()
            .position(|verdict| *verdict == Verification::Wrong);
        assert_eq!(wrong, Some(bad.into()));
    }
}

#[test]
fn the_word_of_a_device_about_a_checksum_is_not_taken() {
    let mut frames: Vec<_> = (0..3)
        .map(|id| apply(Quirk::WrongChecksum, datagram(false, id, &[7; 18])))
        .collect();
    for (_, offload) in &mut frames {
        offload.checksum = ChecksumOffload::Validated;
    }
    assert_eq!(runs_of(&frames), [1, 1, 1]);
}

#[test]
fn flows_and_ports_in_turn_each_have_a_run() {
    let mut batch = Vec::new();
    for id in 0..4 {
        for to in [port(0), port(1)] {
            for v6 in [false, true] {
                batch.push((to, datagram(v6, id, &[7; 18]), Offload::NONE));
            }
        }
    }
    let sent = coalesce(&batch, 64);
    let runs: Vec<_> = sent.iter().map(|sent| (sent.0, cut(sent).len())).collect();
    assert_eq!(
        runs,
        [(port(0), 4), (port(0), 4), (port(1), 4), (port(1), 4)]
    );
    // Without room for a run, a frame passes.
    assert_eq!(coalesce(&batch, 3).len(), 3 + 4);
    assert_eq!(coalesce(&batch, 0), batch);
}

#[test]
fn a_super_frame_of_the_sender_is_left_alone() {
    let batch: Vec<_> = (0..4)
        .map(|id| (port(0), datagram(false, id, &[7; 18]), Offload::NONE))
        .collect();
    let whole = coalesce(&batch, 64).remove(0);
    let between = [batch[0].clone(), whole, batch[1].clone()];
    assert_eq!(coalesce(&between, 64), between);
}

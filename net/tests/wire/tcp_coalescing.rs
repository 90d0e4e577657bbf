//! Segments that were merged, cut again, against what went in.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a quirk that does not apply changes nothing"
)]

use core::ops::Range;

use proptest::prelude::*;
use tapweave_net::checksum::{Verification, complete, verify_transport};
use tapweave_net::tcp_coalesce::{Offered, TcpCoalescer};
use tapweave_net::{
    ChecksumOffload, FlowKey, Frame, Gso, GsoKind, Ipv4Mut, Ipv4View, Network, Offload,
    ParsedFrame, PortNo, Splitter, TcpMut,
};

use super::frames::{L4, Shape};

type Sent = (PortNo, Vec<u8>, Offload);

const HEADROOM: usize = 12;
const ACK: u8 = 0x10;

/// What is done to a segment so that it cannot be merged, or only with its like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Quirk {
    None,
    WrongChecksum,
    WrongHeaderChecksum,
    Padding,
    Fragment,
    DiffServ,
    HopsLeft,
    MayFragment,
    Window,
    Ack,
    Flags(u8),
    Group,
    Lost,
    Twice,
    Partial,
}

fn quirk() -> impl Strategy<Value = Quirk> {
    prop_oneof![
        60 => Just(Quirk::None),
        1 => Just(Quirk::WrongChecksum),
        1 => Just(Quirk::WrongHeaderChecksum),
        1 => Just(Quirk::Padding),
        1 => Just(Quirk::Fragment),
        1 => Just(Quirk::DiffServ),
        1 => Just(Quirk::HopsLeft),
        1 => Just(Quirk::MayFragment),
        1 => Just(Quirk::Window),
        1 => Just(Quirk::Ack),
        3 => any::<u8>().prop_map(Quirk::Flags),
        1 => Just(Quirk::Group),
        1 => Just(Quirk::Lost),
        1 => Just(Quirk::Twice),
        4 => Just(Quirk::Partial),
    ]
}

/// A super-frame with what is left to do on it.
fn super_frame(shape: &Shape, size: u16) -> (Vec<u8>, Offload) {
    let mut frame = shape.build();
    let parsed = ParsedFrame::parse(&frame).unwrap();
    let l4 = parsed.l4_offset().unwrap();
    let partial = partial_sum(&frame, &parsed);
    frame[l4 + 16..l4 + 18].copy_from_slice(&partial.to_be_bytes());
    let kind = match parsed.network() {
        Network::V4 => GsoKind::TcpV4,
        Network::V6 | Network::Other => GsoKind::TcpV6,
    };
    let offload = Offload {
        checksum: ChecksumOffload::Partial {
            start: l4.try_into().unwrap(),
            offset: 16,
        },
        gso: Some(Gso {
            kind,
            ecn: false,
            size,
            header_len_hint: 0,
        }),
    };
    (frame, offload)
}

fn partial_sum(frame: &[u8], parsed: &ParsedFrame) -> u16 {
    let (l3, l4) = (parsed.l3_offset(), parsed.l4_offset().unwrap());
    let addresses = match parsed.network() {
        Network::V4 => &frame[l3 + 12..l3 + 20],
        Network::V6 | Network::Other => &frame[l3 + 8..l3 + 40],
    };
    let len = u16::try_from(parsed.l3_end() - l4).unwrap();
    tapweave_net::checksum::Sum::of(addresses)
        .and_u16(6)
        .and_u16(len)
        .fold()
}

fn segments(frame: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let splitter = Splitter::new(frame, offload).unwrap();
    (0..splitter.segment_count())
        .map(|index| {
            let mut out = vec![0xa5; splitter.max_segment_len()];
            let len = splitter.write_segment(index, &mut out).unwrap();
            out.truncate(len);
            out
        })
        .collect()
}

/// Applies a quirk, which may make none or two of a segment.
fn apply(quirk: Quirk, mut frame: Vec<u8>) -> Vec<(Vec<u8>, Offload)> {
    let parsed = ParsedFrame::parse(&frame).unwrap();
    let (l3, l4) = (parsed.l3_offset(), parsed.l4_offset().unwrap());
    let is_v4 = parsed.network() == Network::V4;
    let mut offload = Offload::NONE;
    let mut changes_tcp = false;
    match quirk {
        Quirk::None => {}
        Quirk::WrongChecksum => *frame.last_mut().unwrap() ^= 0x10,
        Quirk::Padding => frame.extend([0; 5]),
        Quirk::Group => frame[0] |= 1,
        Quirk::Lost => return vec![],
        Quirk::Twice => return vec![(frame.clone(), offload), (frame, offload)],
        Quirk::Window => {
            frame[l4 + 14] ^= 1;
            changes_tcp = true;
        }
        Quirk::Ack => {
            frame[l4 + 11] ^= 1;
            changes_tcp = true;
        }
        Quirk::Flags(flags) => {
            frame[l4 + 13] = flags;
            changes_tcp = true;
        }
        Quirk::Partial => {
            let partial = partial_sum(&frame, &parsed);
            frame[l4 + 16..l4 + 18].copy_from_slice(&partial.to_be_bytes());
            offload.checksum = ChecksumOffload::Partial {
                start: l4.try_into().unwrap(),
                offset: 16,
            };
        }
        Quirk::WrongHeaderChecksum if is_v4 => frame[l3 + 10] ^= 1,
        Quirk::DiffServ if !is_v4 => frame[l3 + 1] ^= 0x10,
        Quirk::HopsLeft if !is_v4 => frame[l3 + 7] -= 1,
        Quirk::DiffServ
        | Quirk::HopsLeft
        | Quirk::MayFragment
        | Quirk::Fragment
        | Quirk::WrongHeaderChecksum => {
            if is_v4 {
                let (place, octet) = match quirk {
                    Quirk::DiffServ => (1, 4),
                    Quirk::HopsLeft => (8, frame[l3 + 8] - 1),
                    Quirk::Fragment => (6, 0x20),
                    _ => (6, 0),
                };
                frame[l3 + place] = octet;
                Ipv4Mut::parse(&mut frame[l3..]).unwrap().fill_checksum();
            }
        }
    }
    if changes_tcp {
        let partial = partial_sum(&frame, &parsed);
        TcpMut::parse(&mut frame[l4..])
            .unwrap()
            .set_checksum(partial);
        complete(&mut frame, l4.try_into().unwrap(), 16).unwrap();
    }
    vec![(frame, offload)]
}

fn coalesce(batch: &[Sent], capacity: usize) -> Vec<Sent> {
    let mut coalescer = TcpCoalescer::new(capacity, HEADROOM);
    let mut sent = Vec::new();
    for (port, frame, offload) in batch {
        let parsed = ParsedFrame::parse(frame).unwrap();
        let mut leave = |port, frame: &mut Frame<'_>| {
            assert_eq!(frame.headroom_len(), HEADROOM);
            sent.push((port, frame.data().to_vec(), frame.offload()));
        };
        let offered = coalescer.offer(*port, frame, &parsed, *offload, &mut leave);
        if offered == Offered::Passed {
            sent.push((*port, frame.clone(), *offload));
        }
    }
    let mut leave = |port, frame: &mut Frame<'_>| {
        sent.push((port, frame.data().to_vec(), frame.offload()));
    };
    coalescer.dismiss_all(&mut leave);
    coalescer.dismiss_all(&mut |_, _| panic!("nothing is left"));
    sent
}

/// Returns the frames that stand on the wire in the end, with what has no meaning wiped out.
fn cut((port, frame, offload): &Sent) -> Vec<(PortNo, Vec<u8>)> {
    let mut frames = match offload.gso {
        Some(_) => segments(frame, *offload),
        None => vec![frame.clone()],
    };
    for frame in &mut frames {
        let parsed = ParsedFrame::parse(frame).unwrap();
        let l3 = parsed.l3_offset();
        if offload.gso.is_none()
            && let ChecksumOffload::Partial { start, offset } = offload.checksum
        {
            complete(frame, start, offset).unwrap();
        }
        if parsed.network() == Network::V4 && frame[l3 + 6] & 0x40 != 0 {
            let had_right_sum = Ipv4View::parse(&frame[l3..]).unwrap().verify_checksum();
            frame[l3 + 4..l3 + 6].fill(0);
            if had_right_sum {
                Ipv4Mut::parse(&mut frame[l3..]).unwrap().fill_checksum();
            }
        }
    }
    frames.into_iter().map(|frame| (*port, frame)).collect()
}

fn flow(frame: &[u8]) -> FlowKey {
    *ParsedFrame::parse(frame).unwrap().flow()
}

fn shape(v6: bool, number: u16, payload_len: usize, timestamps: bool) -> Shape {
    Shape {
        tags: vec![],
        v6,
        extras: 0,
        l4: L4::Tcp {
            flags: ACK,
            timestamps,
        },
        id: 7,
        seq: u32::MAX - 3000,
        ports: [1000 + number, 9],
        payload: (0..=u8::MAX).cycle().take(payload_len).collect(),
    }
}

#[test]
fn what_was_cut_is_put_together_again_as_it_was() {
    for v6 in [false, true] {
        for timestamps in [false, true] {
            let (whole, offload) = super_frame(&shape(v6, 0, 60_000, timestamps), 1400);
            let batch: Vec<Sent> = segments(&whole, offload)
                .into_iter()
                .map(|segment| (PortNo::new(0, 0), segment, Offload::NONE))
                .collect();
            let sent = coalesce(&batch, 4);
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].1, whole);
            let gso = sent[0].2.gso.unwrap();
            assert_eq!((gso.kind, gso.size), (offload.gso.unwrap().kind, 1400));
        }
    }
}

#[test]
fn a_run_ends_with_push_and_where_ip_can_state_no_more() {
    let (whole, offload) = super_frame(&shape(false, 0, 65_000, false), 1000);
    let mut batch: Vec<Sent> = segments(&whole, offload)
        .into_iter()
        .map(|segment| (PortNo::new(0, 0), segment, Offload::NONE))
        .collect();
    let (_, third, _) = batch.remove(2);
    let (third, _) = apply(Quirk::Flags(ACK | 8), third).remove(0);
    batch.insert(2, (PortNo::new(0, 0), third, Offload::NONE));
    let lens: Vec<_> = coalesce(&batch, 4)
        .iter()
        .map(|sent| sent.1.len())
        .collect();
    assert_eq!(lens, [54 + 3000, 54 + 62_000]);
}

/// The frames of one flow that came in from one port.
fn of_flow(frames: &[(PortNo, Vec<u8>)], port: PortNo, key: &FlowKey) -> Vec<Vec<u8>> {
    let frames = frames.iter().filter(|(from, frame)| {
        *from == port
            && (flow(frame) == *key || ParsedFrame::parse(frame).unwrap().fragment().is_part())
    });
    frames.map(|(_, frame)| frame.clone()).collect()
}

fn mixed(flows: Range<u16>) -> impl Strategy<Value = Vec<Sent>> {
    let flow = (flows, any::<bool>(), 1_usize..9000, 100_u16..1500, 0_u32..2);
    let of_one = flow.prop_map(|(number, v6, len, size, port)| {
        let (whole, offload) = super_frame(&shape(v6, number, len, number % 2 == 0), size);
        (PortNo::new(port, 0), segments(&whole, offload))
    });
    (
        prop::collection::vec(of_one, 1..6),
        prop::collection::vec((any::<prop::sample::Index>(), quirk()), 60),
    )
        .prop_map(|(mut flows, choices)| {
            let mut batch = Vec::new();
            for (index, quirk) in choices {
                flows.retain(|(_, segments)| !segments.is_empty());
                if flows.is_empty() {
                    break;
                }
                let (port, segments) = index.get(&flows).clone();
                let place = flows
                    .iter()
                    .position(|other| *other == (port, segments.clone()));
                if let Some(place) = place {
                    flows[place].1.remove(0);
                }
                for (frame, offload) in apply(quirk, segments[0].clone()) {
                    batch.push((port, frame, offload));
                }
            }
            batch
        })
}

proptest! {
    /// Nothing is lost, invented, changed or reordered inside a flow, and nothing corrupted becomes right.
    #[test]
    fn segments_come_out_as_they_went_in(batch in mixed(0..4), capacity in 0_usize..4) {
        let sent = coalesce(&batch, capacity);
        let before: Vec<_> = batch.iter().flat_map(cut).collect();
        let after: Vec<_> = sent.iter().flat_map(cut).collect();
        prop_assert_eq!(before.len(), after.len());
        for (port, frame) in &before {
            let key = flow(frame);
            prop_assert_eq!(of_flow(&before, *port, &key), of_flow(&after, *port, &key));
        }
        let wrong = |frames: &[(PortNo, Vec<u8>)]| {
            let is_wrong = |frame: &[u8]| {
                let parsed = ParsedFrame::parse(frame).unwrap();
                verify_transport(frame, &parsed) == Verification::Wrong
            };
            frames.iter().filter(|(_, frame)| is_wrong(frame)).count()
        };
        prop_assert_eq!(wrong(&before), wrong(&after));
    }
}

//! Two ends that keep to RFC 9293, with losses on both sides of the one who listens.

use proptest::prelude::*;
use tapweave_net::TcpFlags;

use super::{Connection, Effect, Packed, later_of};
use crate::TcpState;
use crate::packet::TcpSegment;
use crate::table::Direction;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
struct End {
    /// What it sends next.
    next: u32,
    /// What was acknowledged of that.
    acked: u32,
    /// The end of the other's window.
    limit: u32,
    /// What it waits for.
    expected: u32,
    /// The end of its own window, which it never takes back.
    offered: u32,
    scale: u8,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An end sends up to this many octets of new data.
    Send(u32),
    /// It sends again what was not acknowledged.
    Repeat(u32),
    /// It acknowledges, and its reader has taken this many octets of the window.
    Acknowledge(u32),
}

/// Where a segment is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loss {
    None,
    Before,
    Behind,
}

fn any_step() -> impl Strategy<Value = (Direction, Step, Loss)> {
    let direction = prop_oneof![Just(Direction::Original), Just(Direction::Reply)];
    let step = prop_oneof![
        (1_u32..70_000).prop_map(Step::Send),
        (1_u32..70_000).prop_map(Step::Repeat),
        (0_u32..100_000).prop_map(Step::Acknowledge),
    ];
    let loss = prop_oneof![4 => Just(Loss::None), 1 => Just(Loss::Before), 1 => Just(Loss::Behind)];
    (direction, step, loss)
}

impl End {
    fn segment(&mut self, seq: u32, len: u32, room: u32) -> TcpSegment {
        // Largest window that the header can say and that does not take back what was offered.
        let least = self.offered.wrapping_sub(self.expected);
        let window = room.max(least) >> self.scale;
        let window = u16::try_from(window).unwrap_or(u16::MAX);
        self.offered = self.expected.wrapping_add(u32::from(window) << self.scale);
        TcpSegment {
            seq,
            ack: self.expected,
            payload_len: len,
            window,
            flags: TcpFlags::ACK,
            window_scale: None,
        }
    }

    fn receive(&mut self, segment: &TcpSegment, scale: u8) {
        let has = segment.seq.wrapping_add(segment.payload_len);
        if !is_before(self.expected, segment.seq) && is_before(self.expected, has) {
            self.expected = has;
        }
        if is_before(self.acked, segment.ack) {
            self.acked = segment.ack;
        }
        let limit = segment.ack.wrapping_add(u32::from(segment.window) << scale);
        if is_before(self.limit, limit) {
            self.limit = limit;
        }
    }
}

fn is_before(number: u32, other: u32) -> bool {
    let distance = other.wrapping_sub(number);
    distance != 0 && distance < 1 << 31
}

fn syn(seq: u32, scale: u8, ack: Option<u32>) -> TcpSegment {
    TcpSegment {
        seq,
        ack: ack.unwrap_or(0),
        payload_len: 0,
        window: 64_000,
        flags: match ack {
            None => TcpFlags::SYN,
            Some(_) => TcpFlags::SYN | TcpFlags::ACK,
        },
        window_scale: Some(scale),
    }
}

/// Numbers around zero, so that windows are hit and missed, and begin again at zero in between.
fn any_number() -> impl Strategy<Value = u32> {
    (0_u32..400_000).prop_map(|number| number.wrapping_sub(200_000))
}

/// A connection that is established, as a rule.
fn any_near_established() -> impl Strategy<Value = Packed> {
    let kind = prop_oneof![8 => Just(TcpState::Established as u32), 1 => 0_u32..6];
    let numbers = prop::array::uniform6(any_number());
    (kind, any::<u32>(), 0_u32..8, numbers).prop_map(|(kind, rest, loose, [a, b, c, d, e, f])| {
        let loose = u32::from(loose == 0) << 4;
        let rest = rest & Packed::STATE & !(Packed::KIND | 1 << 4);
        let word = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        Packed {
            state: kind | loose | rest,
            words: [word(a, b), word(c, d), word(e, f)],
        }
    })
}

fn any_near_segment() -> impl Strategy<Value = TcpSegment> {
    let flags = prop_oneof![
        4 => Just(TcpFlags::ACK),
        1 => Just(TcpFlags::ACK | TcpFlags::PSH),
        1 => any::<u8>().prop_map(TcpFlags),
    ];
    (
        any_number(),
        any_number(),
        0_u32..70_000,
        any::<u16>(),
        flags,
    )
        .prop_map(|(seq, ack, payload_len, window, flags)| TcpSegment {
            seq,
            ack,
            payload_len,
            window,
            flags,
            window_scale: None,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn all_segments_of_ends_that_keep_to_the_rules_count(
        numbers: [u32; 2],
        scales in (0_u8..=14, 0_u8..=14),
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let scales = [scales.0, scales.1];
        let mut connection = Connection::open(&syn(numbers[0], scales[0], None)).unwrap();
        let first = numbers.map(|number| number.wrapping_add(1));
        let answer = syn(numbers[1], scales[1], Some(first[0]));
        prop_assert_eq!(connection.receive(Direction::Reply, &answer), Effect::Counts);
        let mut ends = [0, 1].map(|of: usize| End {
            next: first[of],
            acked: first[of],
            // Windows of SYNs are not scaled.
            limit: first[of].wrapping_add(64_000),
            expected: first[1 - of],
            offered: first[1 - of].wrapping_add(64_000),
            scale: scales[of],
        });
        let opening = ends[0].segment(first[0], 0, 64_000);
        prop_assert_eq!(connection.receive(Direction::Original, &opening), Effect::Counts);
        for (direction, step, loss) in steps {
            let end = &mut ends[direction.index()];
            let segment = match step {
                Step::Send(len) => {
                    let room = end.limit.wrapping_sub(end.next);
                    let len = if room < 1 << 31 { len.min(room) } else { 0 };
                    let seq = end.next;
                    end.next = seq.wrapping_add(len);
                    end.segment(seq, len, 0)
                }
                Step::Repeat(len) => {
                    let len = len.min(end.next.wrapping_sub(end.acked));
                    end.segment(end.acked, len, 0)
                }
                Step::Acknowledge(room) => end.segment(end.next, 0, room),
            };
            if loss == Loss::Before {
                continue;
            }
            let at_a_glance = connection.pack().after_steady(direction, &segment);
            let effect = connection.receive(direction, &segment);
            prop_assert_eq!(effect, Effect::Counts, "{:?} {:?}", segment, connection);
            if let Some(words) = at_a_glance {
                prop_assert_eq!(words, connection.pack().words);
            }
            if loss == Loss::None {
                let scale = scales[direction.index()];
                ends[direction.opposite().index()].receive(&segment, scale);
            }
        }
        prop_assert_eq!(connection.state, TcpState::Established);
    }

    #[test]
    fn what_is_seen_at_a_glance_is_what_is_so(
        packed in any_near_established(),
        original: bool,
        segment in any_near_segment(),
    ) {
        let direction = if original { Direction::Original } else { Direction::Reply };
        if let Some(words) = packed.after_steady(direction, &segment) {
            let mut connection = Connection::unpack(&packed);
            prop_assert_eq!(connection.receive(direction, &segment), Effect::Counts);
            prop_assert_eq!(connection.pack(), Packed { words, ..packed });
        }
    }

    #[test]
    fn a_connection_is_what_it_was_after_packing(state in 0_u32..1 << 23, words: [u64; 3]) {
        // Of the eight numbers of a state, six are used.
        prop_assume!(state & Packed::KIND < 6);
        let packed = Packed { state, words };
        prop_assert_eq!(Connection::unpack(&packed).pack(), packed);
    }
}

#[test]
fn of_two_words_the_later_numbers_stay() {
    let word = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    assert_eq!(later_of(word(5, 9), word(6, 8)), word(6, 9));
    assert_eq!(later_of(word(u32::MAX, 0), word(3, 7)), word(3, 7));
    assert_eq!(later_of(word(3, 7), word(u32::MAX, 0)), word(3, 7));
}

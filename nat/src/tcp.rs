//! Following a TCP connection from the middle.
//!
//! It decides what a segment does to the state of its connection, and how long the flow then lives. It
//! knows neither addresses nor records; the flow packs a [`Connection`] into a record's words.
//!
//! # Theory of operation
//!
//! A NAT sees most segments, but not all (some are lost behind it), and whoever can guess addresses and
//! ports can send it segments of no connection. Every segment is translated and forwarded: the ends
//! know better what to make of it, and a challenge ACK (RFC 5961) must reach them. What has to be
//! decided is only whether it *counts*: whether it moves the state and prolongs the flow.
//!
//! ```text
//!                SYN              SYN, SYN+ACK            ACK of the opener
//!   (none) ───────────► SynSent ──────────────► SynReceived ──────────────► Established
//!      │ ACK (picked up)                             ▲                           │ FIN
//!      └─────────────────────────────────────────────┘                           ▼
//!                                   any state ── RST ──► Reset     FIN of the other ── FinSeen
//!                                                                         TimeWait ◄──┘
//! ```
//!
//! - The machine is that of RFC 7857 §2 (RFC 6146 §3.5.2), with `SynReceived` apart from `Established`: a
//!   flood of SYNs that a server answers is not to fill the table with flows of two hours. Either
//!   end may open, and both at once (RFC 5382 REQ-2).
//! - *Which segments count* follows the window rules of Guido van Rooij (*Real Stateful TCP Packet
//!   Filtering in IP Filter*, 2000), as Linux and BSD have them: data may neither begin beyond what the
//!   receiver has offered nor lie more than a window behind; an ACK may neither be for what was not
//!   sent nor lie more than a window behind. Windows are kept as powers of two, rounded up, and
//!   super-frames count with all of their segments, so the rules are tolerant, never strict.
//! - *A RST counts* only when its number is exactly the one that its receiver waits for, as far as that
//!   can be overheard: the number that the receiver acknowledged last, or the end of what the sender of
//!   the RST has sent. An end that gets another one answers with a challenge ACK and goes on (RFC 5961
//!   §3.2), and so does the flow. A RST that counts does not remove the flow but leaves it four
//!   minutes (RFC 7857 §2.2). Should the one who allegedly sent it then send something else that
//!   counts, it was forged all the same, and the flow is open again.
//! - A SYN in an open connection changes nothing (RFC 5961 §4). In `TimeWait` or `Reset` it opens the
//!   connection anew, whoever sends it (RFC 9293 §3.6.1).
//! - A FIN from either end leaves the connection half open, for as long as it is used; after both,
//!   nothing prolongs the flow.
//! - *A segment without a flow* opens one if it is a SYN, or if it acknowledges something and neither
//!   resets nor ends: the connection is older than the flow, as after a restart without a snapshot. Linux
//!   does the same (`nf_conntrack_tcp_loose`). Its windows cannot be known (their scale was in the SYN),
//!   so none are checked; it counts as open once the other end has answered.

mod side;
mod steady;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use tapweave_net::TcpFlags;

use crate::TcpState;
use crate::packet::TcpSegment;
use crate::table::Direction;
use side::{NO_SCALE, Side, is_after};

/// A connection as far as it was overheard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Connection {
    pub(crate) state: TcpState,
    /// Who opened, in `SynSent` and `SynReceived`; who sent the FIN in `FinSeen`, the RST in `Reset`.
    by: Direction,
    /// It was picked up in the middle, and no windows are known.
    is_loose: bool,
    sides: [Side; 2],
}

/// What a segment does to its flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// It counts: the flow is prolonged as its state says.
    Counts,
    /// The connection begins again: what was known of its numbers is void.
    Reopens,
    /// It belongs to the connection but prolongs nothing.
    Passes,
    /// It lies outside of the window, or is a RST, SYN or ACK of nothing known: it changes nothing.
    Outside,
}

/// A connection as the words of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packed {
    /// Within [`Packed::STATE`].
    pub(crate) state: u32,
    /// Where each side is.
    pub(crate) words: [u64; 3],
}

impl Packed {
    /// The bits of a record's state that a connection takes.
    pub(crate) const STATE: u32 = (1 << 23) - 1;
    /// Those of them that say which [`TcpState`] it is in.
    pub(crate) const KIND: u32 = 0b111;
    /// That of them that says that the connection was picked up in the middle.
    const LOOSE: u32 = 1 << 4;

    #[inline]
    fn words_of(original: &Side, reply: &Side) -> [u64; 3] {
        let word = |high, low| u64::from(high) << 32 | u64::from(low);
        [
            word(original.end, original.limit),
            word(reply.end, reply.limit),
            word(original.acked, reply.acked),
        ]
    }

    #[inline]
    fn bits(&self, from: u32, count: u32) -> u8 {
        let [byte, ..] = (self.state >> from & ((1 << count) - 1)).to_le_bytes();
        byte
    }

    #[inline]
    fn sides(&self) -> [Side; 2] {
        let [original, reply, acked] = self.words.map(halves);
        let side = |[end, limit]: [u32; 2], acked, scale, window_bits| Side {
            end,
            limit,
            acked,
            scale,
            window_bits,
        };
        [
            side(original, acked[0], self.bits(5, 4), self.bits(13, 5)),
            side(reply, acked[1], self.bits(9, 4), self.bits(18, 5)),
        ]
    }
}

impl Connection {
    /// Returns the connection that `segment`, the first one of a flow, belongs to; `None` when it can
    /// neither begin nor continue one.
    pub(crate) fn open(segment: &TcpSegment) -> Option<Self> {
        let flags = segment.flags;
        if flags.intersects(TcpFlags::RST | TcpFlags::FIN) {
            return None;
        }
        let is_loose = flags.contains(TcpFlags::ACK);
        if !is_loose && !flags.contains(TcpFlags::SYN) {
            return None;
        }
        let mut original = Side::first(segment);
        if is_loose {
            original.scale = Side::UNKNOWN_SCALE;
        }
        Some(Self {
            // Of a connection that is picked up, the other end has to show that it is there.
            state: if is_loose {
                TcpState::SynReceived
            } else {
                TcpState::SynSent
            },
            by: if is_loose {
                Direction::Reply
            } else {
                Direction::Original
            },
            is_loose,
            sides: [original, Side::UNSEEN],
        })
    }

    /// Returns what is left of it when segments may have passed that were not overheard. Of a connection that only one
    /// end has heard of, and of one that is over, that is all.
    pub(crate) const fn interrupted(self) -> Self {
        match self.state {
            TcpState::SynSent | TcpState::TimeWait | TcpState::Reset => self,
            TcpState::SynReceived | TcpState::Established | TcpState::FinSeen => Self {
                is_loose: true,
                sides: [Side::UNSEEN; 2],
                ..self
            },
        }
    }

    /// Takes in a segment that goes in `direction`.
    #[inline]
    pub(crate) fn receive(&mut self, direction: Direction, segment: &TcpSegment) -> Effect {
        let flags = segment.flags;
        if flags.contains(TcpFlags::RST) {
            return self.receive_rst(direction, segment);
        }
        if flags.contains(TcpFlags::SYN) {
            return self.receive_syn(direction, segment);
        }
        if self.state == TcpState::SynSent {
            return Effect::Outside;
        }
        if self.state == TcpState::TimeWait {
            return Effect::Passes;
        }
        if !self.is_in_window(direction, segment) {
            return Effect::Outside;
        }
        self.note(direction, segment);
        self.advance(direction, flags)
    }

    /// Moves the state by a segment that is in window and neither SYN nor RST.
    #[inline]
    fn advance(&mut self, direction: Direction, flags: TcpFlags) -> Effect {
        let is_by = direction == self.by;
        if self.state == TcpState::SynReceived && is_by && flags.contains(TcpFlags::ACK) {
            self.state = TcpState::Established;
        }
        if self.state == TcpState::Reset {
            if !is_by {
                return Effect::Passes;
            }
            self.state = TcpState::Established;
        }
        if flags.contains(TcpFlags::FIN) {
            if self.state != TcpState::FinSeen {
                self.state = TcpState::FinSeen;
                self.by = direction;
            } else if !is_by {
                self.state = TcpState::TimeWait;
            }
        }
        Effect::Counts
    }

    /// Tells whether the connection is open in one direction at least.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, TcpState::Established | TcpState::FinSeen)
    }

    #[cold]
    fn receive_rst(&mut self, direction: Direction, segment: &TcpSegment) -> Effect {
        if matches!(self.state, TcpState::TimeWait | TcpState::Reset) {
            return Effect::Passes;
        }
        let sender = &self.sides[direction.index()];
        let receiver = &self.sides[direction.opposite().index()];
        let is_exact = if sender.is_seen() {
            segment.seq == receiver.acked || segment.seq == sender.end
        } else {
            // A SYN is refused by a RST that acknowledges it (RFC 9293 §3.10.7.3); what was picked up,
            // by one that has the number which was acknowledged (§3.5.2).
            (segment.flags.contains(TcpFlags::ACK) && segment.ack == receiver.end)
                || (self.is_loose && segment.seq == receiver.acked)
        };
        if !is_exact {
            return Effect::Outside;
        }
        self.state = TcpState::Reset;
        self.by = direction;
        Effect::Counts
    }

    #[cold]
    fn receive_syn(&mut self, direction: Direction, segment: &TcpSegment) -> Effect {
        let flags = segment.flags;
        let is_answer = flags.contains(TcpFlags::ACK);
        let side = self.sides[direction.index()];
        let is_again = side.is_seen() && segment.end() == side.end;
        let is_opening = matches!(self.state, TcpState::SynSent | TcpState::SynReceived);
        let is_over = matches!(self.state, TcpState::TimeWait | TcpState::Reset);
        if is_opening && is_again {
            if self.state == TcpState::SynSent {
                // A SYN that goes unanswered may be repeated without options.
                self.sides[direction.index()] = Side::first(segment);
            }
            return Effect::Counts;
        }
        if !is_answer && (is_over || (is_opening && direction == self.by)) {
            self.reopen(direction, segment);
            return Effect::Reopens;
        }
        if self.state == TcpState::SynSent && direction != self.by {
            return self.answer(direction, segment);
        }
        // In a simultaneous open each end also answers the other's SYN with one of its own.
        if self.state == TcpState::SynReceived && is_answer && self.is_in_window(direction, segment)
        {
            self.note(direction, segment);
            return self.advance(direction, flags);
        }
        Effect::Outside
    }

    fn reopen(&mut self, direction: Direction, segment: &TcpSegment) {
        let mut sides = [Side::UNSEEN; 2];
        sides[direction.index()] = Side::first(segment);
        *self = Self {
            state: TcpState::SynSent,
            by: direction,
            is_loose: false,
            sides,
        };
    }

    /// Takes in the other end's SYN, with ACK or, in a simultaneous open, without.
    fn answer(&mut self, direction: Direction, segment: &TcpSegment) -> Effect {
        let opener = &mut self.sides[direction.opposite().index()];
        let mut side = Side::first(segment);
        if segment.flags.contains(TcpFlags::ACK) {
            // Data of the SYN may be left out (RFC 7413 §4.2.2); it is of one segment.
            let missing = opener.end.wrapping_sub(segment.ack);
            if missing > u32::from(u16::MAX) {
                return Effect::Outside;
            }
            opener.limit = segment.ack.wrapping_add(side.max_window());
        } else {
            opener.limit = opener.end.wrapping_add(side.max_window());
        }
        side.limit = segment.end().wrapping_add(opener.max_window());
        if opener.scale == NO_SCALE || side.scale == NO_SCALE {
            opener.scale = 0;
            side.scale = 0;
        }
        self.sides[direction.index()] = side;
        self.state = TcpState::SynReceived;
        Effect::Counts
    }

    /// Tells whether a segment in `direction` fits what both sides have said.
    #[inline]
    fn is_in_window(&self, direction: Direction, segment: &TcpSegment) -> bool {
        let sender = &self.sides[direction.index()];
        let receiver = &self.sides[direction.opposite().index()];
        let is_known = !self.is_loose && sender.is_seen() && receiver.is_seen();
        !is_known || fits(sender, receiver, segment)
    }

    /// Remembers what a segment in window says.
    #[inline]
    fn note(&mut self, direction: Direction, segment: &TcpSegment) {
        let [original, reply] = &mut self.sides;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        if !sender.is_seen() {
            *sender = Side::first(segment);
            sender.scale = Side::UNKNOWN_SCALE;
        }
        note(sender, receiver, segment);
    }

    /// Packs the connection.
    #[inline]
    pub(crate) fn pack(&self) -> Packed {
        let [original, reply] = &self.sides;
        let state = self.state as u32
            | (self.by as u32) << 3
            | if self.is_loose { Packed::LOOSE } else { 0 }
            | u32::from(original.scale) << 5
            | u32::from(reply.scale) << 9
            | u32::from(original.window_bits) << 13
            | u32::from(reply.window_bits) << 18;
        Packed {
            state,
            words: Packed::words_of(original, reply),
        }
    }

    /// Unpacks what [`Connection::pack`] gave; other bits of the state are not looked at.
    #[inline]
    pub(crate) fn unpack(packed: &Packed) -> Self {
        Self {
            state: state_from(packed.bits(0, 3)),
            by: match packed.bits(3, 1) {
                0 => Direction::Original,
                _ => Direction::Reply,
            },
            is_loose: packed.state & Packed::LOOSE != 0,
            sides: packed.sides(),
        }
    }
}

/// Tells whether a segment of `sender` fits what both sides, of which something was seen, have said.
#[inline(always)]
fn fits(sender: &Side, receiver: &Side, segment: &TcpSegment) -> bool {
    let data_fits = !is_after(segment.seq, sender.limit)
        && !is_after(
            sender.end.wrapping_sub(receiver.max_window()),
            segment.end(),
        );
    let ack_fits = !segment.flags.contains(TcpFlags::ACK)
        || (!is_after(segment.ack, receiver.end)
            && !is_after(receiver.end.wrapping_sub(sender.max_ack_lag()), segment.ack));
    data_fits && ack_fits
}

/// Remembers what a segment of `sender` says, of which something was seen before.
#[inline(always)]
fn note(sender: &mut Side, receiver: &mut Side, segment: &TcpSegment) {
    let scale = if segment.flags.contains(TcpFlags::SYN) {
        0
    } else {
        sender.shift()
    };
    let window = u32::from(segment.window) << scale;
    sender.note_sent(segment.end(), window);
    if segment.flags.contains(TcpFlags::ACK) {
        sender.note_acked(segment.ack);
        receiver.note_offered(segment.ack, window);
    }
}

/// Returns a word that says the later of what two words of a [`Packed`] say: what to write when
/// another worker has changed the word meanwhile.
pub(crate) fn later_of(one: u64, other: u64) -> u64 {
    let [a, b] = halves(one);
    let [c, d] = halves(other);
    // Zero is what an end has that was not seen.
    let later = |x, y| {
        if x == 0 || (y != 0 && is_after(y, x)) {
            y
        } else {
            x
        }
    };
    u64::from(later(a, c)) << 32 | u64::from(later(b, d))
}

/// Returns the upper and the lower half.
#[inline]
fn halves(word: u64) -> [u32; 2] {
    let half = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    [half(word >> 32), half(word)]
}

/// Returns the state with this number. There is no other number in a record of TCP.
const fn state_from(number: u8) -> TcpState {
    match number {
        0 => TcpState::SynSent,
        1 => TcpState::SynReceived,
        2 => TcpState::Established,
        3 => TcpState::FinSeen,
        4 => TcpState::TimeWait,
        _ => TcpState::Reset,
    }
}

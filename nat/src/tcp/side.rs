//! One end of a TCP connection: what it has sent, and what it may send.

use tapweave_net::TcpFlags;

use crate::packet::TcpSegment;

/// Scale of a side whose SYN did not ask for scaling (RFC 7323 §2.2: then neither side scales).
pub(super) const NO_SCALE: u8 = 15;

/// Shortest distance by which an acknowledgement may be late: more than the largest window without
/// scaling, as Linux has it (`MAXACKWINCONST`).
const MIN_ACK_LAG: u32 = 66_000;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Side {
    /// The end of what it has sent: the number after the last octet.
    pub(super) end: u32,
    /// The end of what it may send: the other side's last acknowledgement and its window.
    pub(super) limit: u32,
    /// What it acknowledged last, 0 before.
    pub(super) acked: u32,
    /// How far its windows are to be shifted.
    pub(super) scale: u8,
    /// Its largest window is at most 2 to the power of this minus one; 0 when nothing was seen of it.
    pub(super) window_bits: u8,
}

impl Side {
    /// An end that has sent nothing yet.
    pub(super) const UNSEEN: Self = Self {
        end: 0,
        limit: 0,
        acked: 0,
        scale: 0,
        window_bits: 0,
    };
    /// Scale of a side whose SYN was not seen: the largest there is, so that its windows are not taken
    /// for smaller than they are.
    pub(super) const UNKNOWN_SCALE: u8 = 14;

    /// Returns what the first segment of a side says.
    pub(super) fn first(segment: &TcpSegment) -> Self {
        let mut side = Self {
            end: segment.end(),
            limit: segment.end(),
            acked: if segment.flags.contains(TcpFlags::ACK) {
                segment.ack
            } else {
                0
            },
            scale: segment.window_scale.unwrap_or(NO_SCALE),
            window_bits: 0,
        };
        side.note_sent(segment.end(), segment.window.into());
        side
    }

    pub(super) const fn is_seen(&self) -> bool {
        self.window_bits != 0
    }

    /// Returns by how much a window of this side is to be shifted.
    pub(super) const fn shift(&self) -> u8 {
        if self.scale == NO_SCALE {
            0
        } else {
            self.scale
        }
    }

    /// Returns the largest window that it has offered, or up to twice that.
    #[inline]
    pub(super) const fn max_window(&self) -> u32 {
        match self.window_bits {
            0 => 0,
            bits => 1 << (bits - 1),
        }
    }

    /// Returns how far its acknowledgements may lie behind what the other side has sent.
    #[inline]
    pub(super) fn max_ack_lag(&self) -> u32 {
        self.max_window().max(MIN_ACK_LAG)
    }

    /// Remembers a segment up to `end` that offers `window`.
    #[inline]
    pub(super) fn note_sent(&mut self, end: u32, window: u32) {
        if is_after(end, self.end) {
            self.end = end;
        }
        if window > self.max_window() || self.window_bits == 0 {
            let bits = u32::BITS - window.saturating_sub(1).leading_zeros();
            let [bits, ..] = (bits + 1).to_le_bytes();
            self.window_bits = bits;
        }
    }

    /// Remembers that this side has acknowledged all before `ack`.
    #[inline]
    pub(super) const fn note_acked(&mut self, ack: u32) {
        if self.acked == 0 || is_after(ack, self.acked) {
            self.acked = ack;
        }
    }

    /// Remembers that the other side has acknowledged all before `ack` and offers `window`. A window of
    /// zero may be probed with one octet (RFC 9293 §3.8.6.1).
    #[inline]
    pub(super) fn note_offered(&mut self, ack: u32, window: u32) {
        let limit = ack.wrapping_add(window.max(1));
        if is_after(limit, self.limit) {
            self.limit = limit;
        }
    }
}

/// Tells whether one sequence number comes after another (RFC 9293 §3.4).
#[inline]
pub(super) const fn is_after(number: u32, other: u32) -> bool {
    let distance = number.wrapping_sub(other);
    distance != 0 && distance < 1 << 31
}

impl TcpSegment {
    /// Returns the number after the last that the segment takes.
    #[inline]
    pub(super) const fn end(&self) -> u32 {
        self.seq.wrapping_add(self.sequence_len())
    }
}

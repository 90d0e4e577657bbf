//! The common case: a segment of an open connection that changes nothing but numbers.
//!
//! [`Connection::receive`](super::Connection::receive) decides every case, and goes through a whole connection for it.
//! Nearly all segments are of one kind, of which less has to be looked at: they carry ACK and neither SYN, FIN nor RST, and
//! are of a connection that is established. For these the same is done here with the two sides alone.

use tapweave_net::TcpFlags;

use super::{Packed, fits, note};
use crate::TcpState;
use crate::packet::TcpSegment;
use crate::table::Direction;

impl Packed {
    /// Returns the words after a segment that goes in `direction`, if it counts and leaves the state as it is. `None`
    /// when that is not so, or not seen at a glance.
    #[inline(always)]
    pub(crate) fn after_steady(
        &self,
        direction: Direction,
        segment: &TcpSegment,
    ) -> Option<[u64; 3]> {
        let is_open = self.state & (Self::KIND | Self::LOOSE) == TcpState::Established as u32;
        let other_flags = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        let is_plain =
            segment.flags.contains(TcpFlags::ACK) && !segment.flags.intersects(other_flags);
        if !is_open || !is_plain {
            return None;
        }
        let [original, reply] = self.sides();
        let (mut sender, mut receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let window_bits = sender.window_bits;
        if !sender.is_seen() || !receiver.is_seen() || !fits(&sender, &receiver, segment) {
            return None;
        }
        note(&mut sender, &mut receiver, segment);
        if sender.window_bits != window_bits {
            return None;
        }
        Some(match direction {
            Direction::Original => Self::words_of(&sender, &receiver),
            Direction::Reply => Self::words_of(&receiver, &sender),
        })
    }
}

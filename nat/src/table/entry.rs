//! What a record of the table says, as plain values.

use tapweave_net::Timestamp;

use super::tuple::Tuple;

/// Which of a record's two keys a packet has, and so which way it goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// That of the first packet.
    Original,
    /// That of the answers.
    Reply,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Original, Self::Reply];

    /// Returns the other way.
    #[inline]
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// Returns 0 for the original direction and 1 for the reply's, to index pairs with.
    #[inline]
    pub const fn index(self) -> usize {
        match self {
            Self::Original => 0,
            Self::Reply => 1,
        }
    }
}

/// A record as a value: what is inserted, listed, removed and saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key of packets in the original direction.
    pub original: Tuple,
    /// The key of packets in the reply direction, of the same protocol.
    pub reply: Tuple,
    /// Set at the insertion; the owner of the table says what it means.
    pub label: u32,
    /// What changes in one step; the owner says what it means, but for the bits
    /// [`KEPT`](Self::KEPT) and [`ASSURED`](Self::ASSURED).
    pub state: u32,
    /// From when on the record counts as gone, unless it is kept.
    pub expires: Timestamp,
    /// The owner says what they mean.
    pub words: [u64; Self::WORDS],
    /// Packets by [`Direction::index`].
    pub packets: [u64; 2],
    /// Bytes by [`Direction::index`].
    pub bytes: [u64; 2],
}

impl Entry {
    /// Count of [`words`](Self::words).
    pub const WORDS: usize = 3;
    /// Bit of [`state`](Self::state): the record neither expires nor gives way to others.
    pub const KEPT: u32 = 1 << 31;
    /// Bit of [`state`](Self::state): the record does not give way to others when the table is full.
    pub const ASSURED: u32 = 1 << 30;

    /// Returns an entry without state, words or counts.
    pub const fn new(original: Tuple, reply: Tuple, expires: Timestamp) -> Self {
        Self {
            original,
            reply,
            label: 0,
            state: 0,
            expires,
            words: [0; Self::WORDS],
            packets: [0; 2],
            bytes: [0; 2],
        }
    }

    /// Returns the key of a direction.
    pub const fn tuple(&self, direction: Direction) -> Tuple {
        match direction {
            Direction::Original => self.original,
            Direction::Reply => self.reply,
        }
    }
}

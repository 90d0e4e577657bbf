//! The word that says what a slot holds.

use tapweave_net::PortNo;

use super::entry::FdbOrigin;

/// State, origin and target of a slot, and how often its key has changed.
///
/// ```text
///  63            40 39        32 31                             0
/// +----------------+------------+--------------------------------+
/// |    version     | flags      |  target (PortNo)               |
/// +----------------+------------+--------------------------------+
/// ```
///
/// The version is what a reader compares to know that the key it saw belongs to the target it saw. It
/// wraps after 2^24 key changes of one slot; to be fooled, a reader would have to sleep between two
/// loads while exactly that many stations come and go in one slot, over ten seconds of a million
/// new stations a second, all in the same bucket of a seeded hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta(u64);

const STATE: u64 = 0b11 << 32;
/// Zero, so that a zeroed slot is empty.
const EMPTY: u64 = 0b00 << 32;
const BUSY: u64 = 0b01 << 32;
const LIVE: u64 = 0b10 << 32;
/// Set for entries of the control plane.
const STATIC: u64 = 1 << 34;
/// Set for entries of sticky ports. The flag bits above it are free for kinds of targets.
const STICKY: u64 = 1 << 35;
const TARGET: u64 = u32::MAX as u64;
const VERSION_SHIFT: u32 = 40;
const VERSION: u64 = u64::MAX << VERSION_SHIFT;

impl Meta {
    pub(super) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(super) const fn word(self) -> u64 {
        self.0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 & STATE == EMPTY
    }

    pub(super) const fn is_live(self) -> bool {
        self.0 & STATE == LIVE
    }

    /// Tells whether the slot has held the same key from `self` to `later`, both live.
    pub(super) const fn same_key_as(self, later: Self) -> bool {
        (self.0 ^ later.0) & (VERSION | STATE) == 0
    }

    pub(super) const fn origin(self) -> FdbOrigin {
        match self.0 & (STATIC | STICKY) {
            0 => FdbOrigin::Learned,
            STICKY => FdbOrigin::Sticky,
            _ => FdbOrigin::Static,
        }
    }

    pub(super) const fn port(self) -> PortNo {
        PortNo::from_u32((self.0 & TARGET) as u32)
    }

    /// Returns the next version, without a readable key.
    pub(super) const fn busy(self) -> Self {
        Self((self.0 & VERSION).wrapping_add(1 << VERSION_SHIFT) | BUSY)
    }

    /// Returns the same version without a key.
    pub(super) const fn empty(self) -> Self {
        Self(self.0 & VERSION | EMPTY)
    }

    /// Returns the same version with a key, whose station is on `port`.
    pub(super) const fn live(self, origin: FdbOrigin, port: PortNo) -> Self {
        let origin = match origin {
            FdbOrigin::Learned => 0,
            FdbOrigin::Sticky => STICKY,
            FdbOrigin::Static => STATIC,
        };
        Self(self.0 & VERSION | LIVE | origin | port.to_u32() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_wraps_without_touching_the_rest() {
        let port = PortNo::from_u32(u32::MAX);
        let last = Meta::from_word(VERSION).live(FdbOrigin::Static, port);
        let next = last.busy().live(FdbOrigin::Learned, port);
        assert!(next.is_live() && !last.same_key_as(next));
        assert_eq!((next.port(), next.origin()), (port, FdbOrigin::Learned));
        assert_eq!((last.port(), last.origin()), (port, FdbOrigin::Static));
        assert_eq!(last.busy().empty().word(), 0);
        let sticky = next.live(FdbOrigin::Sticky, port);
        assert_eq!((sticky.port(), sticky.origin()), (port, FdbOrigin::Sticky));
    }
}

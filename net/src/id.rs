//! Numbers by which the switch, the devices and the control plane name the same thing.

use core::fmt;

/// Names a port of the switch for as long as it exists, and never another one soon after.
///
/// The low [`PortNo::INDEX_BITS`] bits are an index into dense tables; the rest is a generation that
/// changes when the index is used again, so that a stale number found in a table is recognised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortNo(u32);

impl PortNo {
    /// Bits of the index: about a million ports at a time.
    pub const INDEX_BITS: u32 = 20;
    /// Largest index.
    pub const MAX_INDEX: u32 = (1 << Self::INDEX_BITS) - 1;
    /// Generations before a number comes back.
    pub const GENERATIONS: u32 = 1 << (u32::BITS - Self::INDEX_BITS);

    /// Returns the number with `index` (its low 20 bits count) and `generation` (its low 12).
    pub const fn new(index: u32, generation: u32) -> Self {
        Self((index & Self::MAX_INDEX) | (generation << Self::INDEX_BITS))
    }

    /// Returns the place of the port in dense tables.
    pub const fn index(self) -> usize {
        (self.0 & Self::MAX_INDEX) as usize
    }

    /// Returns which use of the index this is.
    pub const fn generation(self) -> u32 {
        self.0 >> Self::INDEX_BITS
    }

    /// Returns the number as one word, for storage in an atomic.
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// Returns the number that [`PortNo::to_u32`] gave.
    pub const fn from_u32(word: u32) -> Self {
        Self(word)
    }
}

impl fmt::Display for PortNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}

impl fmt::Debug for PortNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {self}")
    }
}

/// Names a network (bridge domain) of one switch. Not used again while the switch lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkNo(pub u32);

impl fmt::Debug for NetworkNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_generation_come_back_and_stay_apart() {
        let port = PortNo::new(PortNo::MAX_INDEX, PortNo::GENERATIONS - 1);
        assert_eq!(port.index(), PortNo::MAX_INDEX as usize);
        assert_eq!(port.generation(), PortNo::GENERATIONS - 1);
        assert_eq!(PortNo::from_u32(port.to_u32()), port);
        assert_ne!(PortNo::new(5, 0), PortNo::new(5, 1));
        assert_eq!(PortNo::new(5, PortNo::GENERATIONS), PortNo::new(5, 0));
    }
}

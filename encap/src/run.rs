//! Which datagrams go into one message (`UDP_SEGMENT`, man 7 udp).
//!
//! The kernel cuts one message into datagrams of equal length, of which only the last may be
//! shorter. All go to one peer, from one source port, with one traffic class and hop limit; whoever
//! fills a run starts a new one when these change. The segments of a super-frame make a run, and so
//! do small frames of equal length that follow each other: that doubles their rate.

/// A run of datagrams that fit one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DatagramRun {
    segment_len: usize,
    count: usize,
    byte_count: usize,
    is_closed: bool,
}

impl DatagramRun {
    /// Most datagrams in a message: `UDP_MAX_SEGMENTS` of Linux before 6.9, and no more is asked of
    /// newer ones.
    pub const MAX_COUNT: usize = 64;
    /// Most bytes in a message: the payload of the longest UDP datagram over IPv4.
    pub const MAX_BYTE_COUNT: usize = 65_507;

    /// Adds a datagram of `len` bytes and returns true, or returns false when it needs a run of its
    /// own. An empty run takes every datagram that fits a message.
    #[inline]
    #[must_use]
    pub const fn push(&mut self, len: usize) -> bool {
        let byte_count = self.byte_count.saturating_add(len);
        let fits = match self.count {
            0 => true,
            Self::MAX_COUNT.. => false,
            // An empty datagram would be lost between two cuts.
            _ => !self.is_closed && 0 < len && len <= self.segment_len,
        };
        if !fits || byte_count > Self::MAX_BYTE_COUNT {
            return false;
        }
        if self.count == 0 {
            self.segment_len = len;
        }
        self.is_closed = len < self.segment_len || len == 0;
        self.count += 1;
        self.byte_count = byte_count;
        true
    }

    /// Returns how many datagrams are in the run.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Returns the bytes of all of them.
    pub const fn byte_count(&self) -> usize {
        self.byte_count
    }

    /// Returns what `UDP_SEGMENT` is to be told, `None` when there is only one datagram and nothing
    /// to cut.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a datagram of a run is at most MAX_BYTE_COUNT long"
    )]
    pub const fn gso_size(&self) -> Option<u16> {
        if self.count > 1 {
            Some(self.segment_len as u16)
        } else {
            None
        }
    }

    /// Returns how many datagrams of `len` bytes fit one message.
    pub const fn max_count(len: usize) -> usize {
        match Self::MAX_BYTE_COUNT.checked_div(len) {
            Some(count) if count < Self::MAX_COUNT => count,
            Some(_) => Self::MAX_COUNT,
            None => 1,
        }
    }
}

const _: () = assert!(DatagramRun::MAX_BYTE_COUNT == u16::MAX as usize - 20 - 8);
// At MTU 1500 a message carries a super-frame of 64 KiB almost whole.
const _: () = assert!(DatagramRun::max_count(1472) == 44);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(lens: &[usize]) -> (DatagramRun, usize) {
        let mut run = DatagramRun::default();
        let taken = lens.iter().take_while(|len| run.push(**len)).count();
        (run, taken)
    }

    #[test]
    fn a_shorter_datagram_ends_a_run_and_a_longer_one_starts_the_next() {
        let (run, taken) = filled(&[100, 100, 60, 60]);
        assert_eq!(
            (taken, run.gso_size(), run.byte_count()),
            (3, Some(100), 260)
        );
        let (run, taken) = filled(&[100, 101]);
        assert_eq!((taken, run.gso_size()), (1, None));
    }

    #[test]
    fn a_run_ends_at_64_datagrams_and_at_65507_bytes() {
        assert_eq!(filled(&[100; 70]).1, 64);
        assert_eq!(filled(&[1472; 70]).1, 44);
        assert_eq!(filled(&[65_507, 1]).1, 1);
        assert_eq!(filled(&[65_508]).1, 0);
        assert_eq!(filled(&[usize::MAX]).1, 0);
        let counts = [100, 1472, 65_507, 65_508, 0].map(DatagramRun::max_count);
        assert_eq!(counts, [64, 44, 1, 0, 1]);
    }

    #[test]
    fn an_empty_datagram_travels_alone() {
        assert_eq!(filled(&[0, 0]).1, 1);
        assert_eq!(filled(&[10, 0]).1, 1);
    }

    proptest! {
        /// What the kernel makes of a run is what was put into it.
        #[test]
        fn the_kernel_cuts_a_run_into_what_was_put_in(
            lens in prop::collection::vec(prop_oneof![Just(1450_usize), 1..1600_usize], 1..100),
        ) {
            let (run, taken) = filled(&lens);
            let size = run.gso_size().map_or_else(|| run.byte_count(), usize::from);
            let mut left = run.byte_count();
            let mut cut = Vec::new();
            while left > 0 {
                cut.push(left.min(size));
                left -= left.min(size);
            }
            prop_assert_eq!(&cut[..], &lens[..taken]);
            prop_assert!(run.count() <= 64 && run.byte_count() <= 65_507);
        }
    }
}

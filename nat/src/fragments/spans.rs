//! Which bytes of a packet have been seen.

/// Islands of bytes that are kept at most. Parts in order make one, parts in reverse order too; eight
/// are as many parts as may be missing at a time.
pub(super) const MAX_SPANS: usize = 8;

/// Ranges of bytes that do not touch each other, in order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spans {
    bytes: [(u32, u32); MAX_SPANS],
    count: usize,
    /// The end of the packet, once its last part has been seen.
    total: Option<u32>,
}

/// What a part is to those that were seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// New bytes.
    New,
    /// Bytes that were all seen.
    Duplicate,
    /// Bytes of which some were seen, or an end that contradicts another.
    Overlap,
    /// New bytes, but one island too many.
    Scattered,
}

impl Spans {
    /// Adds the bytes from `start` to `end`, of which the latter is the end of the packet if `is_last`.
    /// Nothing changes unless they are [new](Fit::New).
    pub(super) fn add(&mut self, start: u32, end: u32, is_last: bool) -> Fit {
        let reach = self.islands().last().map_or(0, |&(_, reach)| reach);
        let is_over = match self.total {
            Some(total) if is_last => end != total,
            Some(total) => end > total,
            None => is_last && reach > end,
        };
        if is_over {
            return Fit::Overlap;
        }
        let islands = self.islands();
        if islands.iter().any(|&(from, to)| from <= start && end <= to) {
            return Fit::Duplicate;
        }
        if islands.iter().any(|&(from, to)| start < to && from < end) {
            return Fit::Overlap;
        }
        let at = islands.partition_point(|&(from, _)| from < start);
        let touches_left = at > 0 && islands.get(at - 1).is_some_and(|&(_, to)| to == start);
        let touches_right = islands.get(at).is_some_and(|&(from, _)| from == end);
        match (touches_left, touches_right) {
            (true, true) => {
                self.bytes[at - 1].1 = self.bytes[at].1;
                self.bytes.copy_within(at + 1..self.count, at);
                self.count -= 1;
            }
            (true, false) => self.bytes[at - 1].1 = end,
            (false, true) => self.bytes[at].0 = start,
            (false, false) if self.count == MAX_SPANS => return Fit::Scattered,
            (false, false) => {
                self.bytes.copy_within(at..self.count, at + 1);
                self.bytes[at] = (start, end);
                self.count += 1;
            }
        }
        if is_last {
            self.total = Some(end);
        }
        Fit::New
    }

    /// Tells whether every byte of the packet has been seen.
    pub(super) fn is_complete(&self) -> bool {
        match (self.islands(), self.total) {
            (&[(0, end)], Some(total)) => end == total,
            _ => false,
        }
    }

    fn islands(&self) -> &[(u32, u32)] {
        self.bytes.get(..self.count).unwrap_or_default()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_in_any_order_add_up() {
        let parts = [
            (0, 8, false),
            (8, 24, false),
            (24, 32, false),
            (32, 33, true),
        ];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            let mut spans = Spans::default();
            for (index, part) in order.into_iter().enumerate() {
                assert!(!spans.is_complete());
                let (start, end, is_last) = parts[part];
                assert_eq!(spans.add(start, end, is_last), Fit::New, "{index}");
            }
            assert!(spans.is_complete());
        }
    }

    #[test]
    fn an_end_that_contradicts_another_is_an_overlap() {
        let mut spans = Spans::default();
        assert_eq!(spans.add(16, 24, false), Fit::New);
        assert_eq!(spans.add(0, 8, true), Fit::Overlap);
        assert_eq!(spans.add(24, 32, true), Fit::New);
        assert_eq!(spans.add(32, 40, false), Fit::Overlap);
        assert_eq!(spans.add(8, 16, true), Fit::Overlap);
        assert_eq!(spans.add(24, 32, true), Fit::Duplicate);
        assert_eq!(spans.add(0, 16, false), Fit::New);
        assert!(spans.is_complete());
    }

    #[test]
    fn as_many_islands_as_there_is_room_for_are_kept() {
        let mut spans = Spans::default();
        for island in 0..8 {
            assert_eq!(spans.add(island * 16, island * 16 + 8, false), Fit::New);
        }
        assert_eq!(spans.add(128, 136, false), Fit::Scattered);
        assert_eq!(spans.add(8, 16, false), Fit::New);
        assert_eq!(spans.add(128, 136, false), Fit::New);
    }

    proptest! {
        #[test]
        fn islands_say_what_a_set_of_bytes_says(
            parts in prop::collection::vec((0_u32..40, 1_u32..12), 1..20),
        ) {
            let mut spans = Spans::default();
            let mut seen = [false; 64];
            for (start, len) in parts {
                let end = start + len;
                let bytes = &mut seen[start as usize..end as usize];
                let count = bytes.iter().filter(|byte| **byte).count();
                match spans.add(start, end, false) {
                    Fit::New => {
                        prop_assert_eq!(count, 0);
                        bytes.fill(true);
                    }
                    Fit::Duplicate => prop_assert_eq!(count, bytes.len()),
                    Fit::Overlap => prop_assert!(count > 0 && count < bytes.len()),
                    Fit::Scattered => prop_assert_eq!((count, spans.count), (0, MAX_SPANS)),
                }
                prop_assert!(spans.islands().is_sorted());
                prop_assert!(spans.islands().windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
        }
    }
}

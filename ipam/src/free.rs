//! A set of numbers kept as intervals: small when almost everything, or almost nothing, is in it.
//!
//! Every operation is logarithmic in the number of intervals, which is at most one more than the
//! number of holes that were made.

use std::collections::BTreeMap;

/// What the set is of: the numbers of addresses, and in tests such that count how often they are compared.
pub(crate) trait Number: Copy + Ord {
    /// Returns the number before, if there is one.
    fn previous(self) -> Option<Self>;

    /// Returns the number after, if there is one.
    fn next(self) -> Option<Self>;
}

impl Number for u128 {
    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// Numbers that are free. The key is the first and the value the last of an interval; intervals are
/// disjoint and never touch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FreeSet<N = u128> {
    intervals: BTreeMap<N, N>,
}

impl<N: Number> FreeSet<N> {
    /// Returns the set of all numbers from `first` to `last`, both included; empty when `last` is
    /// less.
    pub(crate) fn range(first: N, last: N) -> Self {
        let mut intervals = BTreeMap::new();
        if first <= last {
            intervals.insert(first, last);
        }
        Self { intervals }
    }

    /// Takes `number` out and tells whether it was in.
    pub(crate) fn remove(&mut self, number: N) -> bool {
        let Some((&first, &last)) = self.intervals.range(..=number).next_back() else {
            return false;
        };
        if last < number {
            return false;
        }
        self.intervals.remove(&first);
        if let Some(previous) = number.previous()
            && first <= previous
        {
            self.intervals.insert(first, previous);
        }
        if let Some(next) = number.next()
            && next <= last
        {
            self.intervals.insert(next, last);
        }
        true
    }

    /// Puts `number` in and tells whether it was not in before.
    pub(crate) fn insert(&mut self, number: N) -> bool {
        let before = self.intervals.range(..=number).next_back();
        let mut first = number;
        if let Some((&start, &end)) = before {
            if end >= number {
                return false;
            }
            if end.next() == Some(number) {
                first = start;
            }
        }
        let after = number.next();
        let last = after
            .and_then(|after| self.intervals.remove(&after))
            .unwrap_or(number);
        self.intervals.insert(first, last);
        true
    }

    /// Returns the smallest member that is at least `from`, else the smallest of all; `None` when the
    /// set is empty.
    pub(crate) fn next_from(&self, from: N) -> Option<N> {
        if let Some((_, &last)) = self.intervals.range(..=from).next_back()
            && last >= from
        {
            return Some(from);
        }
        let after = self.intervals.range(from..).next();
        let (&first, _) = after.or_else(|| self.intervals.first_key_value())?;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cmp::Ordering;
    use std::collections::BTreeSet;

    use proptest::prelude::{Strategy, any, prop};
    use proptest::{prop_assert_eq, prop_oneof, proptest};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u128),
        Remove(u128),
        Next(u128),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Both ends of the number space, where arithmetic could overflow.
        let number = || {
            (0..24_u128, any::<bool>()).prop_map(
                |(low, high)| {
                    if high { u128::MAX - low } else { low }
                },
            )
        };
        prop_oneof![
            number().prop_map(Step::Insert),
            number().prop_map(Step::Remove),
            number().prop_map(Step::Next),
        ]
    }

    proptest! {
        #[test]
        fn the_set_behaves_like_an_ordered_set(steps in prop::collection::vec(step(), 0..200)) {
            let mut set = FreeSet::range(4, 12);
            let mut model: BTreeSet<u128> = (4..=12).collect();
            for step in steps {
                match step {
                    Step::Insert(n) => prop_assert_eq!(set.insert(n), model.insert(n)),
                    Step::Remove(n) => prop_assert_eq!(set.remove(n), model.remove(&n)),
                    Step::Next(n) => prop_assert_eq!(
                        set.next_from(n),
                        model.range(n..).next().or_else(|| model.first()).copied()
                    ),
                }
                let members: BTreeSet<u128> =
                    set.intervals.iter().flat_map(|(&a, &b)| a..=b).collect();
                prop_assert_eq!(&members, &model);
                let mut previous_end = None;
                for (&first, &last) in &set.intervals {
                    // Touching intervals would have to be one.
                    prop_assert_eq!(previous_end.is_some_and(|end: u128| end + 1 >= first), false);
                    previous_end = Some(last);
                }
            }
        }
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_empty() {
        assert_eq!(FreeSet::<u128>::range(5, 4).next_from(0), None);
    }

    thread_local! {
        static COMPARISONS: Cell<u32> = const { Cell::new(0) };
    }

    /// A number that counts how often one is compared.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Counted(u128);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Number for Counted {
        fn previous(self) -> Option<Self> {
            self.0.previous().map(Self)
        }

        fn next(self) -> Option<Self> {
            self.0.next().map(Self)
        }
    }

    /// Returns the most comparisons that it takes to find, take out and put back a number, of a prefix in which
    /// `holes` numbers that do not touch are taken, from different places on.
    fn most_comparisons(first: u128, host_bits: u32, holes: u32) -> u32 {
        let last = first + (1 << host_bits) - 1;
        let mut set = FreeSet::range(Counted(first), Counted(last));
        let distance = (1 << host_bits) / (u128::from(holes) + 1);
        let hole = |place: u32| Counted(first + u128::from(place + 1) * distance);
        for place in 0..holes {
            assert!(set.remove(hole(place)));
        }
        let places = [0, holes / 3, holes / 2, holes.saturating_sub(1)];
        let counts = places.map(|place| {
            COMPARISONS.set(0);
            let found = set.next_from(hole(place)).unwrap();
            assert!(set.remove(found) && set.insert(found));
            COMPARISONS.get()
        });
        counts.into_iter().max().unwrap()
    }

    #[test]
    fn what_an_address_costs_does_not_grow_with_the_prefix_and_hardly_with_its_holes() {
        for holes in [0, 10, 1_000, 100_000] {
            let v4 = most_comparisons(0x0a00_0000, 24, holes);
            let v6 = most_comparisons(0xfd00 << 112, 64, holes);
            assert_eq!(v4, v6, "a /8 and a /64 with {holes} holes");
            // A path through the tree of intervals compares with at most 11 keys a node, and there are seven paths.
            let levels = (holes + 1).ilog(6) + 1;
            assert!(v4 <= 7 * 11 * levels + 11, "{v4} with {holes} holes");
        }
    }
}

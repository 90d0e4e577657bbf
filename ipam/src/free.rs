//! A set of numbers kept as intervals: small when almost everything, or almost nothing, is in it.
//!
//! Every operation is logarithmic in the number of intervals, which is at most one more than the
//! number of holes that were made.

use std::collections::BTreeMap;

/// Numbers that are free. The key is the first and the value the last of an interval; intervals are
/// disjoint and never touch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct FreeSet {
    intervals: BTreeMap<u128, u128>,
}

impl FreeSet {
    /// Returns the set of all numbers from `first` to `last`, both included; empty when `last` is
    /// less.
    pub(crate) fn range(first: u128, last: u128) -> Self {
        let mut intervals = BTreeMap::new();
        if first <= last {
            intervals.insert(first, last);
        }
        Self { intervals }
    }

    /// Takes `number` out and tells whether it was in.
    pub(crate) fn remove(&mut self, number: u128) -> bool {
        let Some((&first, &last)) = self.intervals.range(..=number).next_back() else {
            return false;
        };
        if last < number {
            return false;
        }
        self.intervals.remove(&first);
        // Neither bound can overflow: there is a smaller, or a larger, number in the interval.
        if first < number {
            self.intervals.insert(first, number - 1);
        }
        if number < last {
            self.intervals.insert(number + 1, last);
        }
        true
    }

    /// Puts `number` in and tells whether it was not in before.
    pub(crate) fn insert(&mut self, number: u128) -> bool {
        let before = self.intervals.range(..=number).next_back();
        let mut first = number;
        if let Some((&start, &end)) = before {
            if end >= number {
                return false;
            }
            if end + 1 == number {
                first = start;
            }
        }
        let last = number
            .checked_add(1)
            .and_then(|after| self.intervals.remove(&after))
            .unwrap_or(number);
        self.intervals.insert(first, last);
        true
    }

    /// Returns the smallest member that is at least `from`, else the smallest of all; `None` when the
    /// set is empty.
    pub(crate) fn next_from(&self, from: u128) -> Option<u128> {
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
        assert_eq!(FreeSet::range(5, 4).next_from(0), None);
    }
}

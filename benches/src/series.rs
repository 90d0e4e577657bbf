//! What is left of several measurements of one thing: the median and the spread.

use serde::Serialize;

/// The median and the spread of a series.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Summary {
    /// The value in the middle; the mean of the two of an even number of values.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Summary {
    /// Sums up `values`; nothing for none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_not_the_mean() {
        let odd = Summary::of([9.0, 1.0, 2.0]);
        let expected = Summary {
            median: 2.0,
            min: 1.0,
            max: 9.0,
        };
        assert_eq!(odd, Some(expected));
        let even = Summary::of([4.0, 1.0, 2.0, 9.0]);
        assert_eq!(even.map(|summary| summary.median), Some(3.0));
        assert_eq!(Summary::of([]), None);
    }
}

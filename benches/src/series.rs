//! Several measurements of one thing, and what is left of them: the median and the spread.

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

/// What the runs of some rounds gave: in each round one run of each datapath, in their order.
#[derive(Clone, Debug)]
pub struct Series<T>(Vec<Vec<T>>);

impl<T> Series<T> {
    /// Takes the runs of all rounds.
    pub const fn new(rounds: Vec<Vec<T>>) -> Self {
        Self(rounds)
    }

    /// Sums up a figure of the datapath in one place; nothing if there was no round.
    pub fn summary(&self, place: usize, figure: impl Fn(&T) -> f64) -> Option<Summary> {
        self.summary_of(place, |run| Some(figure(run)))
    }

    /// Sums up a figure that not every run has; nothing if none has it.
    pub fn summary_of(&self, place: usize, figure: impl Fn(&T) -> Option<f64>) -> Option<Summary> {
        let runs = self.0.iter().filter_map(|round| round.get(place));
        Summary::of(runs.filter_map(figure))
    }

    /// Sums up the ratios of a figure to that of the first datapath in the same round.
    pub fn ratio(&self, place: usize, figure: impl Fn(&T) -> f64) -> Option<Summary> {
        let ratio = |round: &Vec<T>| Some(figure(round.get(place)?) / figure(round.first()?));
        Summary::of(self.0.iter().filter_map(ratio))
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

    #[test]
    fn ratios_are_taken_within_a_round() {
        let series = Series::new(vec![vec![1.0, 2.0], vec![10.0, 5.0], vec![4.0, 4.0]]);
        let ratio = series.ratio(1, |run| *run);
        let expected = Summary {
            median: 1.0,
            min: 0.5,
            max: 2.0,
        };
        assert_eq!(ratio, Some(expected));
        assert_eq!(series.summary(1, |run| *run).map(|it| it.median), Some(4.0));
        assert_eq!(series.summary_of(1, |_| None), None);
        assert_eq!(series.summary(2, |run| *run), None);
    }
}

//! Which network of a sandbox gives it its default routes.
//!
//! A sandbox has the default routes of all of its networks that lead out, with different metrics, and its kernel uses
//! those with the lowest. So nothing has to be done in the sandbox when a network goes: its routes go with
//! its interface, and the next ones count.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Metrics of one priority.
const METRICS: u32 = 16;
/// The first metric of priority 0.
const MIDDLE: i16 = 512;

/// Which of a sandbox's networks gives the default routes: that with the highest priority, of several the one that
/// was connected first. 0 if nothing is said.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct GatewayPriority(i16);

/// A number that is no priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a gateway priority is a number from -31 to 31")]
pub struct GatewayPriorityError;

impl GatewayPriority {
    /// The priorities that there are: metrics end before those of routes that routers advertise.
    const RANGE: RangeInclusive<i16> = -31..=31;

    /// Returns the metric of the only network of this priority.
    pub(crate) fn first_metric(self) -> u32 {
        let steps = METRICS.cast_signed() * i32::from(self.0);
        (i32::from(MIDDLE) - steps).unsigned_abs()
    }

    /// Returns the metric of a network that a sandbox is connected to after others, whose metrics are `taken`.
    ///
    /// Networks that come and go while others of their priority stay use metrics up. When there is none
    /// left behind the others', the last free one is taken: the order is no longer that of connecting then.
    /// Of more networks than there are metrics, the last ones have that of another.
    pub(crate) fn metric(self, taken: &[u32]) -> u32 {
        let first = self.first_metric();
        let all = first..first + METRICS;
        let last_taken = taken.iter().filter(|metric| all.contains(metric)).max();
        let next = last_taken.map_or(first, |last| last + 1);
        let is_free = |metric: &u32| !taken.contains(metric);
        if all.contains(&next) {
            return next;
        }
        all.clone().rfind(is_free).unwrap_or(all.end - 1)
    }
}

impl TryFrom<i64> for GatewayPriority {
    type Error = GatewayPriorityError;

    fn try_from(number: i64) -> Result<Self, GatewayPriorityError> {
        let number = i16::try_from(number).map_err(|_outside| GatewayPriorityError)?;
        if Self::RANGE.contains(&number) {
            Ok(Self(number))
        } else {
            Err(GatewayPriorityError)
        }
    }
}

impl From<GatewayPriority> for i64 {
    fn from(priority: GatewayPriority) -> Self {
        priority.0.into()
    }
}

impl FromStr for GatewayPriority {
    type Err = GatewayPriorityError;

    fn from_str(text: &str) -> Result<Self, GatewayPriorityError> {
        let number: i64 = text.parse().map_err(|_not_a_number| GatewayPriorityError)?;
        number.try_into()
    }
}

impl fmt::Display for GatewayPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(number: i64) -> GatewayPriority {
        number.try_into().unwrap()
    }

    #[test]
    fn a_higher_priority_has_lower_metrics_and_none_is_that_of_an_advertised_route() {
        let metrics = (-31..=31).rev().map(|number| priority(number).metric(&[]));
        let metrics: Vec<u32> = metrics.collect();
        assert!(metrics.is_sorted());
        assert_eq!((metrics[0], metrics[62]), (16, 1008));
        assert_eq!(priority(-31).metric(&[1022]), 1023);
        assert_eq!("7".parse(), Ok(priority(7)));
        assert_eq!("32".parse::<GatewayPriority>(), Err(GatewayPriorityError));
        assert_eq!("x".parse::<GatewayPriority>(), Err(GatewayPriorityError));
    }

    #[test]
    fn of_one_priority_those_that_come_later_come_after() {
        let mut taken = vec![priority(1).metric(&[]), priority(-1).metric(&[])];
        for count in 0..16 {
            let metric = priority(0).metric(&taken);
            assert_eq!(metric, 512 + count);
            taken.push(metric);
        }
        assert_eq!(priority(0).metric(&taken), 527);
        taken.retain(|metric| *metric != 514);
        assert_eq!(priority(0).metric(&taken), 514);
    }
}

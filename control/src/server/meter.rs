//! How many requests there were, how they ended, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::metrics::{Kind, Text};

/// Upper bounds of the classes of durations, in seconds. Most requests take less than a millisecond; one that
/// enters a namespace takes a few.
pub(super) const BOUNDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

/// Counts requests.
#[derive(Debug, Default)]
pub(super) struct Meter {
    operations: Mutex<BTreeMap<&'static str, Requests>>,
}

/// The requests of one operation.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Requests {
    /// How many ended with which status.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// How many took at most as long as each of [`BOUNDS`], and longer than the one before.
    pub(super) classes: [u64; BOUNDS.len()],
    /// How long all of them took.
    pub(super) total: Duration,
}

impl Requests {
    /// Returns how many there were.
    pub(super) fn count(&self) -> u64 {
        self.statuses.values().sum()
    }
}

impl Meter {
    /// Counts a request of the operation `id`.
    pub(super) fn note(&self, id: &'static str, status: u16, duration: Duration) {
        let operations = self.operations.lock();
        let mut operations = operations.unwrap_or_else(PoisonError::into_inner);
        let requests = operations.entry(id).or_default();
        *requests.statuses.entry(status).or_default() += 1;
        requests.total += duration;
        let seconds = duration.as_secs_f64();
        let class = BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(class) = class.and_then(|class| requests.classes.get_mut(class)) {
            *class += 1;
        }
    }

    /// Writes what was counted.
    pub(super) fn write_metrics(&self, text: &mut Text) {
        let requests = self.requests();
        let help = "Requests to the control socket, by operation and status";
        text.family("tapweave_control_requests_total", Kind::Counter, help);
        for (operation, requests) in &requests {
            for (status, count) in &requests.statuses {
                let labels = [("operation", *operation), ("code", &status.to_string())];
                text.sample(&labels, *count);
            }
        }
        let help = "How long requests took until their answers began, by operation";
        text.family(
            "tapweave_control_request_duration_seconds",
            Kind::Histogram,
            help,
        );
        for (operation, requests) in &requests {
            let mut count = 0;
            for (bound, class) in BOUNDS.iter().zip(requests.classes) {
                count += class;
                let labels = [("operation", *operation), ("le", &bound.to_string())];
                text.sample_of("_bucket", &labels, count);
            }
            let all = requests.count();
            let labels = [("operation", *operation), ("le", "+Inf")];
            text.sample_of("_bucket", &labels, all);
            let labels = [("operation", *operation)];
            text.sample_of("_sum", &labels, requests.total.as_secs_f64());
            text.sample_of("_count", &labels, all);
        }
    }

    /// Returns what was counted, by operation.
    fn requests(&self) -> BTreeMap<&'static str, Requests> {
        let operations = self.operations.lock();
        operations.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_the_class_of_the_next_bound() {
        let meter = Meter::default();
        for millis in [0, 1, 2, 60_000] {
            meter.note("op", 200, Duration::from_millis(millis));
        }
        meter.note("op", 404, Duration::ZERO);
        let requests = &meter.requests()["op"];
        assert_eq!(requests.classes, [2, 1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(requests.statuses, BTreeMap::from([(200, 4), (404, 1)]));
        assert_eq!(
            (requests.count(), requests.total),
            (5, Duration::from_millis(60_003))
        );
    }
}

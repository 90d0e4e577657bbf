//! A limit on how often something happens.
//!
//! A meter is a generic cell rate algorithm (ITU-T I.371 annex A) in one atomic word: the time at which
//! all that was admitted would have been sent at the rate of the limit. A frame is admitted if it
//! would not push that time more than a second beyond now. There is nothing to refill, so nothing has
//! to be called now and then, and workers share a meter without a lock.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU64, Ordering};

use tapweave_net::Timestamp;

const SECOND_NS: u64 = 1_000_000_000;

/// Counts frames against a limit.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Time that one frame takes at the rate of the limit, in nanoseconds.
    interval_ns: u64,
    /// Time that the frames of a full burst take.
    burst_ns: u64,
    /// When all that was admitted would have been sent at that rate, in nanoseconds since the origin.
    sent_at: AtomicU64,
}

impl Meter {
    /// Returns a meter for so many a second, and for as many at once after a quiet second.
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let per_second = u64::from(per_second.get());
        let interval_ns = SECOND_NS / per_second;
        Self {
            interval_ns,
            burst_ns: interval_ns * per_second,
            sent_at: AtomicU64::new(0),
        }
    }

    /// Counts `frame_count` frames, all of them or, if they are above the limit, none; tells whether
    /// they were counted.
    pub(crate) fn take(&self, frame_count: u64, now: Timestamp) -> bool {
        let mut before = self.sent_at.load(Ordering::Relaxed);
        while let Some(after) = self.after(before, frame_count, now) {
            let stored = self.sent_at.compare_exchange_weak(
                before,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match stored {
                Ok(_) => return true,
                Err(newer) => before = newer,
            }
        }
        false
    }

    /// Tells whether [`Meter::take`] would count.
    pub(crate) fn would_take(&self, frame_count: u64, now: Timestamp) -> bool {
        let before = self.sent_at.load(Ordering::Relaxed);
        self.after(before, frame_count, now).is_some()
    }

    /// Returns what `sent_at` becomes, `None` when the frames are too many.
    fn after(&self, sent_at: u64, frame_count: u64, now: Timestamp) -> Option<u64> {
        let now = now.as_nanos();
        let takes = self.interval_ns.saturating_mul(frame_count);
        let after = sent_at.max(now).saturating_add(takes);
        (after - now <= self.burst_ns).then_some(after)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1000);

    fn meter(per_second: u32) -> Meter {
        Meter::new(NonZeroU32::new(per_second).unwrap())
    }

    /// Sends frames one by one at `now` until one is refused; returns how many passed.
    fn drain(meter: &Meter, now: Timestamp) -> u64 {
        let more_than_any = 2 * 10_000_000;
        (0..more_than_any)
            .take_while(|_| meter.take(1, now))
            .count() as u64
    }

    #[test]
    fn a_second_of_frames_passes_at_once_and_not_one_more() {
        for rate in [1, 3, 7, 1000, 999_999] {
            let meter = meter(rate);
            assert_eq!(drain(&meter, START), u64::from(rate), "{rate}");
            assert!(!meter.would_take(1, START));
        }
    }

    #[test]
    fn what_was_taken_comes_back_at_the_rate_of_the_limit() {
        let meter = meter(100);
        assert_eq!(drain(&meter, START), 100);
        let almost = START + Duration::from_nanos(9_999_999);
        assert!(!meter.would_take(1, almost));
        assert_eq!(drain(&meter, START + Duration::from_millis(10)), 1);
        assert_eq!(drain(&meter, START + Duration::from_millis(260)), 25);
        assert_eq!(drain(&meter, START + Duration::from_secs(100)), 100);
    }

    #[test]
    fn a_super_frame_counts_as_its_segments_or_not_at_all() {
        let meter = meter(10);
        assert!(meter.take(6, START));
        assert!(!meter.take(5, START));
        assert!(meter.take(4, START));
        assert!(!meter.take(u64::MAX, START));
    }

    #[test]
    fn a_refused_frame_and_a_question_cost_nothing() {
        let meter = meter(2);
        assert_eq!(drain(&meter, START), 2);
        for _ in 0..100 {
            assert!(!meter.take(1, START));
            assert!(!meter.would_take(1, START));
        }
        assert!(meter.take(1, START + Duration::from_millis(500)));
    }

    #[test]
    fn a_clock_that_is_behind_or_at_its_end_is_survived() {
        let meter = meter(2);
        assert_eq!(drain(&meter, START), 2);
        assert!(!meter.take(1, Timestamp::ZERO));
        assert!(meter.take(1, Timestamp::from_nanos(u64::MAX)));
    }

    #[test]
    fn workers_that_share_a_meter_do_not_admit_more_than_one_would() {
        let meter = meter(1000);
        let admitted: u64 = std::thread::scope(|scope| {
            let workers = [(); 4].map(|()| scope.spawn(|| drain(&meter, START)));
            workers.map(|worker| worker.join().unwrap()).iter().sum()
        });
        assert_eq!(admitted, 1000);
    }

    proptest! {
        /// In any stretch of time pass at most the burst and what the rate gives.
        #[test]
        fn no_more_passes_than_the_limit(
            rate in 1_u32..10_000,
            steps in prop::collection::vec((0_u64..300_000_000, 1_u64..50), 1..100),
        ) {
            let meter = meter(rate);
            let (mut elapsed, mut admitted) = (0, 0);
            for (step, count) in steps {
                elapsed += step;
                if meter.take(count, START + Duration::from_nanos(elapsed)) {
                    admitted += count;
                }
            }
            let interval = SECOND_NS / u64::from(rate);
            prop_assert!(admitted <= u64::from(rate) + elapsed / interval);
        }
    }
}

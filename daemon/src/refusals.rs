//! Tells the operator what guards and limits have refused.
//!
//! The packet path only counts. Once a second [`RefusalLog::observe`] compares the counters with what
//! was told before, and gives back what there is to tell: a port and a reason at most once a minute,
//! with the number of frames since it was told last. A sandbox that is refused a million frames a
//! second costs one line a minute for each reason, and no line is lost: what came in a silent minute
//! is in the number of the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tapweave_control::Controller;
use tapweave_net::{PortNo, Timestamp};
use tapweave_switch::{DropReason, PortStats, Switch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::clock::Clock;

/// How often the counters are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a port and a reason are silent once they were told.
const SILENCE: Duration = Duration::from_mins(1);

/// Logs what is refused, for ever.
pub(crate) async fn watch(switch: Arc<Switch>, controller: Arc<Controller>, clock: Clock) {
    let mut log = RefusalLog::default();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for refusal in log.observe(clock.now(), &switch.all_port_stats()) {
            // A port without a name is about to come or to go.
            if let Some(port) = controller.port_name(refusal.port) {
                let Refusal { reason, frames, .. } = refusal;
                warn!(%port, %reason, frames, "frames from a sandbox are refused");
            }
        }
    }
}

/// What was told about each port.
#[derive(Debug, Default)]
struct RefusalLog {
    ports: BTreeMap<PortNo, [Told; DropReason::COUNT]>,
}

/// What was told about a port and a reason.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// The counter at that time.
    count: u64,
    /// When that was, if ever.
    at: Option<Timestamp>,
}

impl Told {
    const NEVER: Self = Self { count: 0, at: None };
}

/// Something to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refusal {
    port: PortNo,
    reason: DropReason,
    /// Frames that were refused since it was told last.
    frames: u64,
}

impl RefusalLog {
    /// Returns what there is to tell now that the counters are `stats`, in order of port and reason.
    fn observe(&mut self, now: Timestamp, stats: &[(PortNo, PortStats)]) -> Vec<Refusal> {
        let mut known = core::mem::take(&mut self.ports);
        let mut refusals = Vec::new();
        for (port, stats) in stats {
            let mut told = known
                .remove(port)
                .unwrap_or([Told::NEVER; DropReason::COUNT]);
            for reason in DropReason::ALL
                .into_iter()
                .filter(|reason| reason.is_refusal())
            {
                let told = &mut told[reason.index()];
                let frames = stats.dropped(reason).saturating_sub(told.count);
                let is_silent = told.at.is_some_and(|at| now.since(at) < SILENCE);
                if frames > 0 && !is_silent {
                    *told = Told {
                        count: stats.dropped(reason),
                        at: Some(now),
                    };
                    refusals.push(Refusal {
                        port: *port,
                        reason,
                        frames,
                    });
                }
            }
            self.ports.insert(*port, told);
        }
        refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortNo = PortNo::new(7, 0);

    fn stats(drops: &[(DropReason, u64)]) -> Vec<(PortNo, PortStats)> {
        let mut stats = PortStats::default();
        for (reason, count) in drops {
            stats.drops[reason.index()] = *count;
        }
        vec![(PORT, stats)]
    }

    fn refusal(reason: DropReason, frames: u64) -> Refusal {
        Refusal {
            port: PORT,
            reason,
            frames,
        }
    }

    #[test]
    fn a_reason_is_told_at_once_and_then_once_a_minute_with_all_that_came_between() {
        let mut log = RefusalLog::default();
        let mac = |count| stats(&[(DropReason::GuardMac, count)]);
        let at = Timestamp::from_secs;
        let told = |frames| vec![refusal(DropReason::GuardMac, frames)];
        assert_eq!(log.observe(at(0), &mac(0)), []);
        assert_eq!(log.observe(at(1), &mac(3)), told(3));
        assert_eq!(log.observe(at(2), &mac(1000)), []);
        assert_eq!(log.observe(at(60), &mac(2000)), []);
        assert_eq!(log.observe(at(61), &mac(2000)), told(1997));
        assert_eq!(log.observe(at(500), &mac(2000)), []);
        assert_eq!(log.observe(at(501), &mac(2001)), told(1));
    }

    #[test]
    fn reasons_are_told_apart_and_other_drops_are_not_told() {
        let mut log = RefusalLog::default();
        let drops = stats(&[
            (DropReason::Runt, 5),
            (DropReason::QueueFull, 5),
            (DropReason::GuardDhcp, 1),
            (DropReason::StormUnknown, 2),
        ]);
        let told = log.observe(Timestamp::ZERO, &drops);
        let expected = [
            refusal(DropReason::GuardDhcp, 1),
            refusal(DropReason::StormUnknown, 2),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_port_that_has_gone_is_forgotten() {
        let mut log = RefusalLog::default();
        let drops = stats(&[(DropReason::Locked, 9)]);
        assert_eq!(log.observe(Timestamp::ZERO, &drops).len(), 1);
        assert_eq!(log.observe(Timestamp::ZERO, &[]), []);
        assert!(log.ports.is_empty());
    }
}

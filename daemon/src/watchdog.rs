//! Signs of life for a service manager: as long as the control thread runs and every worker answers.
//!
//! Each round asks every worker a question that it answers between two turns of its event loop, and
//! looks at the answers in the next round. A sign of life is sent only when all are there. So a worker
//! that hangs ends the signs after at most two rounds, and the manager ends the daemon.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use crate::manager::Manager;
use crate::worker::Pending;
use crate::workers::Workers;

/// The questions of one round.
#[derive(Debug, Default)]
struct Round {
    /// With the numbers of the workers.
    open: Vec<(usize, Pending<()>)>,
}

/// Sends `manager` signs of life as often as it wants; never returns. Ends at once when it wants none.
pub(crate) async fn watch(workers: Arc<Workers>, manager: Manager) {
    let Some(limit) = manager.watchdog() else {
        return;
    };
    // Half the time, as `man 3 sd_watchdog_enabled` says.
    let mut ticks = interval((limit / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = Round::default();
    let mut was_silent = None;
    loop {
        ticks.tick().await;
        let silent = round.silent();
        match silent {
            None => {
                manager.alive();
                round = Round {
                    open: workers.probe(),
                };
            }
            Some(worker) if was_silent != silent => {
                error!(
                    worker,
                    "a worker does not answer; the service manager gets no sign of life"
                );
            }
            Some(_still_silent) => {}
        }
        was_silent = silent;
    }
}

impl Round {
    /// Forgets the questions that have been answered and returns a worker that has not.
    fn silent(&mut self) -> Option<usize> {
        self.open.retain(|(_, answer)| !answer.is_there());
        self.open.first().map(|(worker, _)| *worker)
    }
}

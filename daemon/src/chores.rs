//! What is done again and again beside requests and packets.
//!
//! Each chore has a period. A round that takes longer than its period delays the next one; rounds of one
//! chore never overlap. Dropping the set ends the chores; a round that has begun on a blocking thread is finished.

use std::sync::Arc;
use std::time::Duration;

use tapweave_control::Controller;
use tapweave_nat::Nat;
use tapweave_switch::Switch;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::carry::{Moment, journal, snapshot};
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;
use crate::overlay::UnderlayLine;
use crate::uplink::Keeper;

/// How often old FDB entries are cleared away. An entry past its age is no longer used from that
/// moment on; this only gives its place back.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How often some of the translated flows whose time is over are cleared away: all of them in four
/// rounds. They are not found any more from that moment on, but hold their external ports.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// How often memberships of groups are looked after, and at most how long an answer to a leave waits.
/// It writes to devices, which does not wait, but for a thousand ports takes a few milliseconds.
const GROUP_INTERVAL: Duration = Duration::from_millis(500);

/// How long the first packet to an unknown neighbour waits for the question at most.
const GATEWAY_INTERVAL: Duration = Duration::from_millis(200);

/// How long an answer to a probe of a path is not looked at, at most, and its search not continued.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// How long what a host sends into an open network is refused at most, until it is learned. A port is
/// made and removed together with the workers, which takes milliseconds.
const PEER_INTERVAL: Duration = Duration::from_millis(200);

/// How long a change of the uplink, the underlay or a peer is not told at most; of the addresses of an interface that was
/// taken up from an earlier daemon only if that took longer than the start.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How often what there is is compared with what there should be when nothing happens: a few milliseconds for a
/// thousand ports.
const AUDIT_INTERVAL: Duration = Duration::from_secs(30);

/// How soon what could not be done is tried again. The pause doubles until it is [`AUDIT_INTERVAL`].
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Slots looked at in one sweep: all of some tables of the default size, a part of a large one.
const SWEEP_BUDGET: usize = 1 << 17;

/// The chores of a daemon, which end with it.
#[derive(Debug)]
pub(crate) struct Chores {
    rounds: JoinSet<()>,
    /// None when the kernel does not tell of its interfaces.
    _underlay: Option<Keeper>,
}

impl Chores {
    /// Begins all of them, within the runtime. `happened` is told when an audit is due.
    pub(crate) fn start(
        datapath: &Arc<SwitchDatapath>,
        controller: &Arc<Controller>,
        switch: Arc<Switch>,
        nat: Arc<Nat>,
        clock: Clock,
        happened: &Arc<Notify>,
    ) -> Self {
        let line = UnderlayLine {
            changed: Arc::clone(happened),
        };
        let underlay = Keeper::start(line, Arc::downgrade(datapath));
        let underlay = underlay.inspect_err(|error| {
            let error = format!("{error:#}");
            warn!(error, "changes of the underlay go unnoticed");
        });
        let mut chores = Self {
            rounds: JoinSet::new(),
            _underlay: underlay.ok(),
        };
        let tended = |tend: fn(&SwitchDatapath)| {
            let datapath = Arc::clone(datapath);
            move || tend(&datapath)
        };
        let probes = tended(SwitchDatapath::probe_paths);
        chores.tend(PROBE_INTERVAL, "the paths to peers", probes);
        let groups = tended(SwitchDatapath::tend_groups);
        chores.tend(GROUP_INTERVAL, "the memberships of groups", groups);
        let gateways = tended(SwitchDatapath::tend_gateways);
        chores.tend(GATEWAY_INTERVAL, "the neighbours of gateways", gateways);
        let controlled = |tend: fn(&Controller)| {
            let controller = Arc::clone(controller);
            move || tend(&controller)
        };
        let peers = controlled(Controller::tend_peers);
        chores.tend(PEER_INTERVAL, "the peers of open networks", peers);
        let look = controlled(Controller::look_around);
        chores.tend(LOOK_INTERVAL, "what changes by itself", look);
        let inside = controlled(Controller::tend_taken_up);
        chores.tend(LOOK_INTERVAL, "interfaces that were taken up", inside);
        chores.write_journal(datapath);
        chores.write_snapshots(datapath);
        chores.sweep(switch, clock);
        chores.expire(nat, clock);
        chores.audit(controller, Arc::clone(happened));
        chores
    }

    /// Does `work` every `period` on a thread that may block. A round that panics is told of; the next one
    /// comes all the same.
    fn tend(
        &mut self,
        period: Duration,
        what: &'static str,
        work: impl Fn() + Clone + Send + 'static,
    ) {
        self.rounds.spawn(async move {
            let mut ticks = ticks(period);
            loop {
                ticks.tick().await;
                if spawn_blocking(work.clone()).await.is_err() {
                    warn!("{what} could not be looked after");
                }
            }
        });
    }

    /// Compares what there is with what there should be: soon after something happened, soon again and then less
    /// often while something cannot be done, and now and then, in case that something was not noticed.
    fn audit(&mut self, controller: &Arc<Controller>, happened: Arc<Notify>) {
        let controller = Arc::clone(controller);
        self.rounds.spawn(async move {
            let (mut pause, mut retry) = (RETRY_INTERVAL, RETRY_INTERVAL);
            loop {
                // Whichever comes first, the report or the end of the pause.
                if timeout(pause, happened.notified()).await.is_ok() {
                    retry = RETRY_INTERVAL;
                }
                let controller = Arc::clone(&controller);
                match spawn_blocking(move || controller.reconcile()).await {
                    Ok(true) => {
                        pause = retry;
                        retry = (retry * 2).min(AUDIT_INTERVAL);
                    }
                    Ok(false) => (pause, retry) = (AUDIT_INTERVAL, RETRY_INTERVAL),
                    Err(_panicked) => {
                        warn!("what there is could not be compared with what there should be");
                        pause = AUDIT_INTERVAL;
                    }
                }
            }
        });
    }

    /// Writes the journal of flows. A thread is woken only if there is something to write.
    fn write_journal(&mut self, datapath: &Arc<SwitchDatapath>) {
        let datapath = Arc::clone(datapath);
        self.rounds.spawn(async move {
            let mut ticks = ticks(journal::INTERVAL);
            loop {
                ticks.tick().await;
                if datapath.is_journal_due() {
                    let datapath = Arc::clone(&datapath);
                    let round = spawn_blocking(move || datapath.write_journal());
                    if round.await.is_err() {
                        warn!("the journal of flows could not be written");
                    }
                }
            }
        });
    }

    /// Writes down what was learned. A thread is woken only if there is something to write.
    fn write_snapshots(&mut self, datapath: &Arc<SwitchDatapath>) {
        let datapath = Arc::clone(datapath);
        self.rounds.spawn(async move {
            let mut ticks = ticks(snapshot::INTERVAL);
            loop {
                ticks.tick().await;
                if datapath.is_snapshot_due() {
                    let datapath = Arc::clone(&datapath);
                    let round = spawn_blocking(move || datapath.write_snapshot(Moment::Running));
                    if round.await.is_err() {
                        warn!("what was learned could not be written");
                    }
                }
            }
        });
    }

    fn sweep(&mut self, switch: Arc<Switch>, clock: Clock) {
        self.rounds.spawn(async move {
            let mut ticks = ticks(SWEEP_INTERVAL);
            loop {
                ticks.tick().await;
                switch.poll_ageing(clock.now(), SWEEP_BUDGET);
            }
        });
    }

    fn expire(&mut self, nat: Arc<Nat>, clock: Clock) {
        let budget = usize::try_from(nat.config().flow_limit / 4).unwrap_or(usize::MAX);
        self.rounds.spawn(async move {
            let mut ticks = ticks(EXPIRY_INTERVAL);
            loop {
                ticks.tick().await;
                nat.poll_expiry(clock.now(), budget.max(1));
            }
        });
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

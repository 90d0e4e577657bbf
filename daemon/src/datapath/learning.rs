//! What was learned from frames: taken in from an earlier daemon, and written down for the next one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tapweave_carry::Carried;
use tapweave_carry::peers::LearnedPeer;
use tapweave_carry::ports::PortName;
use tapweave_control::Id;
use tapweave_control::datapath::PortOwner;
use tapweave_net::{NetworkNo, PortNo, Timestamp};
use tapweave_switch::{Learned, Switch};
use tracing::info;

use super::SwitchDatapath;
use crate::carry::{Contents, Legacy, Moment, Snapshots, Tally, name_of};

/// What carries over what the switch has learned.
#[derive(Debug)]
pub(crate) struct Learning {
    state: Mutex<State>,
    snapshots: Option<Snapshots>,
    /// How long nothing was forwarded when this daemon took over.
    pause: OnceLock<Duration>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct State {
    networks: BTreeMap<NetworkNo, Id>,
    legacy: Legacy,
    /// When an earlier daemon stopped to forward for this one.
    stopped: Option<Timestamp>,
}

impl Learning {
    /// Returns what takes in what an earlier daemon has left, and writes snapshots, if anybody keeps them.
    pub(crate) fn new(snapshots: Option<Snapshots>) -> Self {
        Self {
            state: Mutex::default(),
            snapshots,
            pause: OnceLock::new(),
            tally: Tally::default(),
        }
    }

    /// Takes what an earlier daemon has left, before any port of it is there again.
    pub(super) fn inherit(&self, switch: &Switch, carried: Carried, now: Timestamp) {
        let mut state = self.state();
        state.stopped = carried.stopped;
        let State {
            networks, legacy, ..
        } = &mut *state;
        *legacy = Legacy::new(carried);
        for (&network, id) in &*networks {
            self.restore(switch, network, &legacy.take_network(id), now);
        }
    }

    /// Takes in what was known of a network as a whole.
    pub(super) fn network_made(
        &self,
        switch: &Switch,
        id: &Id,
        network: NetworkNo,
        now: Timestamp,
    ) {
        let mut state = self.state();
        state.networks.insert(network, id.clone());
        let learned = state.legacy.take_network(id);
        self.restore(switch, network, &learned, now);
    }

    /// Forgets a network.
    pub(super) fn network_gone(&self, network: NetworkNo) {
        self.state().networks.remove(&network);
    }

    /// Takes in what was known of a port, before any worker forwards its frames; returns what was of the host behind it.
    pub(super) fn port_made(
        &self,
        switch: &Switch,
        network: NetworkNo,
        owner: &PortOwner,
        port: PortNo,
        now: Timestamp,
    ) -> Option<LearnedPeer> {
        let taken = {
            let mut state = self.state();
            let State {
                networks, legacy, ..
            } = &mut *state;
            legacy.take_port(networks.get(&network)?, owner)?
        };
        self.restore(switch, network, &taken.learned(port), now);
        taken.peer
    }

    /// States that all that was there before is there again, as far as it can be. Gives up what nothing came for.
    pub(super) fn settle(&self) {
        let left = self.state().legacy.give_up();
        self.tally.count(0, left);
        let (restored, not_restored) = (self.tally.restored(), self.tally.not_restored());
        if restored > 0 || not_restored > 0 {
            info!(
                restored,
                not_restored,
                "stations, neighbours and members of groups that an earlier daemon knew are known"
            );
        }
    }

    /// Notes that frames are forwarded from now on, the first time.
    pub(super) fn note_pause(&self, now: Timestamp) {
        let stopped = self.state().stopped.take();
        if let Some(stopped) = stopped {
            // It is not noted twice: it was taken.
            let _first = self.pause.set(now.since(stopped));
        }
    }

    /// Returns how long nothing was forwarded when this daemon took over from another one.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.pause.get().copied()
    }

    /// Returns what was counted, by the names that users see; zeros are left out.
    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        let snapshots = self.snapshots.as_ref();
        let pause = self.pause().map_or(0, |pause| pause.as_millis());
        let counters = [
            ("pause_ms", u64::try_from(pause).unwrap_or(u64::MAX)),
            ("restored", self.tally.restored()),
            ("not_restored", self.tally.not_restored()),
            ("snapshots", snapshots.map_or(0, Snapshots::written)),
            (
                "snapshot_failures",
                snapshots.map_or(0, Snapshots::failures),
            ),
        ];
        let counted = counters.into_iter().filter(|(_, count)| *count > 0);
        counted
            .map(|(name, count)| (name.to_owned(), count))
            .collect()
    }

    fn restore(&self, switch: &Switch, network: NetworkNo, learned: &Learned, now: Timestamp) {
        if !learned.is_empty() {
            let restored = switch.restore(network, learned, now);
            self.tally.count(restored, learned.len() - restored);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SwitchDatapath {
    /// Tells whether what was learned is to be written down.
    pub(crate) fn is_snapshot_due(&self) -> bool {
        let snapshots = self.learning.snapshots.as_ref();
        let mark = self.switch.learning_mark();
        snapshots.is_some_and(|snapshots| snapshots.is_due(mark, self.clock.now()))
    }

    /// Writes down what was learned: see [`Snapshots`].
    pub(crate) fn write_snapshot(&self, moment: Moment) {
        let Some(snapshots) = &self.learning.snapshots else {
            return;
        };
        let now = self.clock.now();
        let mark = self.switch.learning_mark();
        let networks = self.learning.state().networks.clone();
        let numbers = networks.keys();
        let learned = numbers.map(|&number| (number, self.switch.learned(number, now)));
        let learned = learned.filter(|(_, learned)| !learned.is_empty()).collect();
        let ports = self.ports();
        let owned = ports.iter().filter_map(|(&number, port)| {
            let (network, owner) = port.owner.as_ref()?;
            let owner = name_of(owner);
            Some((
                number,
                PortName {
                    network: *network,
                    owner,
                },
            ))
        });
        let owned = owned.collect();
        drop(ports);
        let contents = Contents {
            networks: networks
                .into_iter()
                .map(|(number, id)| (number, id.to_string()))
                .collect(),
            ports: owned,
            learned,
            peers: self.overlay.learned_peers(),
        };
        snapshots.write(&contents, moment, mark, now, || self.clock.now());
    }
}

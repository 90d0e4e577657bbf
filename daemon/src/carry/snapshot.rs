//! Writes down what was learned from frames, for the daemon after this one.
//!
//! # Theory of operation
//!
//! Other than of flows, which have a journal, of stations, neighbours and groups a whole *snapshot* is written each time: they
//! are few, change seldom, and come back by themselves if they are lost. A look at some counters tells whether
//! anything has come, moved or gone; if so, and at most every [`INTERVAL`], a snapshot is written into new memory, which takes
//! the place of the last one. Ages change all the time and are written every [`AGE_INTERVAL`]. One that takes
//! long is written less often: no more than one part in [`SHARE`] of the time goes there.
//!
//! The last one is written when nothing is forwarded any more, and is exact. Only that one says who asks who listens to
//! groups: see [`groups`].

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapweave_carry::names::Networks;
use tapweave_carry::peers::LearnedPeer;
use tapweave_carry::ports::Ports;
use tapweave_carry::{
    BootId, container, groups, names, neighbors, peers, ports, stations, stopped,
};
use tapweave_net::{NetworkNo, Timestamp};
use tapweave_switch::{Learned, LearningMark};
use tracing::{debug, warn};

use super::Shelf;

/// How often a snapshot is written at most, and how often it is looked whether one is due.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// How old ages may be, in what `kill -9` leaves: a tenth of the usual ageing time.
const AGE_INTERVAL: Duration = Duration::from_secs(30);

/// How many times as long as it took nothing is written after a snapshot.
const SHARE: u32 = 50;

/// How long nothing is tried after a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// What a snapshot is written of.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) networks: Networks,
    pub(crate) ports: Ports,
    pub(crate) learned: Vec<(NetworkNo, Learned)>,
    pub(crate) peers: Vec<LearnedPeer>,
}

/// Whether anything can change after a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// It can.
    Running,
    /// Nothing is forwarded any more, since then.
    Stopped(Timestamp),
}

/// Writes snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    boot: BootId,
    shelf: Box<dyn Shelf>,
    last: Mutex<Last>,
    written: AtomicU64,
    failures: AtomicU64,
}

/// What is known of the last snapshot.
#[derive(Debug, Default)]
struct Last {
    mark: Option<LearningMark>,
    at: Timestamp,
    rests_until: Timestamp,
    is_empty: bool,
}

impl Snapshots {
    /// Returns what writes snapshots to a shelf.
    pub(crate) fn new(boot: BootId, shelf: Box<dyn Shelf>) -> Self {
        Self {
            boot,
            shelf,
            last: Mutex::default(),
            written: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Returns how often a snapshot was written.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Returns how often one could not be written.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Tells whether a snapshot is to be written, given the mark of what was learned.
    pub(crate) fn is_due(&self, mark: LearningMark, now: Timestamp) -> bool {
        let last = self.last();
        let is_old = || !last.is_empty && now.since(last.at) >= AGE_INTERVAL;
        now >= last.rests_until && (last.mark != Some(mark) || is_old())
    }

    /// Writes a snapshot: `mark` is from before the contents were collected, which began at `began`; `clock` tells the
    /// time after it was written.
    pub(crate) fn write(
        &self,
        contents: &Contents,
        moment: Moment,
        mark: LearningMark,
        began: Timestamp,
        clock: impl Fn() -> Timestamp,
    ) {
        let bytes = bytes(self.boot, contents, moment);
        let mut last = self.last();
        if let Err(error) = self.put(&bytes) {
            warn!(%error, "what was learned cannot be written: it begins anew if the daemon is killed");
            self.failures.fetch_add(1, Ordering::Relaxed);
            last.rests_until = clock() + PAUSE;
            return;
        }
        self.written.fetch_add(1, Ordering::Relaxed);
        let took = clock().since(began);
        debug!(bytes = bytes.len(), ?took, "what was learned is written");
        *last = Last {
            mark: Some(mark),
            at: began,
            rests_until: began + took + took * SHARE,
            is_empty: contents.is_empty(),
        };
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let file = self.shelf.new_file()?;
        file.write_all_at(bytes, 0)?;
        self.shelf.put(&file)
    }

    /// A panic leaves at worst a snapshot that is written once more.
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn is_empty(&self) -> bool {
        self.peers.is_empty() && self.learned.iter().all(|(_, learned)| learned.is_empty())
    }
}

fn bytes(boot: BootId, contents: &Contents, moment: Moment) -> Vec<u8> {
    let mut file = container::header(boot).to_vec();
    names::write(&mut file, &contents.networks);
    ports::write(&mut file, &contents.ports);
    for (network, learned) in &contents.learned {
        if !learned.stations.is_empty() {
            stations::write(&mut file, &learned.stations);
        }
        if !learned.neighbors.is_empty() {
            let neighbors = learned.neighbors.iter();
            neighbors::write(&mut file, neighbors.map(|one| (*network, one)));
        }
        if !learned.members.is_empty() {
            groups::write_members(&mut file, &learned.members);
        }
        if !learned.group_ports.is_empty() {
            groups::write_ports(&mut file, &learned.group_ports);
        }
        if moment != Moment::Running && !learned.queriers.is_empty() {
            let queriers = learned.queriers.iter();
            groups::write_queriers(&mut file, queriers.map(|one| (*network, one)));
        }
    }
    peers::write(&mut file, &contents.peers);
    if let Moment::Stopped(at) = moment {
        stopped::write(&mut file, at);
    }
    file
}

#[cfg(test)]
mod tests {
    use tapweave_carry::Carried;
    use tapweave_carry::ports::{Owner, PortName};
    use tapweave_net::{MacAddr, PortNo};
    use tapweave_switch::{Family, LearnedQuerier, LearnedStation, Switch, SwitchConfig};

    use super::*;
    use crate::carry::test_place::{BOOT, Place};
    use crate::test_switch::NETWORK;

    const NOW: Timestamp = Timestamp::from_secs(100);
    const PORT: PortNo = PortNo::new(3, 1);

    struct Rig {
        snapshots: Snapshots,
        place: Place,
        switch: Switch,
    }

    fn rig() -> Rig {
        let place = Place::default();
        Rig {
            snapshots: Snapshots::new(BOOT, Box::new(place.clone())),
            place,
            switch: Switch::new(SwitchConfig {
                worker_count: 1,
                seed: 1,
            }),
        }
    }

    fn contents() -> Contents {
        let network = NetworkNo(1);
        let owner = Owner::Endpoint("c".repeat(64));
        Contents {
            networks: [(network, "a".repeat(64))].into(),
            ports: [(PORT, PortName { network, owner })].into(),
            learned: vec![(
                network,
                Learned {
                    stations: vec![LearnedStation {
                        mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
                        vid: None,
                        port: PORT,
                        is_sticky: false,
                        seen: NOW,
                    }],
                    queriers: vec![LearnedQuerier {
                        vid: None,
                        family: Family::V4,
                        last: NOW,
                        from: NOW,
                        until: NOW,
                        other_until: NOW,
                    }],
                    ..Learned::default()
                },
            )],
            peers: Vec::new(),
        }
    }

    impl Rig {
        /// Writes a snapshot that takes so long.
        fn write(&self, moment: Moment, contents: &Contents, took: Duration) {
            let mark = self.switch.learning_mark();
            self.snapshots
                .write(contents, moment, mark, NOW, || NOW + took);
        }

        fn is_due(&self, after: Duration) -> bool {
            self.snapshots
                .is_due(self.switch.learning_mark(), NOW + after)
        }
    }

    #[test]
    fn the_next_daemon_reads_what_was_written_and_only_the_last_says_who_asks() {
        let rig = rig();
        let contents = contents();
        for moment in [Moment::Running, Moment::Stopped(NOW)] {
            rig.write(moment, &contents, Duration::ZERO);
            let (network, learned) = &contents.learned[0];
            let queriers = learned.queriers.iter().map(|one| (*network, *one));
            let expected = Carried {
                networks: contents.networks.clone(),
                ports: contents.ports.clone(),
                stations: learned.stations.clone(),
                queriers: match moment {
                    Moment::Running => Vec::new(),
                    Moment::Stopped(_) => queriers.collect(),
                },
                stopped: (moment != Moment::Running).then_some(NOW),
                ..Carried::default()
            };
            assert_eq!(rig.place.read(), Some(expected));
        }
    }

    #[test]
    fn one_is_due_when_something_has_changed_and_for_ages_now_and_then() {
        let rig = rig();
        assert!(rig.is_due(Duration::ZERO));
        rig.write(Moment::Running, &contents(), Duration::from_millis(40));
        assert!(!rig.is_due(Duration::from_secs(29)));
        assert!(rig.is_due(AGE_INTERVAL));
        rig.write(Moment::Running, &Contents::default(), Duration::ZERO);
        assert!(!rig.is_due(AGE_INTERVAL), "nothing has an age");
        rig.write(Moment::Running, &contents(), Duration::from_millis(40));
        // A change; the snapshot took 40 ms, of 2 s.
        let _number = rig.switch.add_network(NETWORK);
        assert!(!rig.is_due(Duration::from_secs(2)));
        assert!(rig.is_due(Duration::from_secs(3)));
    }

    #[test]
    fn what_cannot_be_written_leaves_the_last_one_and_is_tried_again_later() {
        let rig = rig();
        rig.write(Moment::Running, &contents(), Duration::ZERO);
        let written = rig.place.read();
        rig.place.0.lock().unwrap().is_broken = true;
        rig.write(Moment::Running, &Contents::default(), Duration::ZERO);
        assert_eq!(rig.place.read(), written);
        assert_eq!((rig.snapshots.written(), rig.snapshots.failures()), (1, 1));
        assert!(!rig.is_due(Duration::from_secs(9)));
    }
}

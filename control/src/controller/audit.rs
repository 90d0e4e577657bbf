//! Compares what there is with what there should be, and carries out what follows.
//!
//! # Theory of operation
//!
//! One audit runs at a time. It looks, asks [`reconcile`] what to do, and does it; each command looks at the
//! model again under the turn of what it changes, since requests go on meanwhile, and does nothing when what it was
//! for has changed. What concerns different sandboxes is done by several threads: an interface takes milliseconds,
//! and a sandbox that is held up holds up no other.
//!
//! What cannot be done stays in the model with the reason, which `inspect` shows, and is asked for again by the
//! next audit. That something waits is logged once for each reason, and each command that was carried out is
//! logged and counted (`stats`).
//!
//! A sandbox that was restored must be the one that was stored: its namespace is opened and compared with the
//! identity and the mark in the record ([`fate`]). When it is gone or another one has its place, and it has no other
//! name beside the one that it had ([`moved`]), the sandbox has ended.

mod entries;
mod fate;
mod moved;
mod places;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tapweave_net::NetworkNo;
use tapweave_switch::{FdbOrigin, NeighborAt, StaticNeighbor, Stations};
use tracing::{info, warn};

use super::Controller;
use crate::api::EventActor;
use crate::datapath::{DatapathError, PortOwner, SandboxNo};
use crate::model::Place;
use crate::reconcile::{Command, Observation, Station, reconcile};

/// Threads that open namespaces and make interfaces at the same time. Most of the time of each is spent waiting for
/// a helper process.
const CONNECTING_THREADS: usize = 8;

impl Controller {
    /// Makes what there is into what there should be, as far as that is possible now, and tells whether something
    /// still waits. Takes as long as making the interfaces does.
    pub fn reconcile(&self) -> bool {
        let _one = self.auditing.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = self
            .journal
            .settle(|key| self.model().stored(key, &self.boot));
        for _ in 0..settled {
            self.count("records_written");
        }
        self.look_at_held_up_ports();
        // Before and after: see the theory of operation of `reconcile`.
        let before = self.model().wanted();
        let observation = self.observation();
        let wanted = self.model().wanted().since(&before);
        self.carry_out(reconcile(&wanted, &observation));
        self.model().waits() || self.journal.is_unsure()
    }

    /// Makes of what there should be what can be there beside another daemon that still forwards: networks without
    /// ports and without what they are joined to, and the namespaces of sandboxes. [`Controller::reconcile`] does the rest.
    pub fn prepare(&self) {
        let _one = self.auditing.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.model().wanted();
        let mut commands = reconcile(&wanted, &self.observation());
        commands
            .retain(|command| matches!(command, Command::MakeNetwork(_) | Command::OpenSandbox(_)));
        self.carry_out(commands);
    }

    /// Returns how often each kind of repair was made, those that never were left out.
    pub(crate) fn repairs(&self) -> BTreeMap<String, u64> {
        let repairs = self.repairs.lock().unwrap_or_else(PoisonError::into_inner);
        let repairs = repairs.iter();
        repairs
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    pub(super) fn count(&self, repair: &'static str) {
        let mut repairs = self.repairs.lock().unwrap_or_else(PoisonError::into_inner);
        *repairs.entry(repair).or_default() += 1;
    }

    /// Looks at the packet path; at tables only of the networks that have static entries.
    fn observation(&self) -> Observation {
        let datapath = self.datapath.observe();
        let (with_stations, with_neighbors) = {
            let model = self.model();
            let numbers = |has: &dyn Fn(&crate::model::NetworkRecord) -> bool| {
                let networks = model.networks().filter(|network| has(network));
                networks
                    .map(|network| network.number)
                    .collect::<Vec<NetworkNo>>()
            };
            (
                numbers(&|network| !network.stations.is_empty()),
                numbers(&|network| !network.neighbors.is_empty()),
            )
        };
        let stations = with_stations.into_iter();
        let neighbors = with_neighbors.into_iter();
        Observation {
            datapath,
            stations: stations
                .map(|number| (number, self.observed_stations(number)))
                .collect(),
            neighbors: neighbors
                .map(|number| (number, self.observed_neighbors(number)))
                .collect(),
        }
    }

    /// Returns the static entries of a network, but for those that a locked port was made with.
    fn observed_stations(&self, number: NetworkNo) -> BTreeMap<Station, tapweave_net::PortNo> {
        let entries = self.datapath.fdb_entries(number);
        let model = self.model();
        let is_own = |entry: &tapweave_switch::FdbEntry| {
            let endpoint = model.endpoint_at(entry.port);
            endpoint.is_some_and(|endpoint| {
                let network = model.network_by_id(endpoint.network_id.as_str());
                let is_asked = network
                    .is_some_and(|network| network.stations.contains_key(&(entry.mac, entry.vid)));
                endpoint.rules.stations == Stations::Locked
                    && endpoint.mac == entry.mac
                    && !is_asked
            })
        };
        let entries = entries.iter();
        entries
            .filter(|entry| entry.origin == FdbOrigin::Static && !is_own(entry))
            .map(|entry| ((entry.mac, entry.vid), entry.port))
            .collect()
    }

    fn observed_neighbors(&self, number: NetworkNo) -> BTreeMap<IpAddr, StaticNeighbor> {
        let neighbors = self.datapath.neighbors(number);
        let stated = |neighbor: &tapweave_switch::Neighbor| match neighbor.at {
            NeighborAt::Stated { is_router } => Some((
                neighbor.address,
                StaticNeighbor {
                    mac: neighbor.mac,
                    is_router,
                },
            )),
            NeighborAt::Port(_) => None,
        };
        neighbors.iter().filter_map(stated).collect()
    }

    fn carry_out(&self, commands: Vec<Command>) {
        let mut first = Vec::new();
        let mut by_sandbox: BTreeMap<SandboxNo, Vec<Command>> = BTreeMap::new();
        let mut last = Vec::new();
        for command in commands {
            match &command {
                Command::OpenSandbox(sandbox) | Command::Connect(sandbox, _) => {
                    by_sandbox.entry(*sandbox).or_default().push(command);
                }
                Command::RemovePort(_)
                | Command::RemoveNetwork(_)
                | Command::ReleaseSandbox(_)
                | Command::EndSandbox(_)
                | Command::MakeNetwork(_)
                | Command::JoinNetwork(_)
                | Command::AddPeer(..) => first.push(command),
                Command::SetStation(..)
                | Command::RemoveStation(..)
                | Command::SetNeighbor(..)
                | Command::RemoveNeighbor(..)
                | Command::Publish => last.push(command),
            }
        }
        self.execute_all(&first);
        let thread_count = by_sandbox.len().min(CONNECTING_THREADS);
        let sandboxes = Mutex::new(by_sandbox.into_values());
        thread::scope(|scope| {
            for _ in 0..thread_count {
                scope.spawn(|| {
                    let next = || {
                        let mut sandboxes =
                            sandboxes.lock().unwrap_or_else(PoisonError::into_inner);
                        sandboxes.next()
                    };
                    while let Some(commands) = next() {
                        self.execute_all(&commands);
                    }
                });
            }
        });
        self.execute_all(&last);
    }

    fn execute_all(&self, commands: &[Command]) {
        for command in commands {
            if self.execute(command) == Outcome::Done {
                self.count(command.done());
                info!(repair = command.done(), ?command, "reconciled");
                self.tell_repair(self.repair_actor(command));
            }
        }
    }

    /// Names what a repair was made to.
    fn repair_actor(&self, command: &Command) -> EventActor {
        let id = match command {
            Command::RemovePort(port) => format!("{port:?}"),
            Command::RemoveNetwork(number)
            | Command::RemoveStation(number, _)
            | Command::RemoveNeighbor(number, _) => format!("{number:?}"),
            Command::ReleaseSandbox(number)
            | Command::EndSandbox(number)
            | Command::OpenSandbox(number) => {
                let model = self.model();
                let name = model.sandbox_name(*number).map(ToString::to_string);
                name.unwrap_or_else(|| format!("{number:?}"))
            }
            Command::MakeNetwork(id)
            | Command::JoinNetwork(id)
            | Command::AddPeer(id, _)
            | Command::Connect(_, id)
            | Command::SetStation(id, _)
            | Command::SetNeighbor(id, _) => id.to_string(),
            Command::Publish => "published".to_owned(),
        };
        EventActor::new(id).with("repair", command.done())
    }

    fn execute(&self, command: &Command) -> Outcome {
        match command {
            Command::RemovePort(port) => {
                // Its owner may have been seated at it meanwhile.
                let observed = self.datapath.observe();
                let owner = observed.ports.get(port).map(|port| &port.owner);
                if owner.is_none_or(|owner| self.is_seated(*port, owner)) {
                    return Outcome::Obsolete;
                }
                self.datapath.remove_port(*port);
                Outcome::Done
            }
            Command::RemoveNetwork(number) => match self.datapath.remove_network(*number) {
                Ok(()) => Outcome::Done,
                Err(_) => Outcome::Obsolete,
            },
            Command::ReleaseSandbox(number) => {
                if self.model().sandbox_name(*number).is_some() {
                    return Outcome::Obsolete;
                }
                self.datapath.remove_sandbox(*number);
                Outcome::Done
            }
            Command::EndSandbox(number) => {
                let is_known = self.model().sandbox_by_no(*number).is_some();
                self.sandbox_ended(*number);
                Outcome::done_if(is_known)
            }
            Command::OpenSandbox(number) => self.open_restored(*number),
            Command::MakeNetwork(id) => self.make_again(id),
            Command::JoinNetwork(id) => self.join_again(id),
            Command::AddPeer(network, address) => self.add_peer_again(network, *address),
            Command::Connect(_, endpoint) => self.connect_again(endpoint),
            Command::SetStation(network, station) => self.set_station(network, *station),
            Command::RemoveStation(number, station) => self.remove_station(*number, *station),
            Command::SetNeighbor(network, address) => self.set_neighbor(network, *address),
            Command::RemoveNeighbor(number, address) => self.remove_neighbor(*number, *address),
            Command::Publish => match self.publish() {
                Ok(()) => Outcome::Done,
                Err(cause) => {
                    warn!(%cause, "the published ports stay as they were");
                    Outcome::Failed
                }
            },
        }
    }

    fn is_seated(&self, port: tapweave_net::PortNo, owner: &PortOwner) -> bool {
        let model = self.model();
        match owner {
            PortOwner::Endpoint(id) => {
                let endpoint = model.endpoint(id.as_str());
                endpoint.is_ok_and(|endpoint| {
                    endpoint.port_no() == Some(port) || endpoint.place == Place::Planned
                })
            }
            PortOwner::Peer(_) => model.networks().any(|it| it.peer_at(port).is_some()),
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It was carried out.
    Done,
    /// There was nothing to do any more.
    Obsolete,
    /// It is tried again by the next audit.
    Failed,
}

impl Outcome {
    const fn done_if(done: bool) -> Self {
        if done { Self::Done } else { Self::Obsolete }
    }
}

/// Notes a problem, and logs it unless it was noted before.
fn warn_of_news(reason: &str, what: &str, note: impl FnOnce() -> bool) {
    if note() {
        warn!(what, reason, "waits, and is tried again");
    }
}

/// Returns a message with those of its causes.
pub(super) fn chain(error: &DatapathError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

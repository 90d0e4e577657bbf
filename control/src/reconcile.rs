//! Says what has to be done for what there is to become what there should be. Pure.
//!
//! # Theory of operation
//!
//! What should be is the model ([`Intent`]), in which everything that was asked for has a place, whether it works
//! or not. What there is was observed ([`Observation`]). [`reconcile`] compares the two and returns commands in the
//! order in which they can be carried out: what nobody wants goes first, then domains, then the ways to other
//! hosts, then namespaces and the ports in them, then what refers to ports. When all of them succeed, a second
//! comparison finds nothing; when one fails, the next comparison asks for it again.
//!
//! Requests go on meanwhile. The observation is taken *before* the intent, and a request notes in the model what it
//! is about to make before it makes it. So what was observed and is not in the intent is either not wanted, or
//! was being taken away and is gone by now; and what is *planned* in the intent is somebody else's business and left
//! alone. What a request has made since the observation would look lost: so the intent is taken before the
//! observation too, and what has come or changed in between is left alone as if it were still planned
//! ([`Intent::since`]). Who carries a command out looks at the model again.
//!
//! What belongs to the inside of a sandbox is not looked at: whoever changes an address or the MTU there, or takes
//! the interface down, meant to. Only when an interface of an earlier daemon is taken up, its addresses are
//! looked at once, and not here (`controller::taken_up`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tapweave_net::{MacAddr, NetworkNo, PortNo, Vid};
use tapweave_switch::StaticNeighbor;

use crate::Id;
use crate::datapath::{Observed, ObservedPort, PortOwner, PublishedPorts, SandboxLife, SandboxNo};

/// A station of a VLAN or of none.
pub(crate) type Station = (MacAddr, Option<Vid>);

/// What there should be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// The networks, by id.
    pub(crate) networks: BTreeMap<Id, WantedNetwork>,
    /// Networks that are being made or removed, and left alone.
    pub(crate) changing: BTreeSet<NetworkNo>,
    /// Whether networks are being made that are not among these yet.
    pub(crate) makes_networks: bool,
    /// The sandboxes that are known.
    pub(crate) sandboxes: BTreeSet<SandboxNo>,
    /// Sandboxes that are being made known or forgotten, and left alone.
    pub(crate) coming_or_going: BTreeSet<SandboxNo>,
}

/// A network that should be.
#[derive(Clone, Debug)]
pub(crate) struct WantedNetwork {
    /// The number that it has, or had.
    pub(crate) number: NetworkNo,
    /// Whether it is to be joined to an underlay or a LAN.
    pub(crate) spans_more: bool,
    /// The hosts that take part in it.
    pub(crate) peers: BTreeMap<IpAddr, WantedPort>,
    /// Its endpoints.
    pub(crate) endpoints: BTreeMap<Id, WantedEndpoint>,
    /// Its static FDB entries, with the port where the station is, if there is one.
    pub(crate) stations: BTreeMap<Station, Option<PortNo>>,
    /// Its static neighbours.
    pub(crate) neighbors: BTreeMap<IpAddr, StaticNeighbor>,
}

/// Whether something has its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WantedPort {
    /// It is being made by a request.
    Planned,
    /// It was made.
    At(PortNo),
    /// It could not be made.
    Waiting,
}

/// An endpoint that should be.
#[derive(Clone, Debug)]
pub(crate) struct WantedEndpoint {
    /// Its sandbox.
    pub(crate) sandbox: SandboxNo,
    /// Whether it has its port.
    pub(crate) port: WantedPort,
    /// The ports of the uplink that are to lead to it.
    pub(crate) published: Vec<PublishedPorts>,
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observation {
    /// Domains, namespaces and ports.
    pub(crate) datapath: Observed,
    /// The static FDB entries of the networks that were looked at.
    pub(crate) stations: BTreeMap<NetworkNo, BTreeMap<Station, PortNo>>,
    /// The static neighbours of the networks that were looked at.
    pub(crate) neighbors: BTreeMap<NetworkNo, BTreeMap<IpAddr, StaticNeighbor>>,
}

/// Something to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// Remove a port that is nobody's.
    RemovePort(PortNo),
    /// Remove a domain that is no network.
    RemoveNetwork(NetworkNo),
    /// Let go of a namespace that is no sandbox.
    ReleaseSandbox(SandboxNo),
    /// Forget a sandbox whose namespace has ended.
    EndSandbox(SandboxNo),
    /// Make the domain of a network.
    MakeNetwork(Id),
    /// Join a network to what it spans.
    JoinNetwork(Id),
    /// Make the way to a host.
    AddPeer(Id, IpAddr),
    /// Open the namespace of a sandbox.
    OpenSandbox(SandboxNo),
    /// Make the port of an endpoint.
    Connect(SandboxNo, Id),
    /// Make a static FDB entry.
    SetStation(Id, Station),
    /// Remove a static FDB entry that nobody made.
    RemoveStation(NetworkNo, Station),
    /// State a neighbour.
    SetNeighbor(Id, IpAddr),
    /// Take a neighbour back that nobody stated.
    RemoveNeighbor(NetworkNo, IpAddr),
    /// Tell which ports are published.
    Publish,
}

/// Returns what makes what was observed into what is wanted, in order.
pub(crate) fn reconcile(intent: &Intent, observation: &Observation) -> Vec<Command> {
    let observed = &observation.datapath;
    let by_number: BTreeMap<NetworkNo, (&Id, &WantedNetwork)> = intent
        .networks
        .iter()
        .map(|(id, network)| (network.number, (id, network)))
        .collect();
    let mut commands = Vec::new();
    let mut good = Good::new();
    for (number, port) in &observed.ports {
        match claim(*number, port, intent, &by_number) {
            Claim::Good => {
                good.insert(*number, &port.owner);
            }
            Claim::LeftAlone => {}
            Claim::Nobodys => commands.push(Command::RemovePort(*number)),
        }
    }
    if !intent.makes_networks {
        let is_wanted = |number: &&NetworkNo| {
            by_number.contains_key(number) || intent.changing.contains(number)
        };
        let unwanted = observed.networks.iter().filter(|it| !is_wanted(it));
        commands.extend(unwanted.map(|number| Command::RemoveNetwork(*number)));
    }
    for (number, life) in &observed.sandboxes {
        let is_wanted = intent.sandboxes.contains(number);
        match life {
            SandboxLife::Alive | SandboxLife::Ended if intent.coming_or_going.contains(number) => {}
            SandboxLife::Ended if is_wanted => commands.push(Command::EndSandbox(*number)),
            SandboxLife::Alive if is_wanted => {}
            SandboxLife::Alive | SandboxLife::Ended => {
                commands.push(Command::ReleaseSandbox(*number));
            }
        }
    }
    networks(intent, observed, &good, &mut commands);
    let is_closed = |number: &&SandboxNo| {
        !observed.sandboxes.contains_key(number) && !intent.coming_or_going.contains(number)
    };
    let closed = intent.sandboxes.iter().filter(is_closed);
    commands.extend(closed.map(|number| Command::OpenSandbox(*number)));
    let publishes = connections(intent, observed, &good, &mut commands);
    tables(intent, observation, &by_number, &good, &mut commands);
    if publishes {
        commands.push(Command::Publish);
    }
    commands
}

/// The ports that are as they should be, with their owners.
type Good<'o> = BTreeMap<PortNo, &'o PortOwner>;

/// Whose an observed port is.
enum Claim {
    /// Of the one who is noted at it.
    Good,
    /// A request is making it.
    LeftAlone,
    /// Of nobody.
    Nobodys,
}

fn claim(
    number: PortNo,
    port: &ObservedPort,
    intent: &Intent,
    by_number: &BTreeMap<NetworkNo, (&Id, &WantedNetwork)>,
) -> Claim {
    if intent.changing.contains(&port.network) {
        return Claim::LeftAlone;
    }
    let wanted = by_number
        .get(&port.network)
        .and_then(|(_, network)| match &port.owner {
            PortOwner::Endpoint(id) => network.endpoints.get(id).map(|endpoint| endpoint.port),
            PortOwner::Peer(address) => network.peers.get(address).copied(),
        });
    match wanted {
        Some(WantedPort::Planned) => Claim::LeftAlone,
        Some(WantedPort::At(noted)) if noted == number => Claim::Good,
        Some(WantedPort::At(_) | WantedPort::Waiting) | None => Claim::Nobodys,
    }
}

/// Asks for domains, what they are joined to, and the ways to other hosts.
fn networks(intent: &Intent, observed: &Observed, good: &Good<'_>, commands: &mut Vec<Command>) {
    for (id, network) in &intent.networks {
        let is_there = observed.networks.contains(&network.number);
        if !is_there {
            commands.push(Command::MakeNetwork(id.clone()));
        }
        if network.spans_more && !(is_there && observed.joined.contains(&network.number)) {
            commands.push(Command::JoinNetwork(id.clone()));
        }
        let is_lost = |(address, port): &(&IpAddr, &WantedPort)| {
            port.is_lost(&PortOwner::Peer(**address), good)
        };
        let lost = network.peers.iter().filter(is_lost);
        commands.extend(lost.map(|(address, _)| Command::AddPeer(id.clone(), *address)));
    }
}

/// Asks for the ports of endpoints whose sandbox has not ended, and tells whether the published ports have to be
/// told anew.
fn connections(
    intent: &Intent,
    observed: &Observed,
    good: &Good<'_>,
    commands: &mut Vec<Command>,
) -> bool {
    let mut published = BTreeSet::new();
    let mut publishes = false;
    for network in intent.networks.values() {
        for (id, endpoint) in &network.endpoints {
            let has_ended = observed.sandboxes.get(&endpoint.sandbox) == Some(&SandboxLife::Ended);
            if !endpoint
                .port
                .is_lost(&PortOwner::Endpoint(id.clone()), good)
            {
                // One that a request is making is published by the request.
                if endpoint.port != WantedPort::Planned {
                    published.extend(endpoint.published.iter().copied());
                }
            } else if !has_ended {
                commands.push(Command::Connect(endpoint.sandbox, id.clone()));
                publishes |= !endpoint.published.is_empty();
            }
        }
    }
    publishes || published != observed.published.iter().copied().collect()
}

/// Asks for static FDB entries and neighbours.
fn tables(
    intent: &Intent,
    observation: &Observation,
    by_number: &BTreeMap<NetworkNo, (&Id, &WantedNetwork)>,
    good: &Good<'_>,
    commands: &mut Vec<Command>,
) {
    for (id, network) in &intent.networks {
        let there = observation.stations.get(&network.number);
        for (station, port) in &network.stations {
            let at = there.and_then(|stations| stations.get(station));
            let port = port.filter(|port| good.contains_key(port));
            if at.is_none() || at.copied() != port {
                commands.push(Command::SetStation(id.clone(), *station));
            }
        }
        let there = observation.neighbors.get(&network.number);
        for (address, neighbor) in &network.neighbors {
            if there.and_then(|neighbors| neighbors.get(address)) != Some(neighbor) {
                commands.push(Command::SetNeighbor(id.clone(), *address));
            }
        }
    }
    for (number, stations) in &observation.stations {
        let Some((_, network)) = by_number.get(number) else {
            continue;
        };
        let foreign = stations
            .keys()
            .filter(|it| !network.stations.contains_key(it));
        commands.extend(foreign.map(|it| Command::RemoveStation(*number, *it)));
    }
    for (number, neighbors) in &observation.neighbors {
        let Some((_, network)) = by_number.get(number) else {
            continue;
        };
        let foreign = neighbors.keys();
        let foreign = foreign.filter(|it| !network.neighbors.contains_key(it));
        commands.extend(foreign.map(|it| Command::RemoveNeighbor(*number, *it)));
    }
}

impl Intent {
    /// Leaves alone what has come, changed or gone since another intent was taken.
    #[must_use]
    pub(crate) fn since(mut self, before: &Self) -> Self {
        let came_or_went = self.sandboxes.symmetric_difference(&before.sandboxes);
        self.coming_or_going.extend(came_or_went);
        self.networks.retain(|id, network| {
            let before = before.networks.get(id);
            let before = before.filter(|before| before.number == network.number);
            if let Some(before) = before {
                network.leave_news_alone(before);
            } else {
                self.changing.insert(network.number);
            }
            before.is_some()
        });
        self
    }
}

impl WantedNetwork {
    fn leave_news_alone(&mut self, before: &Self) {
        for (address, port) in &mut self.peers {
            if before.peers.get(address) != Some(port) {
                *port = WantedPort::Planned;
            }
        }
        for (id, endpoint) in &mut self.endpoints {
            let before = before.endpoints.get(id);
            if before.map(|before| before.port) != Some(endpoint.port) {
                endpoint.port = WantedPort::Planned;
            }
        }
    }
}

impl WantedPort {
    /// Tells whether the port of `owner` has to be made.
    fn is_lost(self, owner: &PortOwner, good: &Good<'_>) -> bool {
        match self {
            Self::Planned => false,
            Self::At(port) => good.get(&port) != Some(&owner),
            Self::Waiting => true,
        }
    }
}

impl Command {
    /// Returns the name that it is counted by when it was done.
    pub(crate) const fn done(&self) -> &'static str {
        match self {
            Self::RemovePort(_) => "ports_removed",
            Self::RemoveNetwork(_) => "networks_removed",
            Self::ReleaseSandbox(_) => "sandboxes_released",
            Self::EndSandbox(_) => "sandboxes_ended",
            Self::MakeNetwork(_) => "networks_made",
            Self::JoinNetwork(_) => "networks_joined",
            Self::AddPeer(..) => "peers_connected",
            Self::OpenSandbox(_) => "sandboxes_opened",
            Self::Connect(..) => "endpoints_connected",
            Self::SetStation(..) => "fdb_entries_set",
            Self::RemoveStation(..) => "fdb_entries_removed",
            Self::SetNeighbor(..) => "neighbors_set",
            Self::RemoveNeighbor(..) => "neighbors_removed",
            Self::Publish => "published_ports_set",
        }
    }
}

#[cfg(test)]
mod tests;

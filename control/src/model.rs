//! What exists: networks, sandboxes, endpoints. Pure, in memory.
//!
//! The model answers whether a change is possible and makes it; it does not call anybody. A change
//! that also needs the packet path goes in two steps, so that the model can be unlocked in between:
//!
//! ```text
//!   sandbox    open_sandbox   ─► (add_sandbox)    ─► admit_sandbox   or  forget_sandbox
//!   endpoint   plan_endpoint  ─► (add_port)       ─► seat_endpoint   or  forget_endpoint
//!   network    draft_network  ─► (add_network)    ─► insert_network
//!              close_network  ─► (remove_network) ─► forget_network  or  reopen_network
//! ```
//!
//! Between the steps the name, the addresses and the MAC are taken, so that a concurrent request
//! cannot have them; lists do not show what is not finished. A [`SandboxNo`] is known here before the
//! packet path hears of it, so that no report of its end can come too early.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;

use ipnet::IpNet;
use tapweave_net::{NetworkNo, PortNo};

use crate::datapath::{AttachedPort, NamespaceRef, OpenedNamespace, PublishedPorts, SandboxNo};
use crate::error::Thing;
use crate::records::StationPlace;
use crate::{ControlError, Id, Name};

mod endpoint;
mod intents;
mod leases;
mod network;
mod peers;
mod publication;
mod publishing;
mod restore;
mod rules;
mod sandbox;
mod static_leases;
mod wanted;

pub(crate) use endpoint::{EndpointPlan, EndpointRecord, Place, Waiting};
pub(crate) use leases::{LeaseEnd, Wanted, leases_of_port};
pub(crate) use network::{Joining, Lifecycle, NetworkRecord};
pub(crate) use peers::{PeerOrigin, PeerPlace, PeerRecord};
pub(crate) use publication::{Publication, PublicationNews};
use publishing::Holding;
pub use publishing::PublishError;
pub(crate) use publishing::{Outside, Publish};
pub(crate) use restore::{NOT_TRIED, Restored};
pub(crate) use rules::PortRules;
pub(crate) use sandbox::SandboxRecord;

/// All that exists.
#[derive(Debug, Default)]
pub(crate) struct Model {
    networks: BTreeMap<Id, NetworkRecord>,
    /// Networks that the packet path is making, with their subnets.
    drafts: BTreeMap<Name, Vec<IpNet>>,
    network_names: BTreeMap<Name, Id>,
    sandboxes: BTreeMap<SandboxNo, SandboxRecord>,
    sandbox_names: BTreeMap<Name, SandboxNo>,
    sandbox_ids: BTreeMap<Id, SandboxNo>,
    /// Sandboxes whose namespace is being opened.
    opening: BTreeMap<SandboxNo, Name>,
    last_sandbox: u64,
    endpoints: BTreeMap<Id, EndpointRecord>,
    ports: BTreeMap<PortNo, Id>,
}

impl Model {
    // Networks.

    /// Refuses a network whose name is taken or whose subnets overlap those of another.
    pub(crate) fn check_network(
        &self,
        name: &Name,
        subnets: impl IntoIterator<Item = IpNet>,
    ) -> Result<(), ControlError> {
        if self.network_names.contains_key(name) || self.drafts.contains_key(name) {
            return Err(ControlError::NetworkExists { name: name.clone() });
        }
        for subnet in subnets {
            self.check_subnet(subnet)?;
        }
        Ok(())
    }

    /// Refuses a subnet that overlaps one of a network, here or behind another host.
    fn check_subnet(&self, subnet: IpNet) -> Result<(), ControlError> {
        let overlaps = |other: &IpNet| other.contains(&subnet) || subnet.contains(other);
        let overlap = |network: &Name, other| ControlError::NetworkOverlap {
            subnet,
            other,
            network: network.clone(),
        };
        for network in self.networks.values() {
            let mut subnets = network.all_subnets();
            if let Some(other) = subnets.find(overlaps) {
                return Err(overlap(&network.name, other));
            }
        }
        for (network, subnets) in &self.drafts {
            if let Some(other) = subnets.iter().copied().find(overlaps) {
                return Err(overlap(network, other));
            }
        }
        Ok(())
    }

    /// Takes name and subnets of a network that [`Model::check_network`] found possible.
    pub(crate) fn draft_network(&mut self, name: Name, subnets: Vec<IpNet>) {
        self.drafts.insert(name, subnets);
    }

    /// Takes [`Model::draft_network`] back.
    pub(crate) fn discard_draft(&mut self, name: &Name) {
        self.drafts.remove(name);
    }

    /// Adds a network that was drafted.
    pub(crate) fn insert_network(&mut self, network: NetworkRecord) {
        self.drafts.remove(&network.name);
        self.network_names
            .insert(network.name.clone(), network.id.clone());
        self.networks.insert(network.id.clone(), network);
    }

    /// Keeps a network without endpoints from getting any, and returns its id and number.
    pub(crate) fn close_network(
        &mut self,
        reference: &str,
    ) -> Result<(Id, NetworkNo), ControlError> {
        let id = self.network(reference)?.id.clone();
        let ports = self.port_names(&id);
        let network = self.network_mut(&id)?;
        network.check_open()?;
        if !network.endpoints.is_empty() {
            return Err(ControlError::NetworkInUse {
                network: network.name.clone(),
                ports,
            });
        }
        network.lifecycle = Lifecycle::Closing;
        Ok((id, network.number))
    }

    /// Takes [`Model::close_network`] back.
    pub(crate) fn reopen_network(&mut self, id: &Id) {
        if let Some(network) = self.networks.get_mut(id) {
            network.lifecycle = Lifecycle::Open;
        }
    }

    /// Removes a closed network and returns it.
    pub(crate) fn forget_network(&mut self, id: &Id) -> Option<NetworkRecord> {
        let network = self.networks.remove(id)?;
        self.network_names.remove(&network.name);
        Some(network)
    }

    /// Finds a network by name, id, or unambiguous beginning of an id.
    pub(crate) fn network(&self, reference: &str) -> Result<&NetworkRecord, ControlError> {
        if let Some(network) = self
            .network_names
            .get(reference)
            .and_then(|id| self.networks.get(id))
        {
            return Ok(network);
        }
        let known = || self.network_names.keys().map(Name::as_str);
        by_prefix(&self.networks, reference, Thing::Network)
            .map_err(|error| error.or_meant(known()))
    }

    /// Returns the networks in order of their names.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &NetworkRecord> {
        self.network_names
            .values()
            .filter_map(|id| self.networks.get(id))
    }

    /// Returns the prefixes of all networks, here and behind other hosts.
    pub(crate) fn subnets(&self) -> impl Iterator<Item = IpNet> {
        let made = self.networks.values().flat_map(NetworkRecord::all_subnets);
        made.chain(self.drafts.values().flatten().copied())
    }

    fn network_mut(&mut self, id: &Id) -> Result<&mut NetworkRecord, ControlError> {
        self.networks
            .get_mut(id)
            .ok_or_else(|| ControlError::no_such(Thing::Network, id.short().to_owned()))
    }

    fn port_names(&self, network: &Id) -> Vec<String> {
        self.endpoints_of(network)
            .map(EndpointRecord::port_name)
            .collect()
    }

    // Sandboxes.

    /// Chooses the number of a sandbox to come.
    pub(crate) fn open_sandbox(&mut self, name: Name) -> SandboxNo {
        self.last_sandbox += 1;
        let number = SandboxNo(self.last_sandbox);
        self.opening.insert(number, name);
        number
    }

    /// Makes an opened sandbox known, unless its namespace has another name already.
    pub(crate) fn admit_sandbox(
        &mut self,
        number: SandboxNo,
        id: Id,
        namespace: NamespaceRef,
        identity: OpenedNamespace,
    ) -> Result<(), ControlError> {
        let mut known = self.sandboxes.values();
        // One that is still to be opened may have been followed by another of its inode.
        let is_it = |it: &&SandboxRecord| it.problem.is_none() && it.identity.id == identity.id;
        if let Some(other) = known.find(is_it) {
            return Err(ControlError::NamespaceKnown {
                sandbox: other.name.clone(),
            });
        }
        let Some(name) = self.opening.remove(&number) else {
            return Err(ControlError::SandboxUnknown {
                sandbox: id.short().to_owned(),
                nearest: None,
            });
        };
        self.sandbox_names.insert(name.clone(), number);
        self.sandbox_ids.insert(id.clone(), number);
        let record = SandboxRecord {
            number,
            id,
            name,
            namespace,
            identity,
            problem: None,
            endpoints: BTreeMap::new(),
        };
        self.sandboxes.insert(number, record);
        Ok(())
    }

    /// Removes a sandbox, known or being opened, that has no endpoints. Returns one that was known.
    pub(crate) fn forget_sandbox(&mut self, number: SandboxNo) -> Option<SandboxRecord> {
        self.opening.remove(&number);
        let sandbox = self.sandboxes.remove(&number)?;
        self.sandbox_names.remove(&sandbox.name);
        self.sandbox_ids.remove(&sandbox.id);
        Some(sandbox)
    }

    /// Returns the name of a sandbox, known or being opened.
    pub(crate) fn sandbox_name(&self, number: SandboxNo) -> Option<&Name> {
        let known = self.sandboxes.get(&number).map(|sandbox| &sandbox.name);
        known.or_else(|| self.opening.get(&number))
    }

    /// Finds a sandbox by its number.
    pub(crate) fn sandbox_by_no(&self, number: SandboxNo) -> Option<&SandboxRecord> {
        self.sandboxes.get(&number)
    }

    /// Finds a sandbox by its name and nothing else.
    pub(crate) fn sandbox_named(&self, name: &str) -> Option<&SandboxRecord> {
        let number = self.sandbox_names.get(name)?;
        self.sandboxes.get(number)
    }

    /// Finds a sandbox by name, id, or unambiguous beginning of an id.
    pub(crate) fn sandbox(&self, reference: &str) -> Result<&SandboxRecord, ControlError> {
        if let Some(sandbox) = self.sandbox_named(reference) {
            return Ok(sandbox);
        }
        let mut found = self
            .sandboxes
            .values()
            .filter(|sandbox| sandbox.id.is_meant_by(reference));
        let known = || self.sandbox_names.keys().map(Name::as_str);
        only_one(&mut found, reference, Thing::Sandbox).map_err(|error| error.or_meant(known()))
    }

    /// Returns the sandboxes in order of their names.
    pub(crate) fn sandboxes(&self) -> impl Iterator<Item = &SandboxRecord> {
        self.sandbox_names
            .values()
            .filter_map(|number| self.sandboxes.get(number))
    }

    // Endpoints.

    /// Takes everything that the endpoint needs in its network, and returns it.
    pub(crate) fn plan_endpoint(
        &mut self,
        plan: EndpointPlan,
    ) -> Result<&EndpointRecord, ControlError> {
        let network_id = self.network(&plan.network)?.id.clone();
        self.check_interface(&plan)?;
        let taken_mac = plan.mac.and_then(|mac| {
            self.endpoints_of(&network_id)
                .find(|endpoint| endpoint.mac == mac)
        });
        if let Some(other) = taken_mac {
            return Err(ControlError::MacTaken {
                mac: other.mac,
                port: other.port_name(),
            });
        }
        let network = self
            .networks
            .get_mut(&network_id)
            .ok_or_else(|| ControlError::no_such(Thing::Network, plan.network.clone()))?;
        let sandbox = self
            .sandboxes
            .get_mut(&plan.sandbox)
            .ok_or_else(|| ControlError::no_such(Thing::Sandbox, plan.sandbox.0.to_string()))?;
        network.check_open()?;
        let gateway_mac = network.settings.gateway.as_ref().map(|gateway| gateway.mac);
        if let Some(mac) = plan.mac.filter(|mac| gateway_mac == Some(*mac)) {
            return Err(ControlError::MacTaken {
                mac,
                port: "the gateway".to_owned(),
            });
        }
        if let Some(mac) = plan.mac {
            network.check_not_leased(mac)?;
        }
        if sandbox.endpoints.contains_key(&network_id) {
            return Err(ControlError::AlreadyConnected {
                sandbox: sandbox.name.clone(),
                network: network.name.clone(),
            });
        }
        let publish = plan.publish.clone();
        let mut record = network.admit(plan, sandbox.name.clone())?;
        let published = publish.map_or(Ok(Vec::new()), |request| {
            let held = held_ports(&self.endpoints);
            network.publish(&request, &record.addresses, &held)
        });
        match published {
            Ok(published) => {
                record.published = published.into_iter().map(Publication::open).collect();
            }
            Err(error) => {
                network.dismiss(&record);
                return Err(error.into());
            }
        }
        let of_sandbox = sandbox.endpoints.values();
        let others = of_sandbox.filter_map(|other| self.endpoints.get(other));
        let taken: Vec<u32> = others.map(|other| other.route_metric).collect();
        record.route_metric = record.gateway_priority.metric(&taken);
        let id = record.id.clone();
        sandbox.endpoints.insert(network_id, id.clone());
        Ok(self.endpoints.entry(id).or_insert(record))
    }

    /// Notes the port that an endpoint got, and returns the endpoint.
    pub(crate) fn seat_endpoint(&mut self, id: &Id, port: AttachedPort) -> Option<&EndpointRecord> {
        let endpoint = self.endpoints.get_mut(id)?;
        self.ports.insert(port.port, id.clone());
        endpoint.place = Place::At(port);
        Some(endpoint)
    }

    /// Takes an address from an endpoint that something else was found to have; others get it last.
    pub(crate) fn set_aside(&mut self, id: &Id, address: IpAddr) {
        let endpoint = self.endpoints.get(id);
        let network = endpoint.and_then(|endpoint| self.networks.get_mut(&endpoint.network_id));
        if let Some(network) = network {
            network.addresses.set_aside(address);
        }
    }

    /// Returns the network and the addresses whose last owners are forgotten when an endpoint goes.
    pub(crate) fn forgotten_with(&self, id: &Id) -> Option<(&Id, Vec<IpAddr>)> {
        let endpoint = self.endpoints.get(id)?;
        let network = self.networks.get(&endpoint.network_id)?;
        let addresses = endpoint.addresses.iter();
        let forgotten = addresses.filter_map(|it| network.addresses.forgotten_with(it.addr()));
        Some((&network.id, forgotten.collect()))
    }

    /// Removes an endpoint and frees what it had.
    pub(crate) fn forget_endpoint(&mut self, id: &Id) {
        let Some(endpoint) = self.endpoints.remove(id) else {
            return;
        };
        if let Place::At(port) = &endpoint.place {
            self.ports.remove(&port.port);
        }
        if let Some(network) = self.networks.get_mut(&endpoint.network_id) {
            network.release_leases(endpoint.leases.keys().copied());
            network.dismiss(&endpoint);
            network.forget_stations_at(&StationPlace::Endpoint(id.clone()));
        }
        if let Some(sandbox) = self.sandboxes.get_mut(&endpoint.sandbox) {
            sandbox.endpoints.remove(&endpoint.network_id);
        }
    }

    /// Finds an endpoint by id or unambiguous beginning of it.
    pub(crate) fn endpoint(&self, reference: &str) -> Result<&EndpointRecord, ControlError> {
        by_prefix(&self.endpoints, reference, Thing::Endpoint)
    }

    /// Finds the endpoint that has a port.
    pub(crate) fn endpoint_at(&self, port: PortNo) -> Option<&EndpointRecord> {
        self.ports.get(&port).and_then(|id| self.endpoints.get(id))
    }

    /// Returns the ports that lead to endpoints now, of all that have their port.
    pub(crate) fn published(&self) -> Vec<PublishedPorts> {
        let seated = self.ports.values().filter_map(|id| self.endpoints.get(id));
        seated.flat_map(EndpointRecord::open_ports).collect()
    }

    /// Returns the sandboxes that have an endpoint without a port yet.
    pub(crate) fn joining_sandboxes(&self) -> Vec<Name> {
        let planned = |endpoint: &&EndpointRecord| endpoint.port_no().is_none();
        self.endpoints
            .values()
            .filter(planned)
            .map(|endpoint| endpoint.sandbox_name.clone())
            .collect()
    }

    /// Finds the endpoint of a sandbox in a network.
    pub(crate) fn endpoint_between(
        &self,
        network: &NetworkRecord,
        sandbox: &SandboxRecord,
    ) -> Option<&EndpointRecord> {
        let id = sandbox.endpoints.get(&network.id)?;
        self.endpoints.get(id)
    }

    /// Returns the endpoints of a network, finished or not.
    pub(crate) fn endpoints_of(&self, network: &Id) -> impl Iterator<Item = &EndpointRecord> {
        let ids = self.networks.get(network).map(|network| &network.endpoints);
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.endpoints.get(id))
    }

    /// Returns the endpoints of a sandbox, finished or not.
    pub(crate) fn endpoints_in(
        &self,
        sandbox: &SandboxRecord,
    ) -> impl Iterator<Item = &EndpointRecord> {
        sandbox
            .endpoints
            .values()
            .filter_map(|id| self.endpoints.get(id))
    }

    /// Refuses an interface name that another endpoint of the sandbox has.
    fn check_interface(&self, plan: &EndpointPlan) -> Result<(), ControlError> {
        let (Some(ifname), Some(sandbox)) = (&plan.ifname, self.sandboxes.get(&plan.sandbox))
        else {
            return Ok(());
        };
        let other = self
            .endpoints_in(sandbox)
            .find(|endpoint| endpoint.ifname_given() == Some(ifname.as_str()));
        match other {
            Some(other) => Err(ControlError::IfNameTaken {
                ifname: ifname.to_string(),
                sandbox: sandbox.name.clone(),
                port: other.port_name(),
            }),
            None => Ok(()),
        }
    }
}

fn held_ports(endpoints: &BTreeMap<Id, EndpointRecord>) -> Vec<Holding> {
    let of = |endpoint: &EndpointRecord| {
        let name = endpoint.port_name();
        let ports = endpoint.published.iter();
        let holdings = ports.map(|publication| (publication.ports, name.clone()));
        holdings.collect::<Vec<_>>()
    };
    endpoints.values().flat_map(of).collect()
}

/// Finds the only record whose id begins with `reference`.
fn by_prefix<'r, T>(
    records: &'r BTreeMap<Id, T>,
    reference: &str,
    what: Thing,
) -> Result<&'r T, ControlError> {
    let mut found = records
        .range::<str, _>((Bound::Included(reference), Bound::Unbounded))
        .take_while(|(id, _)| id.is_meant_by(reference))
        .map(|(_, record)| record);
    only_one(&mut found, reference, what)
}

fn only_one<T>(
    found: &mut impl Iterator<Item = T>,
    reference: &str,
    what: Thing,
) -> Result<T, ControlError> {
    let reference = || reference.to_owned();
    let first = found
        .next()
        .ok_or_else(|| ControlError::no_such(what, reference()))?;
    match found.next() {
        None => Ok(first),
        Some(_) => Err(ControlError::Ambiguous {
            what,
            reference: reference(),
        }),
    }
}

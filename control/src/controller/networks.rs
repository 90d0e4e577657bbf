//! Networks: create, look at, remove.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use tapweave_encap::Encap;
use tapweave_ipam::{
    DefaultPools, Family, NetworkAddresses, Subnet, SubnetSize, SubnetSpec, derived_mac,
    overlay_gateway_mac, ula_prefix,
};
use tapweave_net::{DomainName, NetworkNo};
use tracing::{error, info, warn};

use super::Controller;
use crate::api::{CreateNetwork, EventAction, NetworkInspect, SubnetRequest};
use crate::datapath::{
    DatapathError, DhcpSettings, GatewaySettings, Names, OverlayPlace, OverlaySettings,
};
use crate::host::rfc_3339;
use crate::journal::Changes;
use crate::model::{
    Joining, Lifecycle, NOT_TRIED, NetworkRecord, PeerOrigin, PeerPlace, PeerRecord, leases_of_port,
};
use crate::network_settings::{DRIVER_BRIDGE, ValidSettings, lease_time, serves_names};
use crate::records::{
    DnsNameIntent, FdbIntent, NeighborIntent, NetworkIntent, PeerIntent, RestingIntent,
    StaticLeaseIntent,
};
use crate::{ControlError, Id, Name};

/// Words that `--network` takes and that name no network.
const RESERVED_NAMES: [&str; 2] = ["none", "host"];

impl Controller {
    /// Makes a network and returns it.
    ///
    /// # Errors
    ///
    /// When the name is taken, a subnet cannot be had, an option means nothing, or no subnet is left
    /// to choose.
    pub fn create_network(
        &self,
        mut request: CreateNetwork,
    ) -> Result<NetworkInspect, ControlError> {
        if RESERVED_NAMES.contains(&request.name.as_str()) {
            return Err(ControlError::ReservedName { name: request.name });
        }
        let defaults = self.network_defaults();
        defaults.complete(&mut request);
        let mut valid = ValidSettings::new(&request)?;
        if let Some(overlay) = &valid.overlay {
            if !valid.mtu_is_given {
                valid.settings.mtu = self.datapath.overlay_mtu(overlay.encap.kind())?;
            }
            if !overlay.is_routed() {
                warn_of_shared_addresses(&request);
            }
        }
        let is_lan = valid.settings.parent.is_some();
        let wanted = self.wanted_subnets(&request, is_lan, defaults.pools())?;
        if wanted.iter().any(|wanted| wanted.family() == Family::V6) {
            valid.validate_for_v6()?;
        }
        let in_use = if wanted.iter().any(Wanted::is_open) {
            self.host.prefixes_in_use()?
        } else {
            Vec::new()
        };
        let (id, created) = (self.new_id()?, rfc_3339(self.host.unix_time()));
        let name = &request.name;
        let addresses = self.draft_network(name, wanted, in_use, defaults.pools())?;
        let mtu = valid.settings.mtu;
        let intent = NetworkIntent::new(id, created, &request, addresses.subnets(), mtu);
        let mut network = self.lay_network(valid, addresses, intent);
        let joined = self.join_first(&mut network).map_err(ControlError::from);
        let stored = joined.and_then(|()| {
            let mut changes = Changes::default();
            changes.put(&network.intent)?;
            self.journal.write(changes)
        });
        if let Err(cause) = stored {
            for port in network.peers.values().filter_map(PeerRecord::port_no) {
                self.datapath.remove_port(port);
            }
            if let Err(cause) = self.datapath.remove_network(network.number) {
                error!(%cause, network = %name, "the packet path kept a network that was not made");
            }
            self.model().discard_draft(name);
            return Err(cause);
        }
        let place = self.overlay_options(network.number, network.overlay.as_ref());
        let id = network.id.clone();
        let view = {
            let mut model = self.model();
            let mut view = network.view(&model);
            view.options.extend(place);
            info!(network = %network.name, "network created");
            self.tell_network(EventAction::Created, &network);
            model.insert_network(network);
            view
        };
        self.publish_names(&id);
        Ok(view)
    }

    /// Makes a network as it was stored, except that it is joined to nothing yet.
    ///
    /// # Errors
    ///
    /// When it is not one that this program makes, or its name or a subnet is that of another.
    pub(super) fn restore_network(&self, intent: NetworkIntent) -> Result<(), ControlError> {
        let request = intent.request();
        let mut valid = ValidSettings::new(&request)?;
        valid.settings.mtu = intent.mtu;
        let subnets = request.subnets.into_iter();
        let subnets: Vec<_> = subnets
            .map(|subnet| Subnet::new(subnet.into()))
            .collect::<Result<_, _>>()?;
        let prefixes: Vec<_> = subnets.iter().map(Subnet::prefix).collect();
        let addresses = NetworkAddresses::new(subnets)?;
        self.model().check_network(&intent.name, prefixes)?;
        let mut network = self.lay_network(valid, addresses, intent);
        if network.overlay.is_some() || network.settings.parent.is_some() {
            network.joining = Joining::Waiting(NOT_TRIED.to_owned());
        }
        self.model().insert_network(network);
        Ok(())
    }

    /// Makes the bridge domain of a network and returns the network, which has no endpoints and is joined to
    /// nothing; its multicast group waits.
    fn lay_network(
        &self,
        mut valid: ValidSettings,
        addresses: NetworkAddresses,
        intent: NetworkIntent,
    ) -> NetworkRecord {
        let is_lan = valid.settings.parent.is_some();
        let gateway = if is_lan {
            None
        } else {
            gateway(&addresses, &valid, &intent.name)
        };
        let macs = gateway.iter().map(|gateway| gateway.mac).collect();
        valid.settings.gateway = gateway;
        let group = valid.overlay.and_then(|overlay| overlay.group);
        let group = group.map(|address| {
            let peer = PeerRecord {
                place: PeerPlace::Waiting(NOT_TRIED.to_owned()),
                udp_port: None,
                subnets: Vec::new(),
                origin: PeerOrigin::Group,
            };
            (address, peer)
        });
        NetworkRecord {
            id: intent.id.clone(),
            name: intent.name.clone(),
            number: self.datapath.add_network(&intent.id, &valid.settings),
            intent,
            settings: valid.settings,
            host_binding: valid.host_binding,
            addresses,
            options: valid.options,
            overlay: valid.overlay,
            peers: group.into_iter().collect(),
            endpoints: BTreeSet::new(),
            macs,
            stations: BTreeMap::new(),
            neighbors: BTreeMap::new(),
            names: BTreeSet::new(),
            static_leases: BTreeMap::new(),
            joining: Joining::Joined,
            lifecycle: Lifecycle::Open,
        }
    }

    /// Joins a network that was just made, and its multicast group, if it has one.
    fn join_first(&self, network: &mut NetworkRecord) -> Result<(), DatapathError> {
        self.join_outside(network)?;
        let number = network.number;
        for (address, peer) in &mut network.peers {
            let port = self.datapath.add_peer(number, &peer.settings(*address))?;
            peer.place = PeerPlace::At(port);
        }
        Ok(())
    }

    /// Joins a network to the underlay or to its LAN, if it is one that spans more than this host.
    pub(super) fn join_outside(&self, network: &NetworkRecord) -> Result<(), DatapathError> {
        match (&network.overlay, &network.settings.parent) {
            (Some(overlay), _) => {
                let subnets = network.addresses.subnets().iter().map(Subnet::prefix);
                let subnets: Vec<_> = subnets.collect();
                let number = network.number;
                self.datapath.join_overlay(number, overlay, &subnets)
            }
            (None, Some(parent)) => self.datapath.add_parent(network.number, parent),
            (None, None) => Ok(()),
        }
    }

    /// Removes a network without endpoints. Its peers go with it.
    ///
    /// # Errors
    ///
    /// `NoSuch`, `NetworkInUse`, or what the store or the packet path said; then the network is as it was, in the
    /// latter case without its peers.
    pub fn remove_network(&self, reference: &str) -> Result<(), ControlError> {
        let name = self.model().network(reference)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let (id, number) = self.model().close_network(reference)?;
        if let Err(cause) = self.unwrite_network(&id) {
            self.model().reopen_network(&id);
            return Err(cause);
        }
        let peers = self.model().forget_peers(&id);
        for port in peers {
            self.datapath.remove_port(port);
        }
        match self.datapath.remove_network(number) {
            Ok(()) => {
                let forgotten = self.model().forget_network(&id);
                if let Some(network) = forgotten {
                    self.tell_network(EventAction::Removed, &network);
                }
                info!(network = %name, "network removed");
                Ok(())
            }
            Err(cause) => {
                let changes = {
                    let mut model = self.model();
                    model.reopen_network(&id);
                    let network = model.network_by_id(id.as_str());
                    network.map_or_else(|| Ok(Changes::default()), records_of)?
                };
                self.journal.note(changes);
                Err(cause.into())
            }
        }
    }

    /// Deletes the records of a network and of all that is in it.
    fn unwrite_network(&self, id: &Id) -> Result<(), ControlError> {
        let mut changes = Changes::default();
        changes.delete(&NetworkIntent::key_of(id))?;
        if let Some(network) = self.model().network_by_id(id.as_str()) {
            for station in network.stations.keys() {
                changes.delete(&FdbIntent::key_of(id, *station))?;
            }
            for address in network.neighbors.keys() {
                changes.delete(&NeighborIntent::key_of(id, *address))?;
            }
            for (name, address) in &network.names {
                changes.delete(&DnsNameIntent::key_of(id, name, *address))?;
            }
            for address in network.static_leases.keys() {
                changes.delete(&StaticLeaseIntent::key_of(id, *address))?;
            }
            for resting in network.addresses.released() {
                changes.delete(&RestingIntent::key_of(id, resting.address))?;
            }
            for address in network.peers.keys() {
                changes.delete(&PeerIntent::key_of(id, *address))?;
            }
        }
        self.journal.write(changes)
    }

    /// Returns the networks in order of their names.
    pub fn networks(&self) -> Vec<NetworkInspect> {
        let shown: Vec<_> = {
            let model = self.model();
            let networks = model.networks();
            let shown =
                |network: &NetworkRecord| (network.number, network.overlay, network.view(&model));
            networks.map(shown).collect()
        };
        let shown = shown.into_iter();
        let with_place =
            |(number, overlay, mut view): (_, Option<OverlaySettings>, NetworkInspect)| {
                view.options
                    .extend(self.overlay_options(number, overlay.as_ref()));
                view
            };
        shown.map(with_place).collect()
    }

    /// Returns how an overlay travels and where it is on the underlay, as options of its driver, which
    /// nobody has to give.
    fn overlay_options(
        &self,
        network: NetworkNo,
        overlay: Option<&OverlaySettings>,
    ) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        let place = overlay.and_then(|_| self.datapath.overlay_place(network));
        if let (Some(overlay), Some(OverlayPlace { port, addresses })) = (overlay, place) {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let mut show = |name: &str, value| options.insert(name.to_owned(), value);
            show("tapweave.encap", overlay.encap.kind().to_string());
            show("tapweave.underlay", addresses.join(","));
            if let Some(port) = port {
                show("tapweave.encap_port", port.to_string());
            }
        }
        options
    }

    /// Returns one network.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous`.
    pub fn network(&self, reference: &str) -> Result<NetworkInspect, ControlError> {
        let (number, overlay, mut view) = {
            let model = self.model();
            let network = model.network(reference)?;
            (network.number, network.overlay, network.view(&model))
        };
        let place = self.overlay_options(number, overlay.as_ref());
        view.options.extend(place);
        Ok(view)
    }

    /// Returns the subnets that are wanted: those asked for; without any, one of IPv4, unless the network is
    /// part of a LAN; and one of IPv6 when IPv6 was asked for without a subnet.
    fn wanted_subnets(
        &self,
        request: &CreateNetwork,
        is_lan: bool,
        pools: &DefaultPools,
    ) -> Result<Vec<Wanted>, ControlError> {
        if request.l2_only && (request.ipv6 || !request.subnets.is_empty()) {
            return Err(ControlError::L2WithAddresses);
        }
        let mut wanted = Vec::new();
        for subnet in &request.subnets {
            wanted.push(Wanted::new(
                subnet,
                is_lan || request.driver != DRIVER_BRIDGE,
            )?);
        }
        if wanted.is_empty() && !request.l2_only && !is_lan {
            wanted.push(Wanted::Open(Family::V4.into()));
        }
        if request.ipv6 && !wanted.iter().any(|wanted| wanted.family() == Family::V6) {
            wanted.push(self.wanted_v6(pools)?);
        }
        // Overlaps among them are found before the packet path is asked.
        let fixed = wanted.iter().filter_map(Wanted::fixed).cloned();
        NetworkAddresses::new(fixed.collect())?;
        Ok(wanted)
    }

    /// Wants an IPv6 subnet of the pools, if there are any, else one that is generated.
    fn wanted_v6(&self, pools: &DefaultPools) -> Result<Wanted, ControlError> {
        if pools.has(Family::V6) {
            return Ok(Wanted::Open(Family::V6.into()));
        }
        let generated = Subnet::new(ula_prefix(self.random()?).into())?;
        Ok(Wanted::Fixed(Box::new(generated)))
    }

    /// Chooses the subnets that are left open, none of which overlaps `in_use`, checks all against the other
    /// networks, and takes name and subnets: one step for everybody else.
    fn draft_network(
        &self,
        name: &Name,
        wanted: Vec<Wanted>,
        in_use: Vec<IpNet>,
        pools: &DefaultPools,
    ) -> Result<NetworkAddresses, ControlError> {
        let mut model = self.model();
        let mut taken = in_use;
        if wanted.iter().any(Wanted::is_open) {
            let fixed = wanted.iter().filter_map(Wanted::fixed);
            taken.extend(fixed.map(Subnet::prefix).chain(model.subnets()));
        }
        let mut subnets = Vec::new();
        for wanted in wanted {
            subnets.push(match wanted {
                Wanted::Fixed(subnet) => *subnet,
                Wanted::Open(size) => {
                    let chosen = pools.choose(size, taken.iter().copied())?;
                    taken.push(chosen);
                    Subnet::new(chosen.into())?
                }
            });
        }
        let prefixes: Vec<_> = subnets.iter().map(Subnet::prefix).collect();
        model.check_network(name, prefixes.iter().copied())?;
        let addresses = NetworkAddresses::new(subnets)?;
        model.draft_network(name.clone(), prefixes);
        Ok(addresses)
    }
}

/// Returns the gateway of a network with `addresses`, `None` when there are none.
///
/// Its MAC is derived from the first of its addresses, in a VXLAN from the segment too, so that it is
/// the same after a restart and on every host, and the neighbour entries of the sandboxes stay true.
fn gateway(
    addresses: &NetworkAddresses,
    valid: &ValidSettings,
    name: &Name,
) -> Option<GatewaySettings> {
    let subnets = addresses.subnets();
    let first = subnets.first()?.gateway();
    Some(GatewaySettings {
        mac: match valid.overlay.map(|overlay| overlay.encap) {
            Some(Encap::Vxlan(vni)) => overlay_gateway_mac(vni.octets(), first),
            Some(Encap::Fou | Encap::Gue | Encap::Ipip) | None => derived_mac(first),
        },
        addresses: subnets.iter().map(gateway_address).collect(),
        way_out: valid.way_out,
        names: if serves_names(&valid.options) {
            Names::Answered
        } else {
            Names::Unanswered
        },
        search: DomainName::new(name.as_str()),
        dhcp: lease_time(&valid.options).map(|lease_time| DhcpSettings {
            lease_time,
            leases_of_port: leases_of_port(subnets),
        }),
    })
}

/// Returns what is stored of a network that has lost its peers, and with them its FDB entries.
fn records_of(network: &NetworkRecord) -> Result<Changes, ControlError> {
    let mut changes = Changes::default();
    changes.put(&network.intent)?;
    for address in network.neighbors.keys() {
        if let Some(neighbor) = network.neighbor_intent(*address) {
            changes.put(&neighbor)?;
        }
    }
    for name in network.name_intents() {
        changes.put(&name)?;
    }
    for lease in network.static_lease_intents() {
        changes.put(&lease)?;
    }
    for resting in network.resting_intents() {
        changes.put(&resting)?;
    }
    Ok(changes)
}

fn gateway_address(subnet: &Subnet) -> IpNet {
    // The length is that of a prefix of the same family.
    IpNet::new(subnet.gateway(), subnet.prefix().prefix_len())
        .unwrap_or_else(|_| IpNet::from(subnet.gateway()))
}

/// A subnet that a network is to have.
enum Wanted {
    /// This one.
    Fixed(Box<Subnet>),
    /// Any that is free in the pools.
    Open(SubnetSize),
}

impl Wanted {
    /// Reads what is asked for. The unspecified address with a prefix length, such as `0.0.0.0/20`, asks for
    /// any subnet of that size. `is_shared` is a network whose other hosts have the same subnet.
    fn new(request: &SubnetRequest, is_shared: bool) -> Result<Self, ControlError> {
        let subnet = request.subnet;
        if !subnet.addr().is_unspecified() || subnet.prefix_len() == 0 {
            let fixed = Subnet::new(request.clone().into())?;
            return Ok(Self::Fixed(Box::new(fixed)));
        }
        let has_addresses = request.ip_range.is_some()
            || request.gateway.is_some()
            || !request.aux_addresses.is_empty();
        if is_shared || has_addresses {
            return Err(ControlError::SubnetMustBeKnown { given: subnet });
        }
        Ok(Self::Open(SubnetSize {
            family: Family::of_prefix(&subnet),
            prefix_len: Some(subnet.prefix_len()),
        }))
    }

    fn family(&self) -> Family {
        match self {
            Self::Fixed(subnet) => Family::of_prefix(&subnet.prefix()),
            Self::Open(size) => size.family,
        }
    }

    const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    fn fixed(&self) -> Option<&Subnet> {
        match self {
            Self::Fixed(subnet) => Some(subnet),
            Self::Open(_) => None,
        }
    }
}

impl From<SubnetRequest> for SubnetSpec {
    fn from(request: SubnetRequest) -> Self {
        Self {
            subnet: request.subnet,
            ip_range: request.ip_range,
            gateway: request.gateway,
            aux_addresses: request.aux_addresses,
        }
    }
}

/// Without a store every host gives addresses from its own memory.
fn warn_of_shared_addresses(request: &CreateNetwork) {
    for subnet in &request.subnets {
        if subnet.ip_range.is_none() {
            warn!(network = %request.name, subnet = %subnet.subnet, "hosts may give the same addresses: give each its own --ip-range");
        }
    }
}

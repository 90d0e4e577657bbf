//! A network, and what it gives to its endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use tapweave_ipam::{Family, LeaseError, NetworkAddresses, Subnet, derived_mac, owner_mac};
use tapweave_net::{MacAddr, NetworkNo, Vid};
use tapweave_switch::StaticNeighbor;

use crate::api::{
    ConfigFrom, ContainerInspect, IpamConfig, IpamInspect, NetworkInspect, docker_ports,
};
use crate::datapath::{
    ClientKey, Isolation, NetworkSettings, OverlaySettings, PublishedPorts, WayOut,
};
use crate::model::publishing::{self, Holding, Publish, PublishError, Target};
use crate::model::{EndpointPlan, EndpointRecord, Model, PeerRecord, Place};
use crate::network_settings::{DRIVER_BRIDGE, DRIVER_NIC};
use crate::records::{NetworkIntent, StationPlace};
use crate::{ControlError, Id, Name};

/// A network.
#[derive(Clone, Debug)]
pub(crate) struct NetworkRecord {
    /// Its id.
    pub(crate) id: Id,
    /// Its name.
    pub(crate) name: Name,
    /// What is stored of it.
    pub(crate) intent: NetworkIntent,
    /// Its number towards the packet path.
    pub(crate) number: NetworkNo,
    /// What the packet path was told.
    pub(crate) settings: NetworkSettings,
    /// Which address of the uplink its ports are published on when none is given.
    pub(crate) host_binding: Option<Ipv4Addr>,
    /// Its addresses.
    pub(crate) addresses: NetworkAddresses,
    /// Driver options, with what was asked for by flag.
    pub(crate) options: BTreeMap<String, String>,
    /// What makes it an overlay.
    pub(crate) overlay: Option<OverlaySettings>,
    /// The hosts that take part in it, by their addresses on the underlay.
    pub(crate) peers: BTreeMap<IpAddr, PeerRecord>,
    /// Its endpoints.
    pub(crate) endpoints: BTreeSet<Id>,
    /// The MACs of its endpoints.
    pub(crate) macs: BTreeSet<MacAddr>,
    /// Its static FDB entries.
    pub(crate) stations: BTreeMap<(MacAddr, Option<Vid>), StationPlace>,
    /// Its static neighbours.
    pub(crate) neighbors: BTreeMap<IpAddr, StaticNeighbor>,
    /// Its static names, with an address each.
    pub(crate) names: BTreeSet<(Name, IpAddr)>,
    /// Its static leases.
    pub(crate) static_leases: BTreeMap<Ipv4Addr, ClientKey>,
    /// Whether it is joined to what is outside of this host.
    pub(crate) joining: Joining,
    /// Whether it takes endpoints.
    pub(crate) lifecycle: Lifecycle,
}

/// Whether a network is joined to an underlay or a LAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Joining {
    /// It is, or there is nothing to join it to.
    Joined,
    /// It was restored, and is still to be joined; why it could not.
    Waiting(String),
}

/// Whether a network takes endpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifecycle {
    /// It does.
    Open,
    /// It is being removed.
    Closing,
}

impl NetworkRecord {
    /// Gives addresses and MAC to the endpoint of a sandbox called `sandbox_name`. Gives nothing when
    /// it fails.
    pub(crate) fn admit(
        &mut self,
        plan: EndpointPlan,
        sandbox_name: Name,
    ) -> Result<EndpointRecord, ControlError> {
        let owner = self.owner(&sandbox_name);
        let mut addresses = Vec::new();
        for (family, wanted) in [
            (Family::V4, plan.ip.map(IpAddr::V4)),
            (Family::V6, plan.ip6.map(IpAddr::V6)),
        ] {
            match self.lease(family, wanted, &owner) {
                Ok(Some(address)) => addresses.push(address),
                Ok(None) => {}
                Err(source) => {
                    self.release(&addresses);
                    return Err(ControlError::Address {
                        network: self.name.clone(),
                        source,
                    });
                }
            }
        }
        let mac = plan
            .mac
            .unwrap_or_else(|| self.free_mac(&addresses, &sandbox_name, plan.spare_mac));
        self.macs.insert(mac);
        self.endpoints.insert(plan.id.clone());
        Ok(EndpointRecord {
            id: plan.id,
            network: self.name.clone(),
            network_id: self.id.clone(),
            network_no: self.number,
            sandbox: plan.sandbox,
            sandbox_name,
            ifname: plan.ifname,
            mac,
            default_gateways: self.default_gateways(&addresses),
            resolvers: self.resolvers_of(&addresses),
            gateway_priority: plan.gateway_priority,
            route_metric: plan.gateway_priority.first_metric(),
            addresses,
            addressing: plan.addressing,
            leases: BTreeMap::new(),
            aliases: plan.aliases,
            mtu: self.settings.mtu,
            queue_count: plan.queue_count,
            offload: plan.offload,
            isolation: match self.settings.isolation {
                Isolation::Isolated => Isolation::Isolated,
                Isolation::Open => plan.isolation,
            },
            vlans: plan.vlans,
            rules: plan.rules,
            published: Vec::new(),
            place: Place::Planned,
        })
    }

    /// Chooses the ports of the uplink for an endpoint with `addresses`. `held` are those of others.
    pub(crate) fn publish(
        &self,
        request: &Publish,
        addresses: &[IpNet],
        held: &[Holding],
    ) -> Result<Vec<PublishedPorts>, PublishError> {
        if self.settings.parent.is_some() {
            return Err(PublishError::OnLan {
                network: self.name.clone(),
            });
        }
        if self.intent.internal {
            return Err(PublishError::Internal {
                network: self.name.clone(),
            });
        }
        let target = Target {
            network: self.number,
            host_binding: self.host_binding,
            addresses,
        };
        publishing::choose(request, target, held)
    }

    /// Takes back what [`NetworkRecord::admit`] gave.
    pub(crate) fn dismiss(&mut self, endpoint: &EndpointRecord) {
        self.release(&endpoint.addresses);
        self.macs.remove(&endpoint.mac);
        self.endpoints.remove(&endpoint.id);
    }

    /// Forgets the static FDB entries at something that goes.
    pub(super) fn forget_stations_at(&mut self, place: &StationPlace) {
        self.stations.retain(|_, at| at != place);
    }

    /// Refuses when the network is being removed.
    pub(crate) fn check_open(&self) -> Result<(), ControlError> {
        match self.lifecycle {
            Lifecycle::Open => Ok(()),
            Lifecycle::Closing => Err(ControlError::BeingRemoved {
                network: self.name.clone(),
            }),
        }
    }

    /// Returns what the API shows.
    pub(crate) fn view(&self, model: &Model) -> NetworkInspect {
        let containers = model.endpoints_of(&self.id).filter_map(|endpoint| {
            let sandbox = model.sandbox_by_no(endpoint.sandbox)?;
            endpoint.ifname_given()?;
            Some((sandbox.id.clone(), container(endpoint)))
        });
        let config = self.addresses.subnets().iter().map(config);
        let driver = if self.addresses.subnets().is_empty() {
            "null"
        } else {
            "default"
        };
        NetworkInspect {
            name: self.name.clone(),
            id: self.id.clone(),
            created: self.intent.created.clone(),
            scope: "local".to_owned(),
            driver: match (&self.overlay, &self.settings.parent) {
                (Some(_), _) => "overlay".to_owned(),
                (None, Some(_)) => DRIVER_NIC.to_owned(),
                (None, None) => DRIVER_BRIDGE.to_owned(),
            },
            enable_ipv4: self.addresses.has(Family::V4),
            enable_ipv6: self.addresses.has(Family::V6),
            ipam: IpamInspect {
                driver: driver.to_owned(),
                options: BTreeMap::new(),
                config: config.collect(),
            },
            internal: self.intent.internal,
            attachable: true,
            ingress: false,
            config_from: ConfigFrom::default(),
            config_only: false,
            containers: containers.collect(),
            options: self.options.clone(),
            labels: self.intent.labels.clone(),
            problem: match &self.joining {
                Joining::Joined => None,
                Joining::Waiting(reason) => Some(reason.clone()),
            },
        }
    }

    /// Returns the gateway of each family that an endpoint with `addresses` has, if it leads out.
    ///
    /// On a LAN that is the LAN's router.
    pub(super) fn default_gateways(&self, addresses: &[IpNet]) -> Vec<IpAddr> {
        if self.settings.parent.is_some() {
            let routers = self.addresses.subnets().iter().map(Subnet::gateway);
            let is_neighbor = |router: &IpAddr| addresses.iter().any(|own| own.contains(router));
            return routers.filter(is_neighbor).collect();
        }
        let leading_out = self.settings.gateway.iter();
        let leading_out = leading_out.filter(|gateway| gateway.way_out != WayOut::None);
        let gateways = leading_out.flat_map(|gateway| &gateway.addresses);
        let serves = |gateway: &&IpNet| {
            let on_link = |address: &IpNet| address.contains(&gateway.addr());
            addresses.iter().any(on_link)
        };
        gateways.filter(serves).map(IpNet::addr).collect()
    }

    /// Returns the resolvers that an endpoint with `addresses` can ask.
    pub(super) fn resolvers_of(&self, addresses: &[IpNet]) -> Vec<IpAddr> {
        let is_neighbor = |own: &&IpNet| {
            let mut addresses = addresses.iter();
            addresses.any(|address| address.contains(&own.addr()))
        };
        self.resolvers()
            .filter(is_neighbor)
            .map(IpNet::addr)
            .collect()
    }

    /// Leases what is wanted, else the next address if the network has any of `family`.
    fn lease(
        &mut self,
        family: Family,
        wanted: Option<IpAddr>,
        owner: &str,
    ) -> Result<Option<IpNet>, LeaseError> {
        match wanted {
            Some(address) => self.addresses.lease(address, owner).map(Some),
            None if self.addresses.has(family) => {
                self.addresses.lease_next(family, owner).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Returns the MAC derived from the first address; else, or when another endpoint was given that one, one that
    /// the sandbox gets again by its name; else `spare`.
    fn free_mac(&self, addresses: &[IpNet], sandbox_name: &Name, spare: MacAddr) -> MacAddr {
        let derived = addresses.first().map(|first| derived_mac(first.addr()));
        let is_free =
            |mac: &MacAddr| !self.macs.contains(mac) && self.static_address_of(*mac).is_none();
        derived
            .filter(is_free)
            // By the id: another host may have a network and a sandbox of the same names.
            .or_else(|| Some(owner_mac(&format!("{}/{sandbox_name}", self.id))).filter(is_free))
            .unwrap_or(spare)
    }

    /// Returns as whom ipam knows a sandbox.
    pub(super) fn owner(&self, sandbox: &Name) -> String {
        format!("{}/{sandbox}", self.name)
    }

    fn release(&mut self, addresses: &[IpNet]) {
        for address in addresses {
            self.addresses.release(address.addr());
        }
    }
}

fn config(subnet: &Subnet) -> IpamConfig {
    let spec = subnet.spec();
    IpamConfig {
        subnet: spec.subnet,
        ip_range: spec.ip_range,
        gateway: subnet.gateway(),
        auxiliary_addresses: spec.aux_addresses.clone(),
    }
}

fn container(endpoint: &EndpointRecord) -> ContainerInspect {
    let address = |family| {
        let mut of_family = endpoint
            .addresses
            .iter()
            .filter(|address| Family::of_prefix(address) == family);
        of_family
            .next()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    ContainerInspect {
        name: endpoint.sandbox_name.clone(),
        endpoint_id: endpoint.id.clone(),
        mac_address: endpoint.mac.to_string(),
        ipv4_address: address(Family::V4),
        ipv6_address: address(Family::V6),
        vlan: endpoint.vlans.untagged(),
        trunk: endpoint.vlans.tagged().cloned(),
        ports: docker_ports(&endpoint.mappings()),
    }
}

//! What the control plane asks for, in the words of switch and devices. Decides nothing.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tapweave_control::datapath::{
    Addressing, GatewaySettings, InterfaceSettings, Isolation, Names, NetworkSettings, Offloading,
    WayOut,
};
use tapweave_device::InterfaceSpec;
use tapweave_switch::{
    Advertising, Flooding, GatewayConfig, Guard, Information, InformationByDhcp, NetworkConfig,
    Outside, PortAddresses, PortConfig,
};

/// Returns how the network is made in the switch.
pub(crate) fn network_config(settings: &NetworkSettings) -> NetworkConfig {
    NetworkConfig {
        mtu: settings.mtu,
        ageing: settings.ageing,
        fdb_limit: settings.fdb_limit,
        snooping: settings.snooping,
        storm: settings.storm,
        gateway: settings.gateway.as_ref().map(gateway_config),
        suppression: settings.suppression,
    }
}

/// Returns how the port is made in the switch.
pub(crate) fn port_config(interface: &InterfaceSettings) -> PortConfig {
    let guard = |addresses: &Vec<_>| Guard::new(interface.mac, addresses.iter().copied());
    PortConfig {
        isolation: match interface.isolation {
            Isolation::Open => tapweave_switch::Isolation::Open,
            Isolation::Isolated => tapweave_switch::Isolation::Isolated,
        },
        flooding: Flooding::On,
        vlans: interface.vlans.clone(),
        guard: interface
            .guarded_addresses
            .as_ref()
            .map(guard)
            .map(Arc::new),
        stations: interface.stations,
        mac_limit: interface.mac_limit,
        addresses: port_addresses(interface),
    }
}

/// Returns how the interface is made in the sandbox, whose super-frames are to have so many segments.
pub(crate) fn interface_spec(
    interface: &InterfaceSettings,
    segments_max: Option<u16>,
) -> InterfaceSpec {
    InterfaceSpec {
        ifname: interface.ifname.clone(),
        mac: interface.mac,
        mtu: interface.mtu,
        addresses: if_set(interface, &interface.addresses),
        default_gateways: if_set(interface, &interface.default_gateways),
        route_metric: interface.route_metric,
        queue_count: interface.queue_count,
        offloading: match interface.offload {
            Offloading::On => tapweave_device::Offloading::On,
            Offloading::Off => tapweave_device::Offloading::Off,
        },
        segments_max,
    }
}

/// Returns what an interface is given, or nothing where it asks for that itself.
fn if_set<T: Clone>(interface: &InterfaceSettings, given: &[T]) -> Vec<T> {
    match interface.addressing {
        Addressing::Static => given.to_vec(),
        Addressing::Dhcp => Vec::new(),
    }
}

fn gateway_config(gateway: &GatewaySettings) -> GatewayConfig {
    GatewayConfig {
        mac: gateway.mac,
        addresses: gateway.addresses.clone(),
        outside: match gateway.way_out {
            WayOut::Masquerade => Outside::Masqueraded,
            WayOut::Routed => Outside::Routed,
            WayOut::None => Outside::Closed,
        },
        // Every endpoint of a subnet gets an address from us.
        advertising: Advertising::Assigned,
        information: information(gateway),
    }
}

/// Returns what hosts are told of the resolver and the search domain.
fn information(gateway: &GatewaySettings) -> Information {
    let addresses = gateway.addresses.iter().map(IpNet::addr);
    let v6 = addresses.filter_map(|address| match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    });
    let (resolvers, search) = match gateway.names {
        Names::Answered => (v6.collect(), gateway.search.clone()),
        Names::Unanswered => (Vec::new(), None),
    };
    Information {
        resolvers,
        search,
        dhcp: match gateway.dhcp {
            Some(_) => InformationByDhcp::Available,
            None => InformationByDhcp::Unavailable,
        },
    }
}

/// Returns the addresses that the gateway need not ask for.
fn port_addresses(interface: &InterfaceSettings) -> Option<Arc<PortAddresses>> {
    let addresses: Vec<_> = interface.addresses.iter().map(IpNet::addr).collect();
    (!addresses.is_empty()).then(|| {
        Arc::new(PortAddresses {
            mac: interface.mac,
            addresses,
        })
    })
}

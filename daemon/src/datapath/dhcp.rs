//! The DHCP servers of networks: where they are, and who is at which port.

use std::net::IpAddr;

use ipnet::IpNet;
use tapweave_control::datapath::{
    Addressing, DhcpSettings, GatewaySettings, InterfaceSettings, Names, NetworkSettings, WayOut,
};
use tapweave_dhcp::{Settings, Station};
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::Service;

use super::SwitchDatapath;

impl SwitchDatapath {
    /// Makes the DHCP server of a network that has one.
    pub(super) fn serve_dhcp(&self, network: NetworkNo, settings: &NetworkSettings) {
        let Some(gateway) = &settings.gateway else {
            return;
        };
        if let Some(dhcp) = gateway.dhcp {
            let settings = server_settings(settings.mtu, gateway, dhcp);
            self.dhcp.set_network(network, settings);
            let queue = self.dhcp.queue();
            self.switch.serve(network, Service::Dhcp, Some(queue));
        }
    }

    /// Tells the server of a network who is at a new port.
    pub(super) fn tell_station(
        &self,
        network: NetworkNo,
        port: PortNo,
        interface: &InterfaceSettings,
    ) {
        let addresses = interface.addresses.iter().map(IpNet::addr);
        let mut v4 = addresses.filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let station = Station {
            mac: interface.mac,
            address: v4.next(),
            addressing: match interface.addressing {
                Addressing::Static => tapweave_dhcp::Addressing::Fixed,
                Addressing::Dhcp => tapweave_dhcp::Addressing::Asked,
            },
            name: interface.sandbox.to_string(),
        };
        let leases = interface.leases.clone();
        self.dhcp.set_station(network, port, station, leases);
    }
}

/// Returns what the server of a network says.
fn server_settings(mtu: u16, gateway: &GatewaySettings, dhcp: DhcpSettings) -> Settings {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in &gateway.addresses {
        match address {
            IpNet::V4(address) => v4.push(*address),
            IpNet::V6(address) => v6.push(address.addr()),
        }
    }
    Settings {
        gateways: v4,
        mac: gateway.mac,
        way_out: match gateway.way_out {
            WayOut::Masquerade | WayOut::Routed => tapweave_dhcp::WayOut::Open,
            WayOut::None => tapweave_dhcp::WayOut::Closed,
        },
        names: gateway.names,
        resolvers_v6: match gateway.names {
            Names::Answered => v6,
            Names::Unanswered => Vec::new(),
        },
        domain: gateway.search.clone(),
        mtu,
        lease_time: dhcp.lease_time,
        leases_of_port: dhcp.leases_of_port,
    }
}

//! Ports of external addresses that lead to sandboxes, found from either side.

use core::net::IpAddr;
use core::ops::RangeInclusive;
use std::collections::BTreeMap;

use tapweave_net::NetworkNo;

use super::{PortProtocol, RulesError};

/// Ports of external addresses that lead to a sandbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// Of which protocol.
    pub protocol: PortProtocol,
    /// The external address, `None` for all of the target's family.
    pub host_addr: Option<IpAddr>,
    /// First and last port on that address, neither of them 0.
    pub host_ports: RangeInclusive<u16>,
    /// The sandbox's network.
    pub network: NetworkNo,
    /// The sandbox's address.
    pub target: IpAddr,
    /// The sandbox's port that the first of [`Published::host_ports`] leads to. The second leads to the
    /// next, and so on.
    pub target_port: u16,
}

impl Published {
    /// Returns the sandbox's ports, `None` when either range is not within 1 to 65535.
    fn target_ports(&self) -> Option<RangeInclusive<u16>> {
        let (first, last) = (*self.host_ports.start(), *self.host_ports.end());
        let more = last.checked_sub(first)?;
        let target_last = self.target_port.checked_add(more)?;
        (first != 0 && self.target_port != 0).then_some(self.target_port..=target_last)
    }

    /// Tells whether a packet could be for both.
    fn overlaps(&self, other: &Self) -> bool {
        let same_address = match (self.host_addr, other.host_addr) {
            (Some(one), Some(another)) => one == another,
            _ => self.target.is_ipv4() == other.target.is_ipv4(),
        };
        self.protocol == other.protocol
            && same_address
            && self.host_ports.start() <= other.host_ports.end()
            && other.host_ports.start() <= self.host_ports.end()
    }
}

/// Which addresses a port is published on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Binding {
    /// All IPv4 addresses.
    AnyV4,
    /// All IPv6 addresses.
    AnyV6,
    /// One address.
    At(IpAddr),
}

impl Binding {
    const fn any_for(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::AnyV4,
            IpAddr::V6(_) => Self::AnyV6,
        }
    }
}

/// A sandbox's end of published ports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Server {
    protocol: PortProtocol,
    network: NetworkNo,
    address: IpAddr,
}

/// All published ports.
#[derive(Clone, Default, Debug)]
pub(super) struct PublishedPorts {
    /// By where a range of host ports begins. Ranges of one binding do not overlap.
    by_host: BTreeMap<(PortProtocol, Binding, u16), Published>,
    /// By server, in the order of the configuration.
    by_server: BTreeMap<Server, Vec<Published>>,
}

impl PublishedPorts {
    /// Returns the ports of `list`.
    pub(super) fn new(list: &[Published]) -> Result<Self, RulesError> {
        let mut ports = Self::default();
        for (index, one) in list.iter().enumerate() {
            if one.target_ports().is_none() {
                return Err(RulesError::Range { index });
            }
            if let Some(host_addr) = one.host_addr
                && host_addr.is_ipv4() != one.target.is_ipv4()
            {
                let target = one.target;
                return Err(RulesError::Family {
                    index,
                    host_addr,
                    target,
                });
            }
            if let Some(first) = list[..index].iter().position(|other| one.overlaps(other)) {
                let second = index;
                return Err(RulesError::Overlap { first, second });
            }
            ports.add(one);
        }
        Ok(ports)
    }

    fn add(&mut self, one: &Published) {
        let binding = one
            .host_addr
            .map_or_else(|| Binding::any_for(one.target), Binding::At);
        let key = (one.protocol, binding, *one.host_ports.start());
        self.by_host.insert(key, one.clone());
        let server = Server {
            protocol: one.protocol,
            network: one.network,
            address: one.target,
        };
        self.by_server.entry(server).or_default().push(one.clone());
    }

    /// Returns where `port` of the external address `address` leads.
    pub(super) fn target(
        &self,
        protocol: PortProtocol,
        address: IpAddr,
        port: u16,
    ) -> Option<(NetworkNo, IpAddr, u16)> {
        [Binding::At(address), Binding::any_for(address)]
            .into_iter()
            .find_map(|binding| {
                let keys = (protocol, binding, 0)..=(protocol, binding, port);
                let (_, one) = self.by_host.range(keys).next_back()?;
                one.host_ports.contains(&port).then(|| {
                    let place = port - one.host_ports.start();
                    (one.network, one.target, one.target_port + place)
                })
            })
    }

    /// Returns the external address, `None` for any, and port that lead to `port` of a sandbox.
    pub(super) fn host(
        &self,
        protocol: PortProtocol,
        network: NetworkNo,
        address: IpAddr,
        port: u16,
    ) -> Option<(Option<IpAddr>, u16)> {
        let server = Server {
            protocol,
            network,
            address,
        };
        self.by_server.get(&server)?.iter().find_map(|one| {
            let place = port.checked_sub(one.target_port)?;
            let host_port = one.host_ports.start().checked_add(place)?;
            (host_port <= *one.host_ports.end()).then_some((one.host_addr, host_port))
        })
    }

    /// Tells whether any port of a sandbox is published.
    pub(super) fn has_server(&self, network: NetworkNo, address: IpAddr) -> bool {
        [PortProtocol::Tcp, PortProtocol::Udp]
            .into_iter()
            .any(|protocol| {
                self.by_server.contains_key(&Server {
                    protocol,
                    network,
                    address,
                })
            })
    }
}

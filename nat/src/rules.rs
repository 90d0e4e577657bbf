//! What the control plane wants of NAT: external addresses, published ports, who is masqueraded.
//!
//! [`NatRules`] is an immutable snapshot, made off the packet path and swapped as a whole. Rules decide
//! about *new* flows; a flow that exists goes on by what its record says, until it ends or is flushed.
//!
//! A published port wins over a mapping of the same external port. Mappings never take a published or
//! reserved port, so the two meet only when a port is published while a mapping has it;
//! [`Nat::retire`](crate::Nat::retire) ends that.

mod blocked;
mod published;

use core::net::IpAddr;
use core::ops::RangeInclusive;
use std::collections::BTreeMap;

use tapweave_net::{IpProtocol, NetworkNo};
use thiserror::Error;

use crate::Limits;
use blocked::BlockedPorts;
pub use published::Published;
use published::PublishedPorts;

/// A protocol whose ports can be published and reserved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PortProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl PortProtocol {
    /// Returns the number that IP headers have for it.
    pub const fn number(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::TCP,
            Self::Udp => IpProtocol::UDP,
        }
    }

    /// Returns the protocol with this number, if it is one of them.
    pub const fn of(number: IpProtocol) -> Option<Self> {
        match number {
            IpProtocol::TCP => Some(Self::Tcp),
            IpProtocol::UDP => Some(Self::Udp),
            _ => None,
        }
    }
}

/// What [`NatRules`] are made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RulesConfig {
    /// The addresses that sandboxes have outside. All ports of them are NAT's, but for
    /// [`RulesConfig::reserved`]. A sandbox keeps to one address of each family while it has
    /// mappings there (RFC 4787 REQ-2).
    pub external: Vec<IpAddr>,
    /// The ports and ICMP identifiers from which mappings take theirs.
    pub ports: RangeInclusive<u16>,
    /// Ports that lead to sandboxes.
    pub published: Vec<Published>,
    /// Ports of external addresses that something else listens on.
    pub reserved: Vec<Reserved>,
    /// What is said of each network. A network that is missing is not translated and reaches nothing.
    pub networks: Vec<NetworkRules>,
    /// Sandboxes that have other limits than [`NatConfig::limits`](crate::NatConfig::limits).
    pub limited: Vec<Limited>,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self {
            external: Vec::new(),
            ports: NatRules::DEFAULT_PORTS,
            published: Vec::new(),
            reserved: Vec::new(),
            networks: Vec::new(),
            limited: Vec::new(),
        }
    }
}

/// Ports that no mapping may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reserved {
    /// Of which protocol.
    pub protocol: PortProtocol,
    /// First and last port.
    pub ports: RangeInclusive<u16>,
}

/// What is said of one network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetworkRules {
    /// The network.
    pub network: NetworkNo,
    /// How its packets leave.
    pub masquerade: Masquerade,
}

/// What a sandbox may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limited {
    /// Its network.
    pub network: NetworkNo,
    /// Its address there. A sandbox with several addresses may have as much by each of them.
    pub address: IpAddr,
    /// What it may have.
    pub limits: Limits,
}

/// How the packets of a network leave for the outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Masquerade {
    /// With an external source address.
    Yes,
    /// As they are, without any state: who routes the network's prefix sees its addresses. Ports that
    /// the network publishes and hairpins are translated all the same.
    No,
}

/// A set of rules that contradicts itself.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Two published ports overlap. Numbers are places in [`RulesConfig::published`].
    #[error("published ports {first} and {second} overlap")]
    Overlap {
        /// The one.
        first: usize,
        /// The other.
        second: usize,
    },
    /// A published port leads to another family than it is bound to.
    #[error("published port {index} leads from {host_addr} to {target}")]
    Family {
        /// The place in [`RulesConfig::published`].
        index: usize,
        /// The address that it is bound to.
        host_addr: IpAddr,
        /// The address that it leads to.
        target: IpAddr,
    },
    /// A range of ports is empty, contains port 0 or leads beyond port 65535.
    #[error("published port {index} has a range that is empty or does not fit 1 to 65535")]
    Range {
        /// The place in [`RulesConfig::published`].
        index: usize,
    },
}

/// An immutable set of rules, in the form in which packets ask.
#[derive(Clone, Debug)]
pub struct NatRules {
    external: Box<[IpAddr]>,
    ports: RangeInclusive<u16>,
    published: PublishedPorts,
    blocked: BlockedPorts,
    networks: BTreeMap<NetworkNo, Masquerade>,
    limited: BTreeMap<(NetworkNo, IpAddr), Limits>,
}

impl Default for NatRules {
    /// Returns rules by which nothing is translated.
    fn default() -> Self {
        Self {
            external: Box::default(),
            ports: Self::DEFAULT_PORTS,
            published: PublishedPorts::default(),
            blocked: BlockedPorts::default(),
            networks: BTreeMap::new(),
            limited: BTreeMap::new(),
        }
    }
}

impl NatRules {
    /// All ports that are not well known (RFC 6056 §3.2 asks for as many as possible).
    pub const DEFAULT_PORTS: RangeInclusive<u16> = 1024..=65535;

    /// Returns the rules that `config` says.
    ///
    /// # Errors
    ///
    /// What [`RulesError`] says; nothing is kept of a set that contradicts itself.
    pub fn new(config: &RulesConfig) -> Result<Self, RulesError> {
        let published = PublishedPorts::new(&config.published)?;
        let mut blocked = BlockedPorts::default();
        for Published {
            protocol,
            host_ports,
            ..
        } in &config.published
        {
            blocked.block(*protocol, host_ports.clone());
        }
        for Reserved { protocol, ports } in &config.reserved {
            blocked.block(*protocol, ports.clone());
        }
        let networks = config.networks.iter();
        let limited = config.limited.iter();
        Ok(Self {
            external: config.external.clone().into(),
            ports: config.ports.clone(),
            published,
            blocked,
            networks: networks
                .map(|rules| (rules.network, rules.masquerade))
                .collect(),
            limited: limited
                .map(|one| ((one.network, one.address), one.limits))
                .collect(),
        })
    }

    /// Returns the external addresses.
    pub fn external(&self) -> &[IpAddr] {
        &self.external
    }

    /// Tells whether `address` is an external one.
    pub fn is_external(&self, address: IpAddr) -> bool {
        self.external.contains(&address)
    }

    /// Returns how the packets of `network` leave, `None` for a network that the rules do not name.
    pub fn masquerade(&self, network: NetworkNo) -> Option<Masquerade> {
        self.networks.get(&network).copied()
    }

    /// Returns the limits of a sandbox that has limits of its own.
    pub fn limits_of(&self, network: NetworkNo, address: IpAddr) -> Option<Limits> {
        self.limited.get(&(network, address)).copied()
    }

    /// Returns the ports from which mappings take theirs.
    pub fn ports(&self) -> &RangeInclusive<u16> {
        &self.ports
    }

    /// Tells whether a mapping may take `port`: no port that is published or reserved on whichever
    /// address, and never port 0.
    pub fn may_map(&self, protocol: IpProtocol, port: u16) -> bool {
        port != 0 && !PortProtocol::of(protocol).is_some_and(|of| self.blocked.contains(of, port))
    }

    /// Returns where packets to `port` of the external address `address` lead.
    pub fn published_at(
        &self,
        protocol: IpProtocol,
        address: IpAddr,
        port: u16,
    ) -> Option<(NetworkNo, IpAddr, u16)> {
        self.published
            .target(PortProtocol::of(protocol)?, address, port)
    }

    /// Returns the external address, `None` for any, and port through which `port` of `address` in
    /// `network` is published; the first in the order of the configuration if there are several.
    pub fn published_as(
        &self,
        protocol: IpProtocol,
        network: NetworkNo,
        address: IpAddr,
        port: u16,
    ) -> Option<(Option<IpAddr>, u16)> {
        self.published
            .host(PortProtocol::of(protocol)?, network, address, port)
    }

    /// Tells whether any port of `address` in `network` is published.
    pub fn publishes(&self, network: NetworkNo, address: IpAddr) -> bool {
        self.published.has_server(network, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkNo = NetworkNo(3);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn published(host_addr: Option<&str>, host_ports: RangeInclusive<u16>) -> Published {
        Published {
            protocol: PortProtocol::Tcp,
            host_addr: host_addr.map(address),
            host_ports,
            network: NETWORK,
            target: address("10.0.0.2"),
            target_port: 80,
        }
    }

    fn rules(published: Vec<Published>) -> Result<NatRules, RulesError> {
        NatRules::new(&RulesConfig {
            published,
            ..RulesConfig::default()
        })
    }

    #[test]
    fn a_range_leads_to_the_same_place_in_the_target_range() {
        let rules = rules(vec![published(None, 8080..=8089)]).unwrap();
        let any = address("192.0.2.1");
        let target = |port| rules.published_at(IpProtocol::TCP, any, port);
        assert_eq!(target(8083), Some((NETWORK, address("10.0.0.2"), 83)));
        assert_eq!(target(8090), None);
        assert_eq!(target(8079), None);
        assert_eq!(rules.published_at(IpProtocol::UDP, any, 8083), None);
        assert_eq!(
            rules.published_at(IpProtocol::TCP, address("2001:db8::1"), 8083),
            None
        );
        let host = |port| rules.published_as(IpProtocol::TCP, NETWORK, address("10.0.0.2"), port);
        assert_eq!(host(83), Some((None, 8083)));
        assert_eq!(host(90), None);
    }

    #[test]
    fn a_bound_port_leads_inside_from_its_own_address_only() {
        let [a, b] = ["192.0.2.1", "192.0.2.2"];
        let mut on_b = published(Some(b), 80..=80);
        on_b.target_port = 81;
        let rules = rules(vec![published(Some(a), 80..=80), on_b]).unwrap();
        let target = |host| rules.published_at(IpProtocol::TCP, address(host), 80);
        assert_eq!(target(a).map(|(_, _, port)| port), Some(80));
        assert_eq!(target(b).map(|(_, _, port)| port), Some(81));
        assert_eq!(target("192.0.2.3"), None);
    }

    #[test]
    fn overlapping_ports_are_refused_and_named() {
        let overlap = |first, second| Err(RulesError::Overlap { first, second });
        let check = |list| rules(list).map(|_| ());
        let some = || published(Some("192.0.2.1"), 80..=90);
        assert_eq!(check(vec![some(), published(None, 90..=95)]), overlap(0, 1));
        assert_eq!(
            check(vec![
                published(None, 10..=11),
                published(None, 90..=95),
                some()
            ]),
            overlap(1, 2)
        );
        assert_eq!(check(vec![some(), some()]), overlap(0, 1));
        let other = published(Some("192.0.2.2"), 80..=90);
        assert_eq!(check(vec![some(), other]), Ok(()));
    }

    #[test]
    fn ranges_and_families_that_make_no_sense_are_refused() {
        let check = |one| rules(vec![one]).map(|_| ());
        let range = Err(RulesError::Range { index: 0 });
        assert_eq!(check(published(None, 0..=3)), range);
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let empty = 9..=8;
        assert_eq!(check(published(None, empty)), range);
        let mut beyond = published(None, 80..=90);
        beyond.target_port = 65530;
        assert_eq!(check(beyond), range);
        let other_family = published(Some("2001:db8::1"), 80..=80);
        assert!(matches!(
            check(other_family),
            Err(RulesError::Family { .. })
        ));
    }

    #[test]
    fn mappings_may_not_take_published_or_reserved_ports() {
        let rules = NatRules::new(&RulesConfig {
            published: vec![published(None, 8080..=8081)],
            reserved: vec![Reserved {
                protocol: PortProtocol::Udp,
                ports: 5000..=5000,
            }],
            ..RulesConfig::default()
        })
        .unwrap();
        assert!(!rules.may_map(IpProtocol::TCP, 8081));
        assert!(rules.may_map(IpProtocol::UDP, 8081));
        assert!(!rules.may_map(IpProtocol::UDP, 5000));
        assert!(rules.may_map(IpProtocol::TCP, 5000));
        assert!(rules.may_map(IpProtocol::ICMPV4, 5000));
        assert!(!rules.may_map(IpProtocol::ICMPV4, 0));
    }
}

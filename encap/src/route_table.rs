//! Which IP prefixes are behind which host, for tunnels that carry IP.
//!
//! FOU, GUE and IPIP have no VNI on the wire: the networks behind one socket are told apart by
//! their inner prefixes, so no two of them may overlap. What comes out of a tunnel is taken only if
//! its source belongs to the host that sent it and its destination is here: nobody can speak for a
//! prefix that is not his, and nobody can use us to reach a third host (the fault of
//! CVE-2020-10136).
//!
//! As [`VxlanTable`](crate::VxlanTable), a table stands for one local socket, is built by the
//! control side, and is then only read.

use std::collections::BTreeMap;
use std::sync::Arc;

use core::net::IpAddr;

use ipnet::IpNet;
use tapweave_net::{Ipv4View, Ipv6View, NetworkNo};
use thiserror::Error;

use crate::{Accepted, Peer, PrefixMap, Refusal, Vtep};

/// The prefixes behind one socket and its peers.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    routes: PrefixMap<Route>,
    /// How many prefixes a sender has.
    known: BTreeMap<IpAddr, u32>,
}

/// Where a prefix is.
#[derive(Clone, Debug)]
pub struct Route {
    /// The network that it belongs to.
    pub network: NetworkNo,
    /// The host that it is behind, `None` when it is here.
    pub via: Option<Arc<Peer>>,
}

/// A prefix cannot be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A prefix that is there, of this or another network, overlaps it.
    #[error("{prefix} overlaps {other}")]
    Overlap {
        /// The prefix.
        prefix: IpNet,
        /// The one that is there.
        other: IpNet,
    },
    /// No host can have the address of the peer.
    #[error("{addr} is not the address of one host")]
    NotAHost {
        /// The address.
        addr: IpAddr,
    },
}

impl RouteTable {
    /// Adds a prefix of `network` that is here.
    ///
    /// # Errors
    ///
    /// [`RouteError::Overlap`].
    pub fn add_local(&mut self, network: NetworkNo, prefix: IpNet) -> Result<(), RouteError> {
        self.add(prefix, Route { network, via: None })
    }

    /// Adds a prefix of `network` that is behind `peer`. One host is the same `Arc` for all of its
    /// prefixes.
    ///
    /// # Errors
    ///
    /// [`RouteError::Overlap`], [`RouteError::NotAHost`].
    pub fn add_remote(
        &mut self,
        network: NetworkNo,
        prefix: IpNet,
        peer: Arc<Peer>,
    ) -> Result<(), RouteError> {
        let addr = peer.vtep().addr();
        if !Vtep::is_possible(addr) {
            return Err(RouteError::NotAHost { addr });
        }
        let via = Some(peer);
        self.add(prefix, Route { network, via })?;
        *self.known.entry(addr).or_default() += 1;
        Ok(())
    }

    fn add(&mut self, prefix: IpNet, route: Route) -> Result<(), RouteError> {
        let overlap = |other| RouteError::Overlap { prefix, other };
        self.routes.insert(prefix, route).map_err(overlap)
    }

    /// Removes all prefixes of `network`, here and elsewhere.
    pub fn remove_network(&mut self, network: NetworkNo) {
        self.retain(|route| route.network != network);
    }

    /// Removes the prefixes of `network` that are behind the host at `addr`.
    pub fn remove_peer(&mut self, network: NetworkNo, addr: IpAddr) {
        let addr = addr.to_canonical();
        self.retain(|route| {
            let is_there = route
                .via
                .as_ref()
                .is_some_and(|peer| peer.vtep().addr() == addr);
            route.network != network || !is_there
        });
    }

    fn retain(&mut self, is_kept: impl FnMut(&Route) -> bool) {
        self.routes.retain(is_kept);
        self.known.clear();
        for (_, route) in self.routes.iter() {
            if let Some(peer) = &route.via {
                *self.known.entry(peer.vtep().addr()).or_default() += 1;
            }
        }
    }

    /// Returns all prefixes: those of IPv4 first, each family in the order of addresses.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &Route)> {
        self.routes.iter()
    }

    /// Returns the host to which a packet of `network` for `dst` is sent.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoRoute`] when the destination is in no prefix of the network, or in one that is
    /// here.
    #[inline]
    pub fn route(&self, network: NetworkNo, dst: IpAddr) -> Result<&Arc<Peer>, Refusal> {
        let (_, route) = self.routes.get(dst).ok_or(Refusal::NoRoute)?;
        match &route.via {
            Some(peer) if route.network == network => Ok(peer),
            _ => Err(Refusal::NoRoute),
        }
    }

    /// Tells whether `packet`, which came out of a tunnel from the host at `source`, may enter, and
    /// which network it enters.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownPeer`] when the host is no peer at all, [`Refusal::InnerSource`] when the
    /// packet's source is not behind it, [`Refusal::InnerDestination`] when the destination is not
    /// here or in another network, [`Refusal::InnerMalformed`].
    #[inline]
    pub fn accept(&self, source: IpAddr, packet: &[u8]) -> Result<Accepted<'_>, Refusal> {
        self.accept_between(source, InnerAddresses::of(packet)?)
    }

    /// As [`RouteTable::accept`] of a packet with these addresses: the answer is the same for all of them.
    ///
    /// # Errors
    ///
    /// As [`RouteTable::accept`].
    #[inline]
    pub fn accept_between(
        &self,
        source: IpAddr,
        inner: InnerAddresses,
    ) -> Result<Accepted<'_>, Refusal> {
        let source = source.to_canonical();
        let sender = self.routes.get(inner.src).and_then(|(_, route)| {
            let peer = route.via.as_ref()?;
            (peer.vtep().addr() == source).then_some((route.network, peer))
        });
        let Some((network, peer)) = sender else {
            return Err(if self.known.contains_key(&source) {
                Refusal::InnerSource
            } else {
                Refusal::UnknownPeer
            });
        };
        match self.routes.get(inner.dst) {
            Some((_, route)) if route.via.is_none() && route.network == network => Ok(Accepted {
                network,
                peer: Some(peer),
            }),
            _ => Err(Refusal::InnerDestination),
        }
    }
}

/// The addresses of a packet that came out of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InnerAddresses {
    /// Who sends it.
    pub src: IpAddr,
    /// Whom it is for.
    pub dst: IpAddr,
}

impl InnerAddresses {
    /// Returns those of `packet`, which begins with its IP header.
    ///
    /// # Errors
    ///
    /// [`Refusal::InnerMalformed`].
    #[inline]
    pub fn of(packet: &[u8]) -> Result<Self, Refusal> {
        let found = match packet.first().map(|octet| octet >> 4) {
            Some(4) => Ipv4View::parse_quoted(packet).ok().map(|ip| Self {
                src: ip.src().into(),
                dst: ip.dst().into(),
            }),
            Some(6) => Ipv6View::parse_quoted(packet).ok().map(|ip| Self {
                src: ip.src().into(),
                dst: ip.dst().into(),
            }),
            _ => None,
        };
        found.ok_or(Refusal::InnerMalformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: NetworkNo = NetworkNo(1);
    const RED: NetworkNo = NetworkNo(2);

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn peer(text: &str) -> Arc<Peer> {
        Arc::new(Peer::new(Vtep::new(addr(text), 6080), 1500))
    }

    /// Two networks, each with prefixes here and behind other hosts.
    fn table() -> RouteTable {
        let mut table = RouteTable::default();
        let [first, second] = ["192.0.2.1", "192.0.2.2"].map(peer);
        for (network, prefix, via) in [
            (BLUE, "10.0.0.0/24", None),
            (BLUE, "fd00::/64", None),
            (BLUE, "10.0.1.0/24", Some(&first)),
            (BLUE, "fd00:0:0:1::/64", Some(&first)),
            (BLUE, "10.0.2.0/24", Some(&second)),
            (RED, "10.9.0.0/24", None),
            (RED, "10.9.1.0/24", Some(&first)),
        ] {
            match via {
                None => table.add_local(network, net(prefix)),
                Some(peer) => table.add_remote(network, net(prefix), Arc::clone(peer)),
            }
            .unwrap();
        }
        table
    }

    fn packet(src: &str, dst: &str) -> Vec<u8> {
        match (addr(src), addr(dst)) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut packet = vec![0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0];
                packet.extend([src.octets(), dst.octets()].as_flattened());
                packet
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut packet = vec![0x60, 0, 0, 0, 0, 0, 59, 64];
                packet.extend([src.octets(), dst.octets()].as_flattened());
                packet
            }
            _ => panic!("{src} and {dst} are of two families"),
        }
    }

    #[test]
    fn packets_go_to_the_host_that_has_their_destination() {
        let table = table();
        let via = |network, dst: &str| {
            let peer = table.route(network, addr(dst))?;
            Ok::<_, Refusal>(peer.vtep().addr().to_string())
        };
        assert_eq!(via(BLUE, "10.0.1.7").as_deref(), Ok("192.0.2.1"));
        assert_eq!(via(BLUE, "10.0.2.7").as_deref(), Ok("192.0.2.2"));
        assert_eq!(via(BLUE, "fd00:0:0:1::7").as_deref(), Ok("192.0.2.1"));
        for dst in ["10.0.0.7", "10.0.3.7", "10.9.1.7", "fd00::7"] {
            assert_eq!(via(BLUE, dst), Err(Refusal::NoRoute), "{dst}");
        }
        assert_eq!(via(RED, "10.9.1.7").as_deref(), Ok("192.0.2.1"));
    }

    #[test]
    fn a_host_speaks_only_for_its_own_prefixes_and_only_to_ours() {
        let table = table();
        let accept = |source, src, dst| {
            let accepted = table.accept(addr(source), &packet(src, dst))?;
            assert_eq!(accepted.peer.unwrap().vtep().addr(), addr("192.0.2.1"));
            Ok(accepted.network)
        };
        for source in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(accept(source, "10.0.1.7", "10.0.0.7"), Ok(BLUE));
            assert_eq!(accept(source, "10.9.1.7", "10.9.0.7"), Ok(RED));
            assert_eq!(accept(source, "fd00:0:0:1::7", "fd00::7"), Ok(BLUE));
        }
        for (source, src, dst, want) in [
            ("192.0.2.9", "10.0.1.7", "10.0.0.7", Refusal::UnknownPeer),
            ("192.0.2.2", "10.0.1.7", "10.0.0.7", Refusal::InnerSource),
            ("192.0.2.1", "10.0.0.8", "10.0.0.7", Refusal::InnerSource),
            ("192.0.2.1", "203.0.113.1", "10.0.0.7", Refusal::InnerSource),
            (
                "192.0.2.1",
                "10.0.1.7",
                "10.0.2.7",
                Refusal::InnerDestination,
            ),
            (
                "192.0.2.1",
                "10.0.1.7",
                "10.9.0.7",
                Refusal::InnerDestination,
            ),
            (
                "192.0.2.1",
                "10.0.1.7",
                "224.0.0.1",
                Refusal::InnerDestination,
            ),
        ] {
            assert_eq!(accept(source, src, dst), Err(want), "{src} > {dst}");
        }
        for short in [&[][..], &[0x45; 19], &[0x60; 39], &[0xa5; 60]] {
            let refused = table.accept(addr("192.0.2.1"), short).err();
            assert_eq!(refused, Some(Refusal::InnerMalformed));
        }
    }

    #[test]
    fn overlapping_prefixes_are_refused_across_networks() {
        let mut table = table();
        let refused = table.add_local(RED, net("10.0.0.0/16")).unwrap_err();
        assert_eq!(refused.to_string(), "10.0.0.0/16 overlaps 10.0.0.0/24");
        let refused = table.add_remote(RED, net("10.0.1.128/25"), peer("192.0.2.3"));
        let refused = refused.unwrap_err().to_string();
        assert_eq!(refused, "10.0.1.128/25 overlaps 10.0.1.0/24");
        let group = table.add_remote(RED, net("10.8.0.0/24"), peer("ff02::1"));
        let addr = addr("ff02::1");
        assert_eq!(group, Err(RouteError::NotAHost { addr }));
        assert_eq!(table.iter().count(), 7);
    }

    #[test]
    fn what_was_removed_is_unknown_again() {
        let mut table = table();
        let source = addr("192.0.2.1");
        let blue = packet("10.0.1.7", "10.0.0.7");
        table.remove_peer(BLUE, source);
        assert_eq!(
            table.accept(source, &blue).err(),
            Some(Refusal::InnerSource)
        );
        table.route(BLUE, addr("10.0.2.7")).unwrap();
        table.remove_network(RED);
        assert_eq!(
            table.accept(source, &blue).err(),
            Some(Refusal::UnknownPeer)
        );
        assert_eq!(table.iter().count(), 3);
    }
}

//! Addresses that are fixed by hand for machines behind ports, and who of them has asked for its own.
//!
//! Whoever has the MAC address or the identifier gets the address, at whichever port it asks: where machines may be
//! behind a port there is no guard, so whoever is there could use the address anyway. One that has moved to another port is
//! believed there, and what it does at the old one concerns nobody any more.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use tapweave_net::{MacAddr, PortNo, Timestamp};

use crate::ClientKey;
use crate::lease::{Lease, LeaseState, Origin, Place};
use crate::v4::Request;

/// The static leases of a network.
#[derive(Debug, Default)]
pub(crate) struct StaticLeases {
    addresses: Addresses,
    /// Those that their clients have.
    bound: BTreeMap<Ipv4Addr, Lease>,
}

/// Which address whose is.
#[derive(Debug, Default)]
struct Addresses(BTreeMap<ClientKey, Ipv4Addr>);

impl StaticLeases {
    /// Returns the address of who asks: by its identifier, else by its MAC address whatever its identifier.
    pub(crate) fn address_for(&self, request: &Request) -> Option<Ipv4Addr> {
        self.addresses.of(&request.key, request.mac)
    }

    /// Replaces all. Who has its address from the pool has it by hand from now on.
    pub(crate) fn replace<'p>(
        &mut self,
        addresses: impl IntoIterator<Item = (ClientKey, Ipv4Addr)>,
        places: impl Iterator<Item = &'p mut Place>,
    ) {
        let addresses = Addresses(addresses.into_iter().collect());
        let is_static =
            |lease: &Lease| addresses.of(&lease.client, lease.mac) == Some(lease.address);
        self.bound.retain(|_, lease| is_static(lease));
        for place in places {
            for (_, lease) in place.leases.extract_if(.., |_, lease| is_static(lease)) {
                self.bind(lease);
            }
        }
        self.addresses = addresses;
    }

    /// Notes that a client has its address.
    pub(crate) fn bind(&mut self, lease: Lease) {
        let (origin, state) = (Origin::Static, LeaseState::Bound);
        let address = lease.address;
        self.bound.insert(
            address,
            Lease {
                origin,
                state,
                ..lease
            },
        );
    }

    /// Notes that the client at a port does not have its address any more; tells whether it had it.
    pub(crate) fn unbind(&mut self, port: PortNo, address: Ipv4Addr) -> bool {
        let is_its = |lease: &Lease| lease.port == port;
        self.bound.get(&address).is_some_and(is_its) && self.bound.remove(&address).is_some()
    }

    /// Forgets which clients at a port have their addresses.
    pub(crate) fn forget_port(&mut self, port: PortNo) {
        self.bound.retain(|_, lease| lease.port != port);
    }

    /// Ends what is over.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.bound.retain(|_, lease| lease.expires > now);
    }

    /// Returns those that their clients have, by address.
    pub(crate) fn bound(&self) -> impl Iterator<Item = &Lease> {
        self.bound.values()
    }
}

impl Addresses {
    fn of(&self, client: &ClientKey, mac: MacAddr) -> Option<Ipv4Addr> {
        let known = self.0.get(client);
        known.or_else(|| self.0.get(&ClientKey::Mac(mac))).copied()
    }
}

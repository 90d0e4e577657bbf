//! Stations, and the addresses that they and those behind them have.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeMap;

use tapweave_net::{MacAddr, PortNo, Timestamp};

use crate::ClientKey;

/// The endpoint at a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Station {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its address, if the network has one for it.
    pub address: Option<Ipv4Addr>,
    /// How its interface comes by that.
    pub addressing: Addressing,
    /// What it is called.
    pub name: String,
}

/// How an interface comes by its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressing {
    /// They were set when it was made; who asks for them all the same gets no answer.
    Fixed,
    /// It asks.
    Asked,
}

/// An address that a client has, or was offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The port of the client.
    pub port: PortNo,
    /// The address.
    pub address: Ipv4Addr,
    /// Who has it.
    pub client: ClientKey,
    /// The MAC address of who has it.
    pub mac: MacAddr,
    /// What it calls itself.
    pub host_name: Option<String>,
    /// Whose address it is besides.
    pub origin: Origin,
    /// Whether the client has taken it.
    pub state: LeaseState,
    /// When it ends.
    pub expires: Timestamp,
}

/// Where the address of a lease comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It is that of the port's endpoint, lease or not.
    Endpoint,
    /// It was taken from the network's for somebody behind the port.
    Pool,
    /// It was fixed by hand for its client.
    Static,
}

/// How far a lease has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaseState {
    /// The client was offered it and has not answered yet.
    Offered,
    /// The client has it.
    Bound,
}

/// A lease from the pool that was stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptLease {
    /// The address.
    pub address: Ipv4Addr,
    /// Who has it.
    pub client: ClientKey,
    /// The MAC address of who has it.
    pub mac: MacAddr,
    /// What it calls itself.
    pub host_name: Option<String>,
}

/// Where the server gets addresses from, and where it writes down who has them.
///
/// An address that was taken is nobody else's until it is given back; so whoever implements this knows all of them.
pub trait Pool {
    /// Takes an address for a client at `port`: `wanted` if that is free, else one that the client had before, else any.
    fn take(
        &mut self,
        port: PortNo,
        client: &ClientKey,
        wanted: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr>;

    /// Takes this address and no other; tells whether it was free.
    fn take_exactly(&mut self, port: PortNo, client: &ClientKey, address: Ipv4Addr) -> bool;

    /// Writes down that a client has an address that was taken for it. When it returns true, that lasts.
    fn keep(&mut self, port: PortNo, lease: &KeptLease) -> bool;

    /// Takes back an address that was taken at `port`.
    fn give_back(&mut self, port: PortNo, address: Ipv4Addr);

    /// Takes back an address that somebody else was found to use: others come first from now on.
    fn set_aside(&mut self, port: PortNo, address: Ipv4Addr);
}

/// A port with its leases.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) station: Station,
    /// Of the endpoint's own address.
    pub(crate) own: Option<Lease>,
    /// From the pool.
    pub(crate) leases: BTreeMap<ClientKey, Lease>,
}

impl Place {
    /// Ends what is over and returns the addresses of it that go back to the pool.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<Ipv4Addr> {
        self.own = self.own.take().filter(|lease| lease.expires > now);
        let over = self.leases.extract_if(.., |_, lease| lease.expires <= now);
        over.map(|(_, lease)| lease.address).collect()
    }
}

impl Lease {
    /// Returns what is left of it.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.expires.since(now)
    }
}

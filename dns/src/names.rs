//! What the control plane says about the names of a network.

use core::net::IpAddr;

use ipnet::IpNet;

/// All names of a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkNames {
    /// The name of the network, which is its domain.
    pub domain: String,
    /// Its subnets: what their addresses are called is answered here and nowhere else.
    pub subnets: Vec<IpNet>,
    /// The addresses of its gateway, which are called `gateway.internal`.
    pub gateway: Vec<IpAddr>,
    /// The addresses by which the host is reached, which are called `host.internal`; none if it cannot be.
    pub host: Vec<IpAddr>,
    /// The names. One name may stand there several times, and then has all of the addresses.
    pub records: Vec<NameRecord>,
    /// Who is asked for other names.
    pub world: World,
}

/// A name and its addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NameRecord {
    /// Labels with dots between them, without the domain.
    pub name: String,
    /// Where it leads.
    pub addresses: Vec<IpAddr>,
    /// Whether it is what the addresses are called, or a further name for them.
    pub is_alias: bool,
}

/// Who is asked for names that are not of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum World {
    /// Nobody: there are no other names (`--internal`).
    Closed,
    /// The resolvers of the host.
    Forwarded,
}

//! Why a subnet or an address is refused, in words that say what is in the way.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use crate::Family;

/// Why a subnet cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SubnetError {
    /// Bits after the prefix are set.
    #[error("{given} has host bits set; the subnet is {subnet}")]
    HostBits {
        /// What was given.
        given: IpNet,
        /// The subnet that it lies in.
        subnet: IpNet,
    },
    /// The prefix covers addresses that no endpoint can have.
    #[error("{subnet} cannot be a network's subnet: it overlaps {block} ({kind})")]
    Unusable {
        /// What was given.
        subnet: IpNet,
        /// The block in the way.
        block: &'static str,
        /// What that block is for.
        kind: &'static str,
    },
    /// The ip-range is not inside of the subnet.
    #[error("ip-range {ip_range} is not inside of subnet {subnet}")]
    IpRangeOutside {
        /// The range.
        ip_range: IpNet,
        /// The subnet.
        subnet: IpNet,
    },
    /// The gateway cannot have its address.
    #[error("gateway {address} cannot be used")]
    Gateway {
        /// The gateway.
        address: IpAddr,
        /// Why.
        source: LeaseError,
    },
    /// An auxiliary address cannot be used.
    #[error("auxiliary address {name}={address} cannot be used")]
    Auxiliary {
        /// Its name.
        name: String,
        /// The address.
        address: IpAddr,
        /// Why.
        source: LeaseError,
    },
    /// No address is left for the gateway.
    #[error("subnet {subnet} has no address left for a gateway")]
    NoGateway {
        /// The subnet.
        subnet: IpNet,
    },
}

/// Why an address cannot be leased.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The address is in no subnet of the network.
    #[error("{address} is outside of {}", list(.subnets))]
    Outside {
        /// The address.
        address: IpAddr,
        /// Where it should be.
        subnets: Vec<IpNet>,
    },
    /// The address means something else in its subnet.
    #[error("{address} is the {role} of {subnet}")]
    Reserved {
        /// The address.
        address: IpAddr,
        /// What it means.
        role: Reservation,
        /// The subnet.
        subnet: IpNet,
    },
    /// The address is leased.
    #[error("{address} is in use by {holder}")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Who has it.
        holder: Holder,
    },
    /// Every address is leased.
    #[error("no address is free in {}", list(.ranges))]
    Exhausted {
        /// Where there was none.
        ranges: Vec<IpNet>,
    },
    /// The network has no subnet of that family.
    #[error("the network has no {family} subnet")]
    NoSubnet {
        /// The family.
        family: Family,
    },
}

fn list(prefixes: &[IpNet]) -> String {
    let texts: Vec<String> = prefixes.iter().map(IpNet::to_string).collect();
    texts.join(", ")
}

/// What an address means that no endpoint can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reservation {
    /// The first address of an IPv4 subnet.
    Network,
    /// The last address of an IPv4 subnet.
    Broadcast,
    /// The first address of an IPv6 subnet (RFC 4291 §2.6.1).
    RouterAnycast,
}

impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network address",
            Self::Broadcast => "broadcast address",
            Self::RouterAnycast => "subnet-router anycast address",
        })
    }
}

/// Who has an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// The network's gateway.
    Gateway,
    /// The auxiliary address of that name.
    Auxiliary(String),
    /// The endpoint that `lease` was told of.
    Endpoint(Arc<str>),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("the gateway"),
            Self::Auxiliary(name) => write!(f, "auxiliary address {name}"),
            Self::Endpoint(name) => f.write_str(name),
        }
    }
}

//! Chooses the ports of the uplink that an endpoint is reached at, and says who is in the way.
//!
//! # Theory of operation
//!
//! A specification becomes one entry for each family in which both the uplink and the endpoint have an
//! address: what comes in over IPv4 is not translated to IPv6. An entry without an address of the uplink
//! stands for all of them, also those that the uplink gets later.
//!
//! A port is in the way of another when protocol and number are the same and the addresses meet. Those
//! of other endpoints are in the way, finished or not, those of the same request, and those that the
//! host uses itself on the addresses of the uplink. Ports that are chosen freely come from the range that
//! Linux takes for outgoing connections, as Docker's do, beginning at a random one; a range of them
//! stays together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use tapweave_net::NetworkNo;
use thiserror::Error;

use crate::datapath::{PublishedPorts, ReservedPort, Transport, UplinkKind, UplinkState};
use crate::{Name, PortRange, PublishSpec};

/// What `net.ipv4.ip_local_port_range` is by default.
const FREELY_CHOSEN: PortRange = match PortRange::new(32768, 60999) {
    Some(range) => range,
    None => PortRange::ALL,
};

/// Most addresses that a message lists.
const LISTED: usize = 4;

/// Ports that are to be published.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    /// Which.
    pub(crate) specs: Vec<PublishSpec>,
    /// On what.
    pub(crate) outside: Outside,
}

/// The outside, as it was when a request came.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    /// The uplink.
    pub(crate) uplink: UplinkState,
    /// The ports that the host uses.
    pub(crate) reserved: Vec<ReservedPort>,
    /// A random number, for ports that are chosen freely.
    pub(crate) draw: u16,
}

/// Where ports are to lead to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'t> {
    /// The network.
    pub(crate) network: NetworkNo,
    /// Which address of the uplink its ports are published on when none is given.
    pub(crate) host_binding: Option<Ipv4Addr>,
    /// The endpoint's addresses.
    pub(crate) addresses: &'t [IpNet],
}

/// Why ports cannot be published.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Nobody could reach them.
    #[error("ports cannot be published without an uplink ({reason})")]
    NoUplink {
        /// Why there is none.
        reason: String,
    },
    /// The network is on a LAN, where everybody reaches it.
    #[error(
        "network {network} is part of a LAN: its sandboxes are reached there without publishing"
    )]
    OnLan {
        /// The network.
        network: Name,
    },
    /// The network has no way in or out.
    #[error("network {network} is internal: its ports cannot be published")]
    Internal {
        /// The network.
        network: Name,
    },
    /// The address is not the uplink's.
    #[error(
        "{address} is not an address of the uplink {uplink}, which has {}{}",
        listed(.of_uplink),
        reach_of(*.kind)
    )]
    NotOnUplink {
        /// What was given.
        address: IpAddr,
        /// Name of the uplink's interface.
        uplink: String,
        /// What the uplink is.
        kind: UplinkKind,
        /// The addresses that it has.
        of_uplink: Vec<IpAddr>,
    },
    /// Uplink and sandbox have no family in common.
    #[error(
        "{spec} cannot be published: the sandbox has {}, the uplink {}",
        listed(.of_sandbox),
        listed(.of_uplink)
    )]
    NoCommonFamily {
        /// What was asked for.
        spec: PublishSpec,
        /// Addresses of the sandbox.
        of_sandbox: Vec<IpAddr>,
        /// Addresses of the uplink that were to be used.
        of_uplink: Vec<IpAddr>,
    },
    /// Somebody else has the port.
    #[error("{transport} port {} is in use by {holder}", socket(*.address, *.port))]
    Taken {
        /// The protocol.
        transport: Transport,
        /// Where; unspecified for every address of the family.
        address: IpAddr,
        /// The port.
        port: u16,
        /// Who has it: another endpoint, or somebody on the host.
        holder: String,
    },
    /// No free ports.
    #[error("of the ports {candidates} none is free for {spec}, or not as many in a row")]
    Exhausted {
        /// Those that were tried.
        candidates: PortRange,
        /// What was asked for.
        spec: PublishSpec,
    },
}

/// A published port and the name of the endpoint that has it.
pub(crate) type Holding = (PublishedPorts, String);

/// Chooses what is asked for. `held` are the ports of the other endpoints.
pub(crate) fn choose(
    Publish { specs, outside }: &Publish,
    target: Target<'_>,
    held: &[Holding],
) -> Result<Vec<PublishedPorts>, PublishError> {
    let uplink = &outside.uplink;
    if !specs.is_empty() && uplink.kind == UplinkKind::None {
        return Err(PublishError::NoUplink {
            reason: uplink.reason.clone(),
        });
    }
    let mut chosen = Vec::new();
    for spec in specs {
        let mut entries = entries(spec, target, uplink)?;
        let found = free_ports(spec, outside.draw, |ports| {
            let mut wanted = entries.iter().map(|entry| PublishedPorts {
                host_ports: ports,
                ..*entry
            });
            wanted.find_map(|wanted| in_the_way(&wanted, held, &chosen, &outside.reserved))
        })?;
        for entry in &mut entries {
            entry.host_ports = found;
        }
        chosen.append(&mut entries);
    }
    Ok(chosen)
}

/// Returns an entry for each family that serves, at least one. The ports of the uplink are still to be
/// chosen.
fn entries(
    spec: &PublishSpec,
    target: Target<'_>,
    uplink: &UplinkState,
) -> Result<Vec<PublishedPorts>, PublishError> {
    let wanted = spec.host().or_else(|| target.host_binding.map(IpAddr::V4));
    let of_uplink: Vec<IpAddr> = uplink.addresses.iter().map(IpNet::addr).collect();
    let host = wanted.filter(|address| !address.is_unspecified());
    if let Some(address) = host.filter(|address| !of_uplink.contains(address)) {
        return Err(PublishError::NotOnUplink {
            address,
            uplink: uplink.ifname.clone().unwrap_or_default(),
            kind: uplink.kind,
            of_uplink,
        });
    }
    let serves = |address: &&IpAddr| wanted.is_none_or(|wanted| same_family(wanted, **address));
    let usable: Vec<IpAddr> = of_uplink.iter().filter(serves).copied().collect();
    let of_sandbox: Vec<IpAddr> = target.addresses.iter().map(IpNet::addr).collect();
    let reachable = |address: &&IpAddr| usable.iter().any(|usable| same_family(*usable, **address));
    let entry = |&address: &IpAddr| PublishedPorts {
        transport: spec.transport(),
        host,
        host_ports: spec.ports(),
        network: target.network,
        target: address,
        target_ports: spec.ports(),
    };
    let entries: Vec<_> = of_sandbox.iter().filter(reachable).map(entry).collect();
    if entries.is_empty() {
        return Err(PublishError::NoCommonFamily {
            spec: *spec,
            of_sandbox,
            of_uplink: usable,
        });
    }
    Ok(entries)
}

/// Returns the ports of the uplink for `spec`. `in_the_way` says who has one of some ports.
fn free_ports(
    spec: &PublishSpec,
    draw: u16,
    in_the_way: impl Fn(PortRange) -> Option<PublishError>,
) -> Result<PortRange, PublishError> {
    let further = spec.ports().further();
    let (candidates, draw) = match spec.host_ports() {
        Some(fixed) if fixed.further() == further => {
            return in_the_way(fixed).map_or(Ok(fixed), Err);
        }
        Some(one_of) => (one_of, 0),
        None => (FREELY_CHOSEN, draw),
    };
    // The places at which the ports can begin, from the drawn one on and around.
    let last_place = candidates.further().checked_sub(further);
    let count = last_place.map_or(0, |last| u32::from(last) + 1);
    let places = (0..count).map(|step| (u32::from(draw) + step) % count);
    places
        .filter_map(|place| {
            let first = candidates.first().checked_add(u16::try_from(place).ok()?)?;
            PortRange::new(first, first.checked_add(further)?)
        })
        .find(|&ports| in_the_way(ports).is_none())
        .ok_or(PublishError::Exhausted {
            candidates,
            spec: *spec,
        })
}

/// Returns who has one of the ports that `wanted` takes.
fn in_the_way(
    wanted: &PublishedPorts,
    held: &[Holding],
    chosen: &[PublishedPorts],
    reserved: &[ReservedPort],
) -> Option<PublishError> {
    let taken = |port, holder| PublishError::Taken {
        transport: wanted.transport,
        address: wanted.host_or_any(),
        port,
        holder,
    };
    let of_endpoint = held.iter().find_map(|(other, holder)| {
        let port = meeting(wanted, other)?;
        Some(taken(port, holder.clone()))
    });
    let of_request = || {
        let port = chosen.iter().find_map(|other| meeting(wanted, other))?;
        Some(taken(port, "another port of this request".to_owned()))
    };
    of_endpoint
        .or_else(of_request)
        .or_else(|| of_host(wanted, reserved))
}

/// Returns which program of the host has one of the ports that `wanted` takes.
pub(super) fn of_host(wanted: &PublishedPorts, reserved: &[ReservedPort]) -> Option<PublishError> {
    let mut listeners = reserved.iter();
    let listener = listeners.find(|listener| meets_host(wanted, listener))?;
    let holder = listener.holder.as_deref().unwrap_or("a process");
    Some(PublishError::Taken {
        transport: wanted.transport,
        address: wanted.host_or_any(),
        port: listener.address.port(),
        holder: format!("{holder} on the host"),
    })
}

/// Returns the first port that both have.
fn meeting(one: &PublishedPorts, other: &PublishedPorts) -> Option<u16> {
    let addresses_meet = match (one.host, other.host) {
        (Some(one), Some(other)) => one == other,
        _ => same_family(one.target, other.target),
    };
    let common = one.host_ports.first_common(other.host_ports);
    common.filter(|_| addresses_meet && one.transport == other.transport)
}

fn meets_host(wanted: &PublishedPorts, listener: &ReservedPort) -> bool {
    let address = listener.address.ip();
    // A socket at `::` takes IPv4 as well, unless it was told not to.
    let is_everywhere = address.is_unspecified() && (address.is_ipv6() || wanted.target.is_ipv4());
    let meets = match wanted.host {
        _ if is_everywhere => true,
        Some(host) => host == address,
        None => same_family(wanted.target, address),
    };
    wanted.transport == listener.transport
        && meets
        && wanted.host_ports.ports().contains(&listener.address.port())
}

const fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

fn socket(address: IpAddr, port: u16) -> String {
    SocketAddr::new(address, port).to_string()
}

fn listed(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "no address".to_owned();
    }
    let shown = addresses.iter().take(LISTED).map(ToString::to_string);
    let shown: Vec<_> = shown.collect();
    let text = shown.join(", ");
    match addresses.len().saturating_sub(LISTED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Says what else an uplink cannot do.
const fn reach_of(kind: UplinkKind) -> &'static str {
    match kind {
        UplinkKind::Tun => {
            "; a port of the host's own addresses cannot be published by way of a TUN"
        }
        UplinkKind::None | UplinkKind::Nic => "",
    }
}

#[cfg(test)]
mod tests;

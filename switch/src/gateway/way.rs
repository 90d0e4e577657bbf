//! The last step of a packet: out of which port, to which MAC address.

use core::net::IpAddr;

use tapweave_net::{MacAddr, PortNo, TagAction, Timestamp, Vid};

use super::Uplink;
use super::handle::Call;
use super::neighbor::{Found, Neighbors, Place};
use super::prefix::bits;
use super::refusal::Refusal;
use super::step::GatewayStep;
use crate::decide::Trace;
use crate::snapshot::Network;
use crate::{DropReason, FrameVlan, Isolation, UplinkKind};

/// Where a packet goes, and in what a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    pub(super) port: PortNo,
    /// What the port wants done with the tag of a frame that has none.
    pub(super) tag: TagAction,
    pub(super) dst: MacAddr,
    pub(super) src: MacAddr,
    /// Largest packet, in bytes.
    pub(super) mtu: u16,
}

/// From where a packet comes that goes into a network.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    /// From a port of the same network, in this VLAN.
    Inside(Isolation, Option<Vid>),
    /// From an uplink, or back in by translation.
    Outside,
    /// From a remote host.
    Tunnel,
}

/// Whether what is looked up is used: neighbours that are missing are then wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Packet,
    Question,
}

/// Returns the way to a host of a network.
///
/// # Errors
///
/// `GatewayMartian` for an address that no host has, `GatewayNoNeighbor`; `Isolated` and
/// `VlanNotCarried` for packets from inside or out of a tunnel.
#[inline]
pub(super) fn inward<T: Trace>(
    call: &mut Call<'_, T>,
    network: &Network,
    dst: IpAddr,
    origin: Origin,
) -> Result<Way, Refusal> {
    let (snapshot, now) = (call.snapshot, call.now);
    let gateway = network.gateway.as_deref().ok_or(Refusal::NO_ROUTE)?;
    let (mac, vid, port) = if let Some(host) = network.hosts.get(dst) {
        (host.mac, host.vid, snapshot.port(host.port))
    } else {
        if !gateway.is_host(dst) {
            return Err(DropReason::GatewayMartian.into());
        }
        let Place { mac, vid } = neighbor(&gateway.neighbors, dst, call.use_, now)?;
        let known = network.fdb.lookup(network.fdb.probe(vid, mac), now);
        (mac, vid, known.and_then(|port| snapshot.port(port)))
    };
    // A neighbour that was heard may have been forgotten by the FDB since; it is asked again in time.
    let port = port.ok_or(DropReason::GatewayNoNeighbor)?;
    let inside = match origin {
        Origin::Inside(isolation, vid) => Some((isolation, vid)),
        Origin::Tunnel => Some((Isolation::Tunnel, None)),
        Origin::Outside => None,
    };
    if let Some((isolation, ingress_vid)) = inside {
        if !isolation.permits(port.isolation) {
            return Err(DropReason::Isolated.into());
        }
        if ingress_vid != vid {
            return Err(DropReason::VlanNotCarried.into());
        }
    }
    let tag = port.vlans.egress(FrameVlan { vid, tag: None });
    call.step(|| GatewayStep::Inward {
        network: network.no,
        port: port.no,
        mac,
    });
    Ok(Way {
        port: port.no,
        tag: tag.ok_or(DropReason::VlanNotCarried)?,
        dst: mac,
        src: gateway.config.mac,
        mtu: network.mtu,
    })
}

/// Returns the way to an address outside.
///
/// # Errors
///
/// `GatewayNoRoute` without an uplink of the family, `GatewayNoNeighbor`.
#[inline]
pub(super) fn outward<T: Trace>(call: &mut Call<'_, T>, dst: IpAddr) -> Result<Way, Refusal> {
    let uplink = call
        .snapshot
        .router
        .uplink_for(dst)
        .ok_or(Refusal::NO_ROUTE)?;
    let way = through(uplink, dst, call.use_, call.now)?;
    call.step(|| GatewayStep::Outward {
        uplink: uplink.no,
        next_hop: uplink.mac().map(|_| way.dst),
    });
    Ok(way)
}

/// Returns the way to an address behind an uplink.
fn through(uplink: &Uplink, dst: IpAddr, use_: Use, now: Timestamp) -> Result<Way, Refusal> {
    let (src, dst) = match &uplink.config.kind {
        // Nobody looks at the addresses of its frames.
        UplinkKind::PointToPoint => (MacAddr::ZERO, MacAddr::ZERO),
        UplinkKind::Lan { mac, .. } => {
            let hop = uplink.next_hop(dst).ok_or(Refusal::NO_ROUTE)?;
            (*mac, neighbor(&uplink.neighbors, hop, use_, now)?.mac)
        }
    };
    Ok(Way {
        port: uplink.no,
        tag: TagAction::Keep,
        dst,
        src,
        mtu: uplink.config.mtu,
    })
}

/// Finds a neighbour that has to be asked for.
fn neighbor(
    neighbors: &Neighbors,
    address: IpAddr,
    use_: Use,
    now: Timestamp,
) -> Result<Place, Refusal> {
    let bits = bits(address);
    let found = match use_ {
        Use::Packet => neighbors.find(bits, now),
        Use::Question => neighbors.peek(bits),
    };
    match found {
        Found::Here(place) => Ok(place),
        Found::Failed => Err(Refusal::UNREACHABLE),
        Found::Wanted => {
            if use_ == Use::Packet {
                neighbors.want(bits, now);
            }
            Err(DropReason::GatewayNoNeighbor.into())
        }
    }
}

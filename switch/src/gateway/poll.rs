//! What gateways and uplinks send by themselves: the control side's part.

use core::net::IpAddr;

use tapweave_net::{Frame, NetworkNo, Offload, PortNo, Timestamp, VlanTag};

use super::advertise::{Audience, advertisement};
use super::neighbor::Question;
use super::prefix::address;
use super::request::{Asker, question};
use super::{Gateway, Uplink};
use crate::snapshot::{Member, Network};
use crate::{FrameVlan, Isolation, Switch, UplinkKind};

/// Neighbours that one network or uplink asks for at a time; the others have their turn next.
const QUESTIONS_MAX: usize = 32;

/// A frame that a gateway or an uplink sends by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayFrame {
    /// The network of the gateway; none for an uplink.
    pub network: Option<NetworkNo>,
    /// The port that it is to be sent to.
    pub port: PortNo,
    /// The frame, as the port takes it.
    pub frame: Vec<u8>,
}

impl Switch {
    /// Returns what gateways and uplinks are to send now: questions for neighbours and router
    /// advertisements. Neighbours that did not answer are given up.
    ///
    /// Call it several times a second, from one thread: a packet to a new neighbour has to wait for its question
    /// so long. Costs a look at a table of 512 entries for each network with a gateway and each uplink; allocates.
    pub fn poll_gateways(&self, now: Timestamp) -> Vec<GatewayFrame> {
        let snapshot = self.snapshot();
        let mut frames = Vec::new();
        for network in snapshot.networks.values() {
            if let Some(gateway) = &network.gateway {
                poll_network(now, network, gateway, &mut frames);
            }
        }
        for uplink in snapshot.router.uplinks() {
            poll_uplink(now, uplink, &mut frames);
        }
        if let Some(translator) = &snapshot.translator
            && self.take_retirement()
        {
            translator.nat.retire(&translator.rules);
        }
        frames
    }

    /// Counts a frame of [`Switch::poll_gateways`] or [`Switch::poll_probe`] that was given to the device of its
    /// port. Two threads that do so for one port at the same time may lose a count.
    pub fn count_gateway_frame_sent(&self, port: PortNo, byte_count: usize) {
        if let Some(counters) = self.snapshot().counters(port) {
            let shard = counters.control_shard();
            shard.tx_frames.add(1);
            shard.tx_bytes.add(byte_count as u64);
        }
    }
}

fn poll_network(
    now: Timestamp,
    network: &Network,
    gateway: &Gateway,
    frames: &mut Vec<GatewayFrame>,
) {
    let mut send = |member: &Member, vid, frame: &[u8]| {
        let vlan = FrameVlan { vid, tag: None };
        if let Some(frame) = as_taken(member, vlan, frame) {
            frames.push(GatewayFrame {
                network: Some(network.no),
                port: member.port,
                frame,
            });
        }
    };
    for Question { bits, vid } in gateway.neighbors.poll(now, QUESTIONS_MAX) {
        let target = address(bits);
        let asker = Asker {
            mac: gateway.config.mac,
            address: match gateway.speaker_to(target) {
                Some(address) => address,
                None => continue,
            },
        };
        if let Some(frame) = question(asker, target) {
            for member in &network.members {
                // Where it is not known: in the VLAN in which each port's untagged frames are.
                let vid = vid.or_else(|| member.vlans.untagged());
                send(member, vid, &frame);
            }
        }
    }
    let audience = gateway.advertiser.poll(now);
    let is_told = |member: &&Member| match &audience {
        // The gateway of an overlay is on each of its hosts, and advertises itself there.
        Audience::Everybody => member.isolation != Isolation::Tunnel,
        Audience::Ports(ports) => ports.contains(&member.port),
    };
    let mut told = network.members.iter().filter(is_told).peekable();
    if told.peek().is_some()
        && let Some(frame) = advertisement(gateway, network.mtu)
    {
        for member in told {
            send(member, member.vlans.untagged(), &frame);
        }
    }
}

fn poll_uplink(now: Timestamp, uplink: &Uplink, frames: &mut Vec<GatewayFrame>) {
    let UplinkKind::Lan { mac, next_hops } = &uplink.config.kind else {
        return;
    };
    // Routers are found before the first packet needs one, and kept.
    for hop in next_hops {
        let bits = super::prefix::bits(*hop);
        let _known = uplink.neighbors.find(bits, now);
        uplink.neighbors.want(bits, now);
    }
    for Question { bits, .. } in uplink.neighbors.poll(now, QUESTIONS_MAX) {
        let target = address(bits);
        let asker = uplink.address_like(target).map(|own| Asker {
            mac: *mac,
            address: own,
        });
        if let Some(frame) = asker.and_then(|asker| question(asker, target)) {
            frames.push(GatewayFrame {
                network: None,
                port: uplink.no,
                frame,
            });
        }
    }
}

/// Returns an untagged frame as a port takes it; none for a port that is not a member of its VLAN.
pub(crate) fn as_taken(member: &Member, vlan: FrameVlan, frame: &[u8]) -> Option<Vec<u8>> {
    let action = member.vlans.egress(vlan)?;
    let mut buffer = vec![0; VlanTag::LEN];
    buffer.extend_from_slice(frame);
    let mut frame = Frame::new(&mut buffer, VlanTag::LEN, Offload::NONE);
    frame.apply_tag(action).ok()?;
    Some(frame.data().to_vec())
}

impl Gateway {
    /// Returns the address of the gateway that asks for `target`: one of its subnet.
    fn speaker_to(&self, target: IpAddr) -> Option<IpAddr> {
        if let IpAddr::V6(target) = target
            && target.is_unicast_link_local()
        {
            return Some(super::link_local(self.config.mac).into());
        }
        let mut own = self.config.addresses.iter();
        own.find(|own| own.contains(&target))
            .map(ipnet::IpNet::addr)
    }
}

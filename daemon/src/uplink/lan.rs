//! How tapweave comes to addresses on a LAN and keeps them: given, by DHCP, or by router advertisements.
//!
//! This has a packet socket of its own, which sees ARP, Neighbor Discovery's advertisements and DHCP's
//! answers and nothing else; the workers' queue carries the traffic and knows nothing of this. Questions
//! for our addresses are answered by the gateway on the workers' side, not here.
//!
//! An address is used when nobody else on the LAN claims it ([`claim`]); then the next hops are told with
//! it. All of this is one value that is told the time: [`Lan::tend`] reads what has come, does what is
//! due and says when something will be.

mod autoconf;
mod claim;
mod dhcp;
mod left;
mod message;

use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tapweave_device::{FileQueue, HEADROOM, PacketSocket, PortQueue, RECV_BUF_LEN, Received};
use tapweave_net::{
    ArpPacket, ChecksumOffload, EtherType, Frame, IpProtocol, MacAddr, NdMessage, Offload,
    Timestamp,
};
use tracing::debug;

use self::autoconf::Autoconf;
use self::claim::Claim;
use self::dhcp::Dhcp;
pub(super) use self::left::LeftPlace;
pub(super) use self::message::solicited_node_mac;
use super::choice::NicAddress;

/// Most frames that are looked at before timers are.
const FRAMES_AT_ONCE: usize = 256;

/// The link-local address of all nodes (RFC 4291 §2.7.1), to which advertisements go.
pub(super) const ALL_NODES: MacAddr = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);

/// Our place on a LAN.
#[derive(Debug)]
pub(super) struct Lan {
    mac: MacAddr,
    queue: FileQueue,
    buffer: Vec<u8>,
    fixed: Vec<NicAddress>,
    /// None where an address is given.
    dhcp: Option<Dhcp>,
    autoconf: Option<Autoconf>,
    claims: Vec<Claim>,
}

impl Lan {
    /// Begins with a socket that sees what is said of configuration to the station `mac`. Without `fixed` addresses,
    /// DHCP and routers are asked; `seed` makes what DHCP needs at random. What an earlier daemon has left is used
    /// meanwhile.
    pub(super) fn open(
        socket: PacketSocket,
        mac: MacAddr,
        fixed: &[NicAddress],
        left: &LeftPlace,
        seed: u64,
        now: Timestamp,
    ) -> Self {
        let asks = fixed.is_empty();
        let mut lan = Self {
            mac,
            queue: socket.into_queue(),
            buffer: vec![0; RECV_BUF_LEN],
            fixed: fixed.to_vec(),
            dhcp: asks.then(|| Dhcp::new(mac, seed, now)),
            autoconf: asks.then(|| Autoconf::new(mac, now)),
            claims: Vec::new(),
        };
        if let Some(dhcp) = &mut lan.dhcp {
            dhcp.take_up(left);
        }
        if let Some(autoconf) = &mut lan.autoconf {
            autoconf.take_up(left);
        }
        let wanted = lan.wanted();
        let had = wanted
            .into_iter()
            .filter(|place| left.ours.contains(&place.address));
        lan.claims = had.map(|place| Claim::left(place, mac, now)).collect();
        lan
    }

    /// Returns what the next daemon has to know.
    pub(super) fn left(&self) -> LeftPlace {
        let mut left = LeftPlace {
            ours: self.places().map(|place| place.address).collect(),
            ..LeftPlace::default()
        };
        if let Some(dhcp) = &self.dhcp {
            dhcp.leave(&mut left);
        }
        if let Some(autoconf) = &self.autoconf {
            autoconf.leave(&mut left);
        }
        left
    }

    /// Reads what has come and does what is due; returns after how long there is something to do.
    pub(super) fn tend(&mut self, now: Timestamp) -> Duration {
        self.read(now);
        let mut frames = Vec::new();
        let mut due = Duration::MAX;
        if let Some(dhcp) = &mut self.dhcp {
            due = due.min(dhcp.poll(now, &mut frames));
        }
        if let Some(autoconf) = &mut self.autoconf {
            due = due.min(autoconf.poll(now, &mut frames));
        }
        let wanted = self.wanted();
        self.claim(&wanted, now);
        for claim in &mut self.claims {
            due = due.min(claim.poll(now, &mut frames));
        }
        for frame in frames {
            self.send(&frame);
        }
        due
    }

    /// Returns the addresses that should be ours.
    fn wanted(&self) -> Vec<NicAddress> {
        let lease = self.dhcp.as_ref().and_then(Dhcp::lease);
        let formed = self.autoconf.as_ref().and_then(Autoconf::place);
        let fixed = self.fixed.iter().copied();
        fixed.chain(lease).chain(formed).collect()
    }

    /// Returns the addresses that are ours, with their next hops.
    pub(super) fn places(&self) -> impl Iterator<Item = NicAddress> {
        let ours = self.claims.iter().filter(|claim| claim.is_ours());
        ours.map(Claim::place)
    }

    /// Tells whether addresses that were given have been asked for: that takes a second. How long DHCP
    /// takes is not for us to say.
    pub(super) fn is_settled(&self) -> bool {
        self.dhcp.is_some() || !self.claims.iter().any(Claim::is_probing)
    }

    /// Returns a sentence for each thing that keeps us from an address.
    pub(super) fn problems(&self) -> Vec<String> {
        let conflicts = self.claims.iter().filter_map(Claim::problem);
        let waits = self
            .dhcp
            .as_ref()
            .is_some_and(|dhcp| dhcp.lease().is_none());
        let no_lease = waits.then(|| "no DHCP server has given an IPv4 address yet".to_owned());
        conflicts.chain(no_lease).collect()
    }

    /// Keeps the claims of what is wanted, lets go of others and begins new ones.
    fn claim(&mut self, wanted: &[NicAddress], now: Timestamp) {
        self.claims
            .retain(|claim| wanted.iter().any(|it| it.address == claim.place().address));
        for place in wanted {
            let known = self
                .claims
                .iter_mut()
                .find(|claim| claim.place().address == place.address);
            match known {
                Some(claim) => claim.set_gateway(place.gateway),
                None => self.claims.push(Claim::new(*place, self.mac, now)),
            }
        }
    }

    fn read(&mut self, now: Timestamp) {
        for _ in 0..FRAMES_AT_ONCE {
            match self.queue.recv(&mut self.buffer) {
                Ok(Received::Frame(frame)) => {
                    let is_partial =
                        matches!(frame.offload().checksum, ChecksumOffload::Partial { .. });
                    let heard = Heard::parse(frame.data(), is_partial);
                    match heard {
                        Some(Heard::Arp(packet)) => {
                            for claim in &mut self.claims {
                                claim.hear_arp(&packet, now);
                            }
                            if let Some(dhcp) = &mut self.dhcp {
                                dhcp.hear(frame.data());
                            }
                        }
                        Some(Heard::Ipv4) => {
                            if let Some(dhcp) = &mut self.dhcp {
                                dhcp.hear(frame.data());
                            }
                        }
                        Some(Heard::Nd { source, message }) => {
                            hear_nd(
                                self.autoconf.as_mut(),
                                &mut self.claims,
                                source,
                                &message,
                                now,
                            );
                        }
                        None => {}
                    }
                }
                Ok(Received::Malformed(_)) => {}
                Ok(Received::Empty) => return,
                Err(error) => {
                    debug!(%error, "the LAN's configuration socket failed");
                    return;
                }
            }
        }
    }

    fn send(&self, frame: &[u8]) {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(frame);
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        // What is lost is said again: every timer here repeats.
        if let Err(error) = self.queue.send(&mut frame) {
            debug!(%error, "a frame for the LAN's configuration was lost");
        }
    }
}

impl AsFd for Lan {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// A frame that concerns our configuration.
enum Heard<'f> {
    Arp(ArpPacket),
    /// For DHCP, which checks it.
    Ipv4,
    Nd {
        source: Ipv6Addr,
        message: NdMessage<'f>,
    },
}

impl<'f> Heard<'f> {
    fn parse(frame: &'f [u8], checksum_is_partial: bool) -> Option<Self> {
        let ethernet = tapweave_net::EthernetView::parse(frame).ok()?;
        let packet = frame.get(14..)?;
        match ethernet.outer_ethertype() {
            EtherType::ARP => ArpPacket::parse(packet).ok().map(Self::Arp),
            EtherType::IPV4 => Some(Self::Ipv4),
            EtherType::IPV6 => {
                let ip = tapweave_net::Ipv6View::parse(packet).ok()?;
                // Whatever was forwarded has less (RFC 4861 §6.1.2, §7.1.2).
                if ip.hop_limit() != 255 || ip.next_header() != IpProtocol::ICMPV6 {
                    return None;
                }
                let end = 40 + usize::from(ip.payload_len());
                let icmp = tapweave_net::Icmpv6View::parse(packet.get(40..end)?).ok()?;
                let is_right = checksum_is_partial || icmp.verify_checksum(ip.src(), ip.dst());
                if !is_right || icmp.code() != 0 {
                    return None;
                }
                let message = NdMessage::parse(&icmp).ok()?;
                Some(Self::Nd {
                    source: ip.src(),
                    message,
                })
            }
            _ => None,
        }
    }
}

fn hear_nd(
    autoconf: Option<&mut Autoconf>,
    claims: &mut [Claim],
    source: Ipv6Addr,
    message: &NdMessage<'_>,
    now: Timestamp,
) {
    // An option of no length makes the whole message void (RFC 4861 §6.1.2).
    if message.options().any(|option| option.is_err()) {
        return;
    }
    match message {
        NdMessage::RouterAdvertisement(router) if source.is_unicast_link_local() => {
            if let Some(autoconf) = autoconf {
                autoconf.hear(source, router, now);
            }
        }
        NdMessage::NeighborAdvertisement { target, .. } => {
            for claim in claims {
                claim.hear_advertisement(IpAddr::V6(*target), now);
            }
        }
        NdMessage::RouterAdvertisement(_)
        | NdMessage::RouterSolicitation { .. }
        | NdMessage::NeighborSolicitation { .. }
        | NdMessage::Redirect { .. } => {}
    }
}

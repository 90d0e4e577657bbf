//! Who has an address, before an endpoint gets it: duplicate address detection (RFC 5227, RFC 4862 §5.4).
//!
//! The control side knows the addresses that it gave away. It does not know those of stations on ports without
//! a guard: a LAN, a tunnel, a trunk, a machine with addresses of its own. So it asks there before it gives an
//! address away. Endpoints behind guards need not be asked, and a network that has only those is never
//! asked anything.
//!
//! # Theory of operation
//!
//! The control side begins ([`Switch::probe_addresses`]), sends the frames of [`Switch::poll_probe`] some times
//! with a pause, looks for a holder ([`AddressProbe::holder`]) meanwhile, and ends by dropping the probe.
//!
//! The frames are ARP probes, whose sender address is zero (RFC 5227 §2.1.1), and neighbor solicitations from
//! `::` (RFC 4862 §5.4.2), so they change nobody's tables. They come from a MAC address of the switch's own, not
//! from that of the endpoint to be: that one is derived from the address, so two switches that are about to
//! give the same address away could not tell each other from themselves.
//!
//! An address is in use by whoever sends ARP with it as the sender's address, advertises it (RFC 4862 §5.4.4),
//! or probes for it as well (RFC 5227 §2.1.1, RFC 4862 §5.4.3). Of two switches that probe at the same time the one with the
//! smaller MAC address gives way and the other goes on, where the RFCs let both give way: both would go on to the same
//! next address, and meet again.
//!
//! Workers look at frames for this only while something is being probed for: one flag a batch. Then they take a
//! lock for ARP and Neighbor Discovery that got through the guard, for as long as it takes to compare a few
//! addresses.

use core::hash::BuildHasher;
use core::net::IpAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use tapweave_net::{ArpPacket, EtherType, Frame, MacAddr, NdMessage, NetworkNo, ParsedFrame, Vid};

use crate::gateway::{GatewayFrame, Known, as_taken, probe_frame, valid_nd};
use crate::snapshot::Member;
use crate::{Flooding, FrameVlan, Switch};

/// The first octet of the MAC addresses that switches probe from: locally administered, and no endpoint gets
/// one by default.
const PROBER_OCTET: u8 = 0x16;

/// Somebody who has an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressHolder {
    /// The address.
    pub address: IpAddr,
    /// The MAC address that it was said from.
    pub mac: MacAddr,
}

/// A search for those who have some addresses. It ends when it is dropped.
#[derive(Debug)]
pub struct AddressProbe {
    watch: Arc<AddressWatch>,
    no: u64,
    network: NetworkNo,
    vid: Option<Vid>,
    addresses: Vec<IpAddr>,
    mac: MacAddr,
    is_far: bool,
}

/// The addresses of one network that are being probed for.
#[derive(Debug, Default)]
pub(crate) struct AddressWatch {
    /// Of `searches`. Written under the lock.
    count: AtomicUsize,
    searches: Mutex<Searches>,
}

#[derive(Debug, Default)]
struct Searches {
    last: u64,
    open: Vec<Search>,
}

#[derive(Debug)]
struct Search {
    no: u64,
    vid: Option<Vid>,
    addresses: Vec<IpAddr>,
    /// From which it is probed.
    mac: MacAddr,
    holder: Option<AddressHolder>,
}

/// What a frame says of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Claim {
    address: IpAddr,
    mac: MacAddr,
    is_probe: bool,
}

impl Switch {
    /// Begins to look for those who have one of `addresses` in a network and a VLAN. What was stated of the
    /// neighbours of the network is found at once.
    ///
    /// `None` when there is nobody to ask: every port has a guard, or the network does not exist.
    pub fn probe_addresses(
        &self,
        network: NetworkNo,
        vid: Option<Vid>,
        addresses: &[IpAddr],
    ) -> Option<AddressProbe> {
        let snapshot = self.snapshot();
        let known = snapshot.networks.get(&network)?;
        let stated = addresses
            .iter()
            .find_map(|address| match known.hosts.find(*address) {
                Some(Known::Static(station)) => Some(AddressHolder {
                    address: *address,
                    mac: station.mac,
                }),
                Some(Known::Endpoint(_)) | None => None,
            });
        let is_open = |member: &&Member| {
            let port = snapshot.port(member.port);
            port.is_some_and(|port| port.guard.is_none() && port.vlans.carries(vid))
        };
        let mut asked = known.members.iter().filter(is_open).peekable();
        if addresses.is_empty() || stated.is_none() && asked.peek().is_none() {
            return None;
        }
        let is_far = asked.any(|member| !member.is_endpoint);
        let mac = self.prober_mac(network);
        let watch = Arc::clone(&known.address_watch);
        let no = watch.open(vid, addresses, mac, stated);
        Some(AddressProbe {
            watch,
            no,
            network,
            vid,
            addresses: addresses.to_vec(),
            mac,
            is_far,
        })
    }

    /// Returns the frames that ask once: one for each address and port without a guard that carries the VLAN.
    /// Allocates.
    pub fn poll_probe(&self, probe: &AddressProbe) -> Vec<GatewayFrame> {
        let snapshot = self.snapshot();
        let mut frames = Vec::new();
        let Some(network) = snapshot.networks.get(&probe.network) else {
            return frames;
        };
        for address in &probe.addresses {
            let asked = probe_frame(probe.mac, *address);
            for member in &network.members {
                let port = snapshot.port(member.port);
                // What another port floods for reaches whoever is behind it by that one.
                if port.is_none_or(|port| port.guard.is_some()) || member.flooding == Flooding::Off
                {
                    continue;
                }
                let vlan = FrameVlan {
                    vid: probe.vid,
                    tag: None,
                };
                if let Some(frame) = as_taken(member, vlan, &asked) {
                    frames.push(GatewayFrame {
                        network: Some(probe.network),
                        port: member.port,
                        frame,
                    });
                }
            }
        }
        frames
    }

    /// Returns the MAC address that this switch probes from in a network: others are unlikely to have it.
    fn prober_mac(&self, network: NetworkNo) -> MacAddr {
        let hash = FixedState::with_seed(self.seed()).hash_one(network.0);
        let mut octets = [PROBER_OCTET; 6];
        octets[1..].copy_from_slice(&hash.to_be_bytes()[..5]);
        MacAddr::new(octets)
    }
}

impl AddressProbe {
    /// Tells whether others than endpoints of this host are asked: their answers take longer.
    pub const fn is_far(&self) -> bool {
        self.is_far
    }

    /// Returns who was found to have one of the addresses, if anybody was.
    pub fn holder(&self) -> Option<AddressHolder> {
        let searches = self.watch.searches();
        let search = searches.open.iter().find(|search| search.no == self.no)?;
        search.holder
    }
}

impl Drop for AddressProbe {
    fn drop(&mut self) {
        let mut searches = self.watch.searches();
        searches.open.retain(|search| search.no != self.no);
        self.watch
            .count
            .store(searches.open.len(), Ordering::Release);
    }
}

impl AddressWatch {
    /// Tells whether anything is being probed for, so that frames have to be looked at.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Notes what a frame that got through the guard says; tells whether it says that an address is in use which
    /// is being probed for.
    pub(crate) fn hear(&self, frame: &Frame<'_>, vid: Option<Vid>) -> bool {
        let Some(claim) = claim_of(frame) else {
            return false;
        };
        let mut searches = self.searches();
        let mut is_conflict = false;
        for search in &mut searches.open {
            if search.vid == vid
                && search.addresses.contains(&claim.address)
                && claim.beats(search.mac)
            {
                is_conflict = true;
                search.holder.get_or_insert(AddressHolder {
                    address: claim.address,
                    mac: claim.mac,
                });
            }
        }
        is_conflict
    }

    fn open(
        &self,
        vid: Option<Vid>,
        addresses: &[IpAddr],
        mac: MacAddr,
        holder: Option<AddressHolder>,
    ) -> u64 {
        let mut searches = self.searches();
        searches.last += 1;
        let no = searches.last;
        searches.open.push(Search {
            no,
            vid,
            addresses: addresses.to_vec(),
            mac,
            holder,
        });
        self.count.store(searches.open.len(), Ordering::Release);
        no
    }

    /// Searches are whole between two operations, so a poisoned lock is as good as another.
    fn searches(&self) -> MutexGuard<'_, Searches> {
        self.searches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Tells whether it keeps somebody from the address who probes from `own`.
    fn beats(self, own: MacAddr) -> bool {
        let is_prober = self.mac.octets()[0] == PROBER_OCTET;
        // An equal one is an own frame that came back.
        !self.is_probe || !is_prober && self.mac != own || self.mac > own
    }
}

/// Reads what a frame says of an address; `None` when it says nothing, or cannot be believed.
fn claim_of(frame: &Frame<'_>) -> Option<Claim> {
    let parsed = ParsedFrame::parse(frame.data()).ok()?;
    let claim = if parsed.ethertype() == EtherType::ARP {
        let arp = ArpPacket::parse(frame.data().get(parsed.l3_offset()..)?).ok()?;
        let is_probe = arp.is_probe();
        let address = if is_probe {
            arp.target_ip
        } else {
            arp.sender_ip
        };
        Claim {
            address: address.into(),
            mac: arp.sender_mac,
            is_probe,
        }
    } else {
        let (ip, message) = valid_nd(frame, &parsed)?;
        match message {
            NdMessage::NeighborAdvertisement { target, .. } => Claim {
                address: target.into(),
                mac: parsed.src(),
                is_probe: false,
            },
            NdMessage::NeighborSolicitation { target, .. } if ip.src().is_unspecified() => Claim {
                address: target.into(),
                mac: parsed.src(),
                is_probe: true,
            },
            // Who asks for others uses its own address.
            NdMessage::NeighborSolicitation { .. } => Claim {
                address: ip.src().into(),
                mac: parsed.src(),
                is_probe: false,
            },
            NdMessage::RouterSolicitation { .. }
            | NdMessage::RouterAdvertisement(_)
            | NdMessage::Redirect { .. } => return None,
        }
    };
    claim.mac.is_station().then_some(claim)
}

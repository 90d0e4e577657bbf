//! Services of a gateway: what is for its own address and somebody else answers.
//!
//! A packet for the gateway that is for the port of a service leaves the packet path: it is copied into a queue, and
//! whoever serves that answers in its own time with frames of its own. It has passed the guard and comes from a host of
//! the subnets, or, where it asks for an address, from one that has none yet. Everything else is as fast as before: it is
//! asked for the service after it has been found that the packet is for the gateway itself.
//!
//! What asks for DHCP servers asks everybody. Where the gateway is one, the packet is its alone and goes to nobody else;
//! but only from ports of this host's sandboxes: other hosts of an overlay have gateways of their own.
//!
//! # Fairness
//!
//! A packet has a *place* from the moment it is put into the queue until who serves it drops it. A port and a network
//! have so many places each at each service. So a sandbox that floods the service fills its own places and no others, its packets are
//! dropped and counted at its port, and what the others wait for is bounded by what all places together take. There is no
//! rate to be set: who is served fast may ask fast.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use tapweave_net::{FlowKey, Fragment, Frame, NetworkNo, Offload, ParsedFrame, PortNo, Transport};

use crate::DropReason;

/// Places of a port: more than the queries that a resolver library has under way, and a few milliseconds of work.
const PLACES_OF_PORT: u32 = 256;

/// Places of a network.
const PLACES_OF_NETWORK: u32 = 1024;

/// What a gateway can serve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Service {
    /// The resolver: port 53 of UDP and TCP (RFC 1035 §4.2, RFC 7766).
    Dns,
    /// The DHCP server: port 67 of UDP over IPv4 (RFC 2131 §4.1), 547 over IPv6 (RFC 8415 §7.2).
    Dhcp,
}

/// The ports of DHCP servers.
pub(crate) const DHCP_SERVER_V4: u16 = 67;
pub(crate) const DHCP_SERVER_V6: u16 = 547;

impl Service {
    /// How many there are.
    const COUNT: usize = 2;

    /// Returns the service that a whole packet for the gateway's address is for.
    pub(crate) fn of(parsed: &ParsedFrame) -> Option<Self> {
        let (ports, dhcp) = match parsed.flow() {
            FlowKey::V4 { ports, .. } => (ports, DHCP_SERVER_V4),
            FlowKey::V6 { ports, .. } => (ports, DHCP_SERVER_V6),
            FlowKey::Link { .. } => return None,
        };
        if parsed.fragment() != Fragment::Whole {
            return None;
        }
        match (parsed.transport()?, ports.as_ref()?.dst) {
            (Transport::Tcp | Transport::Udp, 53) => Some(Self::Dns),
            (Transport::Udp, port) if port == dhcp => Some(Self::Dhcp),
            _ => None,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Dns => 0,
            Self::Dhcp => 1,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns => f.write_str("dns"),
            Self::Dhcp => f.write_str("dhcp"),
        }
    }
}

/// Where packets for services go. Called by workers: it must not wait.
pub trait ServiceQueue: Send + Sync + fmt::Debug {
    /// Takes a packet, or gives it back to be dropped when there is no room.
    ///
    /// # Errors
    ///
    /// The packet, when the queue is full.
    fn offer(&self, packet: ServicePacket) -> Result<(), ServicePacket>;
}

/// A packet for a service.
#[derive(Debug)]
pub struct ServicePacket {
    /// What it is for.
    pub service: Service,
    /// The network that it came from.
    pub network: NetworkNo,
    /// The port that it came from.
    pub port: PortNo,
    /// The frame, as it came.
    pub frame: Vec<u8>,
    /// What is left to do on it.
    pub offload: Offload,
    /// Keep it until the packet is dealt with.
    pub place: Place,
}

/// A place of a port and its network at a service. Dropping it makes room for another packet.
#[derive(Debug)]
pub struct Place {
    port: Arc<Places>,
    network: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.port.leave();
        self.network.leave();
    }
}

/// How many places are taken.
#[derive(Debug, Default)]
pub(crate) struct Places(AtomicU32);

impl Places {
    fn enter(&self, limit: u32) -> bool {
        // Relaxed: no other memory is found through the count.
        let entered = self
            .0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < limit).then_some(taken + 1)
            });
        entered.is_ok()
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The places of one port, by service.
#[derive(Debug, Default)]
pub(crate) struct PortPlaces([Arc<Places>; Service::COUNT]);

/// The services of one network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services([Option<Served>; Service::COUNT]);

/// A service that somebody gives.
#[derive(Clone, Debug)]
struct Served {
    places: Arc<Places>,
    queue: Arc<dyn ServiceQueue>,
}

impl Services {
    /// States where packets for a service go, if anywhere.
    pub(crate) fn set(&mut self, service: Service, queue: Option<Arc<dyn ServiceQueue>>) {
        self.0[service.index()] = queue.map(|queue| Served {
            places: Arc::default(),
            queue,
        });
    }

    /// Tells whether somebody gives a service.
    pub(crate) const fn has(&self, service: Service) -> bool {
        self.0[service.index()].is_some()
    }

    /// Gives a packet to its service, which is given.
    ///
    /// # Errors
    ///
    /// `ServiceLimit` when the port or the network has no place, `ServiceFull` when the queue has none.
    pub(crate) fn take(
        &self,
        service: Service,
        (network, port): (NetworkNo, PortNo),
        places: &PortPlaces,
        frame: &Frame<'_>,
    ) -> Result<(), DropReason> {
        let served = self.0[service.index()].as_ref();
        let served = served.ok_or(DropReason::GatewayPort)?;
        let places = &places.0[service.index()];
        if !places.enter(PLACES_OF_PORT) {
            return Err(DropReason::ServiceLimit);
        }
        if !served.places.enter(PLACES_OF_NETWORK) {
            places.leave();
            return Err(DropReason::ServiceLimit);
        }
        let packet = ServicePacket {
            service,
            network,
            port,
            frame: frame.data().to_vec(),
            offload: frame.offload(),
            place: Place {
                port: Arc::clone(places),
                network: Arc::clone(&served.places),
            },
        };
        served
            .queue
            .offer(packet)
            .map_err(|_refused| DropReason::ServiceFull)
    }
}

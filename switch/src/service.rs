//! Services of a gateway: what is for its own address and somebody else answers.
//!
//! A packet for the gateway that is for the port of a service leaves the packet path: it is copied into a queue, and
//! whoever serves that answers in its own time with frames of its own. It has passed the guard and comes from a host of
//! the subnets. Everything else is as fast as before: it is asked for the service after it has been found that the packet
//! is for the gateway itself.
//!
//! # Fairness
//!
//! A packet has a *place* from the moment it is put into the queue until who serves it drops it. A port and a network
//! have so many places each. So a sandbox that floods the service fills its own places and no others, its packets are
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
}

impl Service {
    /// Returns the service that a whole packet for the gateway's address is for.
    pub(crate) fn of(parsed: &ParsedFrame) -> Option<Self> {
        let (FlowKey::V4 { ports, .. } | FlowKey::V6 { ports, .. }) = parsed.flow() else {
            return None;
        };
        let is_whole = parsed.fragment() == Fragment::Whole;
        let is_known = matches!(parsed.transport(), Some(Transport::Tcp | Transport::Udp));
        let is_dns = ports.is_some_and(|ports| ports.dst == 53);
        (is_whole && is_known && is_dns).then_some(Self::Dns)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns => f.write_str("dns"),
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

/// The services of one network.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    places: Arc<Places>,
    queue: Arc<dyn ServiceQueue>,
}

impl Services {
    pub(crate) fn new(queue: Arc<dyn ServiceQueue>) -> Self {
        Self {
            places: Arc::default(),
            queue,
        }
    }

    /// Gives a packet to its service.
    ///
    /// # Errors
    ///
    /// `ServiceLimit` when the port or the network has no place, `ServiceFull` when the queue has none.
    pub(crate) fn take(
        &self,
        service: Service,
        (network, port): (NetworkNo, PortNo),
        places: &Arc<Places>,
        frame: &Frame<'_>,
    ) -> Result<(), DropReason> {
        if !places.enter(PLACES_OF_PORT) {
            return Err(DropReason::ServiceLimit);
        }
        if !self.places.enter(PLACES_OF_NETWORK) {
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
                network: Arc::clone(&self.places),
            },
        };
        self.queue
            .offer(packet)
            .map_err(|_refused| DropReason::ServiceFull)
    }
}

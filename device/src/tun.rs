//! A TUN interface in the daemon's own network namespace: packets that the host routes to it come in,
//! and what is written to it the host routes on.
//!
//! No sysctl is set and no route beyond that of its own prefixes. Nothing is left of it when its queues
//! are closed, however the process ends.

use std::io;

use ipnet::IpNet;
use thiserror::Error;

use crate::attach::{Offloading, Step};
use crate::file_queue::FileQueue;
use crate::rtnl::RouteSocket;
use crate::tun_queues::{Layer, TunQueues};

/// What a TUN should be like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TunSpec {
    /// The host's addresses on it, with the prefixes that are routed to it.
    pub addresses: Vec<IpNet>,
    /// Bytes of the longest packet that the host sends whole, 68 to 65535; with IPv6 at least 1280.
    pub mtu: u16,
    /// Queues, 1 to 256.
    pub queue_count: u16,
}

/// Why there is no TUN. Nothing is left of the attempt.
#[derive(Debug, Error)]
#[error("it was not possible to {step}")]
pub struct TunError {
    /// What was not possible.
    pub step: Step,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// A TUN interface that is up.
#[derive(Debug)]
pub struct Tun {
    /// Its name, `tapweave0` or the next that is free.
    pub ifname: String,
    /// Its index.
    pub ifindex: u32,
    /// Its queues, at least one. The interface is gone when all are dropped.
    pub queues: Vec<FileQueue>,
}

impl Tun {
    /// Makes and configures an interface in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// What step failed; usually the process lacks `CAP_NET_ADMIN` there.
    pub fn create(spec: &TunSpec) -> Result<Self, TunError> {
        Self::try_create(spec).map_err(|(step, source)| TunError { step, source })
    }

    fn try_create(spec: &TunSpec) -> Result<Self, (Step, io::Error)> {
        let queue_count = spec.queue_count.max(1);
        let made = TunQueues::create(Layer::Ip, "tapweave%d", queue_count, Offloading::On)?;
        let mut netlink = RouteSocket::open().map_err(|error| (Step::OpenNetlink, error))?;
        let index = made.ifindex;
        netlink
            .set_mtu(index, spec.mtu)
            .map_err(|error| (Step::SetLink, error))?;
        for &address in &spec.addresses {
            netlink
                .add_address(index, address)
                .map_err(|error| (Step::AddAddress(address), error))?;
        }
        netlink
            .bring_up(index)
            .map_err(|error| (Step::BringUp, error))?;
        let framing = made.segmentation.framing(Layer::Ip);
        let queues = made.queues.into_iter();
        Ok(Self {
            ifname: made.ifname,
            ifindex: index,
            queues: queues.map(|file| FileQueue::new(file, framing)).collect(),
        })
    }
}

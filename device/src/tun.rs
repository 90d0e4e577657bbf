//! A TUN interface in the daemon's own network namespace: packets that the host routes to it come in,
//! and what is written to it the host routes on.
//!
//! No sysctl is set and no route beyond that of its own prefixes. Nothing is left of it when its queues
//! are closed, however the process ends; a [`crate::Holder`] may have them too.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::attach::adopt::present_name;
use crate::attach::{AdoptError, Offloading, Step};
use crate::file_queue::FileQueue;
use crate::namespace::NamespaceId;
use crate::rtnl::RouteSocket;
use crate::tun_queues::{Layer, Segmentation, TunQueues, queues_and_outlet};

/// What a TUN should be like.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// What it was made like.
    pub spec: TunSpec,
    segmentation: Segmentation,
    /// Its queues, at least one. The interface is gone when all are dropped.
    pub queues: Vec<FileQueue>,
    /// What is written to instead of the queues if there are several: by that flows stay in the queues that they are in.
    pub outlet: Option<FileQueue>,
}

/// What is to be known of a TUN besides its descriptors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    ifindex: u32,
    segmentation: Segmentation,
    spec: TunSpec,
}

impl Tun {
    /// Returns what [`Tun::adopt`] has to be told beside the descriptors.
    pub fn note(&self) -> String {
        let note = Note {
            ifindex: self.ifindex,
            segmentation: self.segmentation,
            spec: self.spec.clone(),
        };
        // Numbers, words and addresses are always written.
        serde_json::to_string(&note).unwrap_or_default()
    }

    /// Returns the descriptors that [`Tun::adopt`] takes.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let queues = self.queues.iter().chain(&self.outlet);
        queues.map(AsFd::as_fd).collect()
    }

    /// Makes an interface of its descriptors, if it still is in the network namespace of the process. It is not changed.
    ///
    /// # Errors
    ///
    /// See [`AdoptError`]. The descriptors are closed, and with the last of them the interface goes.
    pub fn adopt(fds: Vec<OwnedFd>, note: &str) -> Result<Self, AdoptError> {
        let note: Note = serde_json::from_str(note).map_err(AdoptError::Note)?;
        let own = NamespaceId::of_path(Path::new("/proc/self/ns/net"));
        let own = own.map_err(AdoptError::Unknown)?;
        let queue_count = usize::from(note.spec.queue_count.max(1));
        let ifname = present_name(&fds, queue_count, own)?;
        let framing = note.segmentation.framing(Layer::Ip);
        let (queues, outlet) = queues_and_outlet(fds, framing);
        Ok(Self {
            ifname,
            ifindex: note.ifindex,
            spec: note.spec,
            segmentation: note.segmentation,
            queues,
            outlet,
        })
    }

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
        let (queues, outlet) = queues_and_outlet(made.descriptors, framing);
        Ok(Self {
            ifname: made.ifname,
            ifindex: index,
            spec: spec.clone(),
            segmentation: made.segmentation,
            queues,
            outlet,
        })
    }
}

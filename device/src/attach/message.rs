//! What the daemon and its attach helper say to each other.
//!
//! One request and one reply, each a message of [`crate::fd_message`]. The request brings the network namespace, the
//! reply the descriptors of the new interface and a socket of its namespace.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::tun_queues::Segmentation;

/// The helper's answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It is done; one descriptor per queue comes with it, the outlet of several, and last the socket to see the interface through.
    Attached {
        ifname: String,
        ifindex: u32,
        segmentation: Segmentation,
    },
    /// Nothing is left of the attempt.
    Failed { step: Step, errno: i32 },
}

/// What the helper was doing when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Step {
    /// Understanding the request.
    ReadRequest,
    /// Keeping the processes of the namespace away from the helper.
    Shield,
    /// Finding the user namespace that owns the network namespace.
    FindOwner,
    /// Entering that user namespace.
    EnterUserNamespace,
    /// Entering the network namespace.
    EnterNetNamespace,
    /// Opening `/dev/net/tun`.
    OpenTun,
    /// Creating the interface.
    CreateInterface,
    /// Agreeing on the `virtio_net_hdr` and on offloads.
    SetOffload,
    /// Opening a netlink socket.
    OpenNetlink,
    /// Naming the interface.
    Rename,
    /// Setting its MAC address and MTU.
    SetLink,
    /// Adding an address.
    AddAddress(IpNet),
    /// Bringing it up.
    BringUp,
    /// Adding a default route.
    AddRoute(IpAddr),
    /// Bringing the loopback interface up.
    BringLoopbackUp,
    /// Opening the socket to see the interface through.
    OpenSight,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadRequest => f.write_str("read the request"),
            Self::Shield => f.write_str("keep the sandbox's processes away from the helper"),
            Self::FindOwner => f.write_str("find the user namespace that owns the namespace"),
            Self::EnterUserNamespace => f.write_str("enter the sandbox's user namespace"),
            Self::EnterNetNamespace => f.write_str("enter the sandbox's network namespace"),
            Self::OpenTun => f.write_str("open /dev/net/tun"),
            Self::CreateInterface => f.write_str("create the interface"),
            Self::SetOffload => f.write_str("set the interface's offloads"),
            Self::OpenNetlink => f.write_str("open a netlink socket"),
            Self::Rename => f.write_str("name the interface"),
            Self::SetLink => f.write_str("set the interface's MAC address and MTU"),
            Self::AddAddress(address) => write!(f, "add address {address}"),
            Self::BringUp => f.write_str("bring the interface up"),
            Self::AddRoute(gateway) => write!(f, "add the default route via {gateway}"),
            Self::BringLoopbackUp => f.write_str("bring the loopback interface up"),
            Self::OpenSight => f.write_str("open a socket in the namespace"),
        }
    }
}

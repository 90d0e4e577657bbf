//! What the daemon and its attach helper say to each other.
//!
//! One request and one reply, each one message of a `SOCK_SEQPACKET` pair: JSON, with descriptors
//! beside it. The request brings the network namespace, the reply the queues of the new interface.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use ipnet::IpNet;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::spec::InterfaceSpec;
use crate::tun_queues::Segmentation;

/// Bytes of the longest message: some hundred addresses.
const MESSAGE_LEN: usize = 64 * 1024;

/// Bytes of control data for the descriptors of one message.
const CONTROL_LEN: usize = rustix::cmsg_space!(ScmRights(InterfaceSpec::MAX_QUEUE_COUNT as usize));

/// The helper's answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It is done; one descriptor per queue comes with it.
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
        }
    }
}

/// Sends one message with descriptors.
pub(super) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); CONTROL_LEN];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(
        socket,
        &[IoSlice::new(&text)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives one message with its descriptors; [`io::ErrorKind::UnexpectedEof`] when the other end is
/// gone.
pub(super) fn recv<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut text = vec![0; MESSAGE_LEN];
    let mut space = [MaybeUninit::uninit(); CONTROL_LEN];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    let is_cut = received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    match text.get(..received.bytes) {
        Some([]) => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(text) if !is_cut => Ok((serde_json::from_slice(text)?, fds)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

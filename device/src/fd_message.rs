//! Messages between processes of this program: JSON, with descriptors beside it, each one message of a
//! `SOCK_SEQPACKET` socket.
//!
//! A call that the kernel interrupts is made again: a socket with a time limit is not restarted by the kernel itself
//! (signal(7)), and work that `io_uring` leaves to a thread interrupts it as a signal does.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most descriptors of a message: the kernel takes 253, and nothing has as many.
pub(crate) const MAX_FD_COUNT: usize = 72;

/// Bytes of the longest message: some hundred addresses.
const MESSAGE_LEN: usize = 64 * 1024;

/// Bytes of control data for the descriptors of one message.
const CONTROL_LEN: usize = rustix::cmsg_space!(ScmRights(MAX_FD_COUNT));

/// Sends one message with descriptors, at most [`MAX_FD_COUNT`].
pub(crate) fn send<T: Serialize>(
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
    retry_on_intr(|| {
        sendmsg(
            socket,
            &[IoSlice::new(&text)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
    })?;
    Ok(())
}

/// Receives one message with its descriptors; [`io::ErrorKind::UnexpectedEof`] when the other end is
/// gone.
pub(crate) fn recv<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut text = vec![0; MESSAGE_LEN];
    let mut space = [MaybeUninit::uninit(); CONTROL_LEN];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
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

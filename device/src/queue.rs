//! One queue of a port: frames in, frames out.
//!
//! A queue of a TAP, a TUN or a packet socket, a port in memory and a port that injects faults all look like this to an event loop.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use tapweave_net::{Frame, OffloadSet, VnetHdrError};
use thiserror::Error;

use crate::file_queue::FileQueue;

/// Bytes that a receive leaves free before the frame.
///
/// The longest thing that is put there is an overlay's outer header and the `virtio_net_hdr` of the
/// device that takes it: Ethernet with a VLAN tag 18 + IPv6 40 + UDP 8 + VXLAN 8 + `virtio_net_hdr` 12
/// = 86. Rounded up to two cache lines, so that the inner headers begin a line of their own.
pub const HEADROOM: usize = 128;

/// Bytes of the longest frame that a device gives: an IP packet of 65,535 bytes (the kernel keeps TAPs
/// below "BIG TCP") behind an Ethernet header with two VLAN tags.
pub const MAX_FRAME_LEN: usize = 65_535 + 14 + 2 * 4;

/// Bytes of a buffer that takes any frame with its headroom.
///
/// A whole and odd number of cache lines: in buffers laid side by side the headers of the frames then
/// fall into different cache sets, where a multiple of 4 KiB would make them push each other out.
pub const RECV_BUF_LEN: usize = ((HEADROOM + MAX_FRAME_LEN).div_ceil(CACHE_LINE) | 1) * CACHE_LINE;

const CACHE_LINE: usize = 64;

const _: () = assert!(RECV_BUF_LEN >= HEADROOM + MAX_FRAME_LEN);

/// What one receive gave.
#[derive(Debug)]
pub enum Received<'b> {
    /// A frame.
    Frame(Frame<'b>),
    /// Something that cannot be forwarded and has been taken off the queue.
    Malformed(VnetHdrError),
    /// Nothing is waiting.
    Empty,
}

/// Why a frame was not sent. It is lost; the queue goes on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The device takes no more at the moment (`EAGAIN`, `ENOBUFS`).
    #[error("the device's queue is full")]
    Full,
    /// The interface is down (`EIO` on a TAP).
    #[error("the interface is down")]
    Down,
    /// The frame asks for something that the device cannot do and that could not be done for it.
    #[error("the frame's offload cannot be resolved")]
    Unsupported,
    /// The packet is larger than what comes behind the device takes.
    #[error("the packet is larger than the {mtu} bytes that reach the other end")]
    TooBig {
        /// Largest packet that reaches it, in bytes.
        mtu: u16,
    },
    /// The frame has a VLAN tag, and nothing with a tag is let through.
    #[error("the frame has a VLAN tag")]
    Tagged,
    /// The device is gone or failed.
    #[error("the device failed")]
    Failed(#[source] io::Error),
}

/// One queue of a port.
///
/// Receiving belongs to one thread at a time, so that a flow is never reordered; sending is safe from
/// several threads at once.
pub trait PortQueue: Send + Sync + fmt::Debug {
    /// Returns what the device takes off the sender's hands.
    fn offloads(&self) -> OffloadSet;

    /// Returns the descriptor that becomes readable when a frame waits.
    fn readiness(&self) -> BorrowedFd<'_>;

    /// Takes the next frame into `buf`, with headroom in front of it. Never blocks.
    ///
    /// `buf` holds headroom and the largest super-frame: at least [`RECV_BUF_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// Only what means that the device is of no more use; whatever concerns one frame is a
    /// [`Received`].
    fn recv<'b>(&self, buf: &'b mut [u8]) -> io::Result<Received<'b>>;

    /// Sends one frame whose offloads the device takes ([`PortQueue::offloads`]). Never blocks.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    fn send(&self, frame: &mut Frame<'_>) -> Result<(), SendError>;

    /// Returns the file that this queue is and nothing more: an event loop may read and write it in its
    /// own way, instead of by [`PortQueue::recv`] and [`PortQueue::send`].
    fn as_file(&self) -> Option<&FileQueue> {
        None
    }
}

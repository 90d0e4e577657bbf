//! One queue of a TAP interface.
//!
//! A frame costs one `read` or one `write`: the `virtio_net_hdr` lies in the headroom right before it.
//! The queue is opened by the attach helper inside the namespace of the interface; this file neither
//! knows namespaces nor configures anything.
//!
//! What the kernel answers (`drivers/net/tun.c`): a write to an interface that is down gives `EIO`, a
//! full socket buffer `EAGAIN`, a header or length that it does not believe `EINVAL`; after the
//! interface was deleted everything gives `EBADFD`.
//!
//! Root of the sandbox can join an interface of several queues and make the header longer for all of
//! them. Kernels of today write zeroes for the rest of it; older ones may *skip* it, and what an earlier
//! frame, maybe one of another network, left in the buffer would be taken for the frame. So the place
//! of its addresses is cleared before each read: such a frame has no source and is dropped.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use tapweave_net::{Frame, MacAddr, Offload, OffloadSet, VnetHdr};

use crate::queue::{HEADROOM, PortQueue, Received, SendError};

/// What stands before each frame of a TAP, and what may be left to do on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Bare, complete frames (no `IFF_VNET_HDR`).
    Plain,
    /// A `virtio_net_hdr`; the set says what may be left to do on a frame that is written.
    VnetHdr(OffloadSet),
}

impl Framing {
    /// Returns where in a buffer a read begins, so that the frame begins at [`HEADROOM`].
    pub(crate) const fn read_start(self) -> usize {
        HEADROOM - self.header_len()
    }

    /// Returns the bytes that stand before each frame.
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::VnetHdr(_) => VnetHdr::LEN,
        }
    }

    /// Returns the frame that a read of `len` bytes has brought into `buf` from its byte `start` on.
    ///
    /// # Errors
    ///
    /// When there is less than a header: the device is not set up as this says.
    pub(crate) fn decode(
        self,
        buf: &mut [u8],
        start: usize,
        len: usize,
    ) -> io::Result<Received<'_>> {
        let buf = buf.get_mut(..start + len).unwrap_or_default();
        let offload = match self {
            Self::Plain => Offload::NONE,
            Self::VnetHdr(_) => {
                let Some(header) = buf.get(start..).and_then(<[u8]>::first_chunk) else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                match VnetHdr::decode(header).offload(len - VnetHdr::LEN) {
                    Ok(offload) => offload,
                    Err(error) => return Ok(Received::Malformed(error)),
                }
            }
        };
        let frame = Frame::new(buf, start + self.header_len(), offload);
        Ok(Received::Frame(frame))
    }
}

/// One queue of a TAP interface. The interface goes when its last queue is dropped.
#[derive(Debug)]
pub struct TapQueue {
    file: OwnedFd,
    framing: Framing,
}

impl TapQueue {
    /// Takes over a nonblocking descriptor of a TAP that has been set up as `framing` says, with
    /// [`VnetHdr::LEN`] bytes of header if any.
    pub const fn new(file: OwnedFd, framing: Framing) -> Self {
        Self { file, framing }
    }

    /// Returns what stands before each frame.
    pub const fn framing(&self) -> Framing {
        self.framing
    }
}

impl AsFd for TapQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl PortQueue for TapQueue {
    fn offloads(&self) -> OffloadSet {
        match self.framing {
            Framing::Plain => OffloadSet::EMPTY,
            Framing::VnetHdr(offloads) => offloads,
        }
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn recv<'b>(&self, buf: &'b mut [u8]) -> io::Result<Received<'b>> {
        let start = self.framing.read_start();
        clear_addresses(buf);
        let space = buf.get_mut(start..).unwrap_or_default();
        let len = match rustix::io::read(&self.file, space) {
            Ok(len) => len,
            // `EIO`: the interface is on its way down, which is nothing that a reader has to know.
            Err(Errno::AGAIN | Errno::INTR | Errno::IO) => return Ok(Received::Empty),
            Err(error) => return Err(error.into()),
        };
        self.framing.decode(buf, start, len)
    }

    fn send(&self, frame: &mut Frame<'_>) -> Result<(), SendError> {
        let written = match self.framing {
            Framing::Plain => rustix::io::write(&self.file, frame.data()),
            Framing::VnetHdr(_) => {
                let header = VnetHdr::from(frame.offload()).encode();
                if let Some(bytes) = frame.with_header(header) {
                    rustix::io::write(&self.file, bytes)
                } else {
                    let parts = [IoSlice::new(&header), IoSlice::new(frame.data())];
                    rustix::io::writev(&self.file, &parts)
                }
            }
        };
        // A TAP takes a frame whole or not at all.
        written.map(drop).map_err(send_error)
    }

    fn as_tap(&self) -> Option<&TapQueue> {
        Some(self)
    }
}

/// Clears the place of a frame's addresses in a buffer that will be read to: see the head of this file.
pub(crate) fn clear_addresses(buf: &mut [u8]) {
    if let Some(addresses) = buf.get_mut(HEADROOM..HEADROOM + 2 * MacAddr::LEN) {
        addresses.fill(0);
    }
}

/// Returns what a failed write to a TAP means.
pub(crate) fn send_error(error: Errno) -> SendError {
    match error {
        Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::INTR => SendError::Full,
        Errno::IO => SendError::Down,
        Errno::INVAL | Errno::MSGSIZE => SendError::Unsupported,
        error => SendError::Failed(error.into()),
    }
}

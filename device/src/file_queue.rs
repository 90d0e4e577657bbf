//! One queue of a device whose frames are read and written as those of a file: a TAP, a TUN, a packet
//! socket.
//!
//! A frame costs one `read` or one `write`: the `virtio_net_hdr` lies in the headroom right before it.
//! Who opens the device knows what it is; this file knows only how its frames stand ([`Framing`]).
//!
//! What the kernel answers. A TAP or TUN (`drivers/net/tun.c`): a write to an interface that is down
//! gives `EIO`, a full socket buffer `EAGAIN`, a header or length that it does not believe `EINVAL`;
//! after the interface was deleted everything gives `EBADFD`. A packet socket
//! (`net/packet/af_packet.c`): a write gives `ENETDOWN` while the interface is down, `ENXIO` when it is
//! gone, `EMSGSIZE` for a frame that is longer than its MTU, `ENOBUFS` when the queueing discipline
//! drops it, `EAGAIN` when the socket's buffer is full; a read tells once with `ENETDOWN` that the
//! interface went down or away, and then nothing more.
//!
//! Root of the sandbox can join a TAP of several queues and make the header longer for all of
//! them. Kernels of today write zeroes for the rest of it; older ones may *skip* it, and what an earlier
//! frame, maybe one of another network, left in the buffer would be taken for the frame. So the place
//! of its addresses is cleared before each read: such a frame has no source and is dropped.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use tapweave_net::{Frame, MacAddr, OffloadSet};

use crate::framing::Framing;
use crate::queue::{HEADROOM, PortQueue, Received, SendError};

/// One queue of a device. A TAP or TUN goes when its last queue is dropped.
#[derive(Debug)]
pub struct FileQueue {
    file: OwnedFd,
    framing: Framing,
}

impl FileQueue {
    /// Takes over a nonblocking descriptor of a device that has been set up as `framing` says.
    pub const fn new(file: OwnedFd, framing: Framing) -> Self {
        Self { file, framing }
    }

    /// Returns what stands before each frame.
    pub const fn framing(&self) -> Framing {
        self.framing
    }
}

impl AsFd for FileQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl PortQueue for FileQueue {
    fn offloads(&self) -> OffloadSet {
        self.framing.offloads()
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
            Err(error) if is_passing(error) => return Ok(Received::Empty),
            Err(error) => return Err(error.into()),
        };
        self.framing.decode(buf, start, len)
    }

    fn send(&self, frame: &mut Frame<'_>) -> Result<(), SendError> {
        let written = match self.framing {
            Framing::Plain => rustix::io::write(&self.file, frame.data()),
            // In one piece it would lose its Ethernet header.
            Framing::Packet(_) => self.send_parts(frame),
            Framing::VnetHdr(_) | Framing::ShortVnetHdr(_) => match self.framing.encode(frame) {
                Some(bytes) => rustix::io::write(&self.file, bytes),
                None => self.send_parts(frame),
            },
        };
        // A device takes a frame whole or not at all.
        written.map(drop).map_err(send_error)
    }

    fn as_file(&self) -> Option<&FileQueue> {
        Some(self)
    }
}

impl FileQueue {
    fn send_parts(&self, frame: &Frame<'_>) -> Result<usize, Errno> {
        let (header, body) = self.framing.parts(frame);
        let parts = [IoSlice::new(header.as_bytes()), IoSlice::new(body)];
        rustix::io::writev(&self.file, &parts)
    }
}

/// Clears the place of a frame's addresses in a buffer that will be read to: see the head of this file.
pub(crate) fn clear_addresses(buf: &mut [u8]) {
    if let Some(addresses) = buf.get_mut(HEADROOM..HEADROOM + 2 * MacAddr::LEN) {
        addresses.fill(0);
    }
}

/// Tells whether a failed read is nothing that a reader has to know: there is no frame, the interface
/// is down or on its way.
pub(crate) const fn is_passing(error: Errno) -> bool {
    matches!(
        error,
        Errno::AGAIN | Errno::INTR | Errno::IO | Errno::NETDOWN
    )
}

/// Returns what a failed write means.
pub(crate) fn send_error(error: Errno) -> SendError {
    match error {
        Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::INTR => SendError::Full,
        Errno::IO | Errno::NETDOWN => SendError::Down,
        Errno::INVAL | Errno::MSGSIZE => SendError::Unsupported,
        error => SendError::Failed(error.into()),
    }
}

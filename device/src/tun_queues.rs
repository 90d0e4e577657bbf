//! Opens the queues of a new TAP or TUN interface, in the network namespace of the calling thread
//! (`man 4 tun`, `Documentation/networking/tuntap.rst`).
//!
//! # Order
//!
//! Of an interface with several queues the kernel chooses one for each flow, by a hash that is the same for both
//! directions, and moves a flow to the queue that packets of its other direction are written to
//! (`tun_automq_select_queue`, `drivers/net/tun.c`). What it gives to the new queue may then be read before what waits in the
//! old one. So nothing is written to those queues: there is one more, the *outlet*, which the kernel gives nothing to, and
//! what is written there moves no flow.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use serde::{Deserialize, Serialize};
use tapweave_net::{OffloadSet, VnetHdr};

use crate::attach::{Offloading, Step};
use crate::file_queue::FileQueue;
use crate::framing::Framing;
use crate::sys::tun::{self, IFNAME_LEN};

/// What the packets of an interface begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layer {
    /// An Ethernet header: a TAP.
    Ethernet,
    /// An IP header: a TUN.
    Ip,
}

/// What the kernel cuts for this interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Segmentation {
    /// Nothing, and no header says so: [`crate::Framing::Plain`].
    None,
    /// TCP (kernels before 6.2).
    Tcp,
    /// TCP and UDP.
    TcpAndUdp,
}

impl Segmentation {
    /// Returns how frames stand in reads and writes of such an interface.
    pub(crate) const fn framing(self, layer: Layer) -> Framing {
        let tcp = OffloadSet::CHECKSUM
            .union(OffloadSet::TSO4)
            .union(OffloadSet::TSO6);
        let offloads = match self {
            Self::None => return Framing::Plain,
            Self::Tcp => tcp,
            Self::TcpAndUdp => tcp.union(OffloadSet::USO4).union(OffloadSet::USO6),
        };
        match layer {
            Layer::Ethernet => Framing::VnetHdr(offloads),
            Layer::Ip => Framing::Packet(offloads),
        }
    }
}

/// A new interface, not configured and down. It is gone when all its queues are closed.
#[derive(Debug)]
pub(crate) struct TunQueues {
    pub(crate) ifname: String,
    pub(crate) ifindex: u32,
    pub(crate) segmentation: Segmentation,
    /// The queues, and behind them the outlet if there are several.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// How many descriptors an interface has that has so many queues.
pub(crate) const fn descriptor_count(queue_count: usize) -> usize {
    if queue_count > 1 {
        queue_count + 1
    } else {
        queue_count
    }
}

/// Returns the queues of an interface, and its outlet.
pub(crate) fn queues_and_outlet(
    descriptors: Vec<OwnedFd>,
    framing: Framing,
) -> (Vec<FileQueue>, Option<FileQueue>) {
    let files = descriptors.into_iter();
    let mut queues: Vec<_> = files.map(|file| FileQueue::new(file, framing)).collect();
    let outlet = if queues.len() > 1 { queues.pop() } else { None };
    (queues, outlet)
}

impl TunQueues {
    /// Creates an interface with `queue_count` queues, at least one. `pattern` has a `%d`, for which the
    /// kernel takes the first number that makes the name free.
    pub(crate) fn create(
        layer: Layer,
        pattern: &str,
        queue_count: u16,
        offloading: Offloading,
    ) -> Result<Self, (Step, io::Error)> {
        let mut flags = libc::IFF_NO_PI;
        flags |= match layer {
            Layer::Ethernet => libc::IFF_TAP,
            Layer::Ip => libc::IFF_TUN,
        };
        if offloading == Offloading::On {
            flags |= libc::IFF_VNET_HDR;
        }
        if queue_count > 1 {
            flags |= libc::IFF_MULTI_QUEUE;
        }
        let create = |error| (Step::CreateInterface, error);
        let flags = i16::try_from(flags).map_err(|error| create(io::Error::other(error)))?;
        let mut name = pad(pattern);
        let mut queues = Vec::new();
        for _ in 0..descriptor_count(queue_count.into()) {
            let flags_of_open = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let queue = rustix::fs::open("/dev/net/tun", flags_of_open, Mode::empty())
                .map_err(|error| (Step::OpenTun, error.into()))?;
            name = tun::set_interface(queue.as_fd(), name, flags).map_err(create)?;
            queues.push(queue);
        }
        if let [_, .., outlet] = queues.as_slice() {
            tun::detach_queue(outlet.as_fd()).map_err(create)?;
        }
        let segmentation = match (offloading, queues.first()) {
            (Offloading::On, Some(queue)) => {
                set_offload(queue.as_fd()).map_err(|error| (Step::SetOffload, error))?
            }
            _ => Segmentation::None,
        };
        let ifname = name_of(&name);
        Ok(Self {
            ifindex: ifindex(&ifname).map_err(create)?,
            ifname,
            segmentation,
            descriptors: queues,
        })
    }
}

/// Agrees on header and offloads, which hold for all queues of the interface.
fn set_offload(queue: BorrowedFd<'_>) -> io::Result<Segmentation> {
    let header_len = c_int::try_from(VnetHdr::LEN).map_err(io::Error::other)?;
    tun::set_vnet_header_len(queue, header_len)?;
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
    match tun::set_offload(queue, tcp | udp) {
        Ok(()) => Ok(Segmentation::TcpAndUdp),
        // A kernel before 6.2 does not know UDP segmentation and refuses all.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
            tun::set_offload(queue, tcp)?;
            Ok(Segmentation::Tcp)
        }
        Err(error) => Err(error),
    }
}

fn ifindex(ifname: &str) -> io::Result<u32> {
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    Ok(netdevice::name_to_index(socket, ifname)?)
}

/// Returns a name without the zeroes that fill it up.
pub(crate) fn name_of(padded: &[u8; IFNAME_LEN]) -> String {
    let name = padded.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn pad(name: &str) -> [u8; IFNAME_LEN] {
    let mut padded = [0; IFNAME_LEN];
    for (to, from) in padded.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    padded
}

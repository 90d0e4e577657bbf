//! A packet socket: frames go out at an interface as they are (`man 7 packet`).
//!
//! The only place of the benchmarks with `unsafe`: binding to a link-layer address and the option
//! `PACKET_QDISC_BYPASS` have no safe form. Sending has one, in `rustix`.

#![expect(
    unsafe_code,
    reason = "link-layer addresses and packet options have no safe form"
)]

use std::convert::Infallible;
use std::error::Error;
use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{
    AddressFamily, MMsgHdr, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, sendmmsg,
    socket_with,
};

/// Frames that one system call takes.
const BATCH_COUNT: usize = 64;

/// Bytes that may wait at the interface: more than its queue holds, which then is the limit.
const SEND_BUF_LEN: usize = 8 << 20;

/// A socket that sends frames out at one interface, past its queueing discipline.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens a socket on the interface of that name in the namespace of this thread.
    ///
    /// # Errors
    ///
    /// When the kernel refuses or there is no such interface.
    pub fn open(ifname: &str) -> io::Result<Self> {
        // Without a protocol it receives nothing.
        let socket = socket_with(
            AddressFamily::PACKET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let index = name_to_index(&socket, ifname)?;
        bind(&socket, narrow(index)?)?;
        bypass_queueing_discipline(&socket)?;
        set_socket_send_buffer_size(&socket, SEND_BUF_LEN)?;
        Ok(Self(socket))
    }

    /// Sends `frames` over and over, one after the other, as long as the process lives. A frame for
    /// which the interface has no room is lost, as on a real network.
    ///
    /// # Errors
    ///
    /// When the interface fails.
    pub fn repeat(&self, frames: &[Vec<u8>]) -> io::Result<Infallible> {
        let slices: Vec<[IoSlice<'_>; 1]> =
            frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let mut controls: Vec<_> = frames
            .iter()
            .map(|_| SendAncillaryBuffer::default())
            .collect();
        let mut messages: Vec<MMsgHdr<'_>> = slices
            .iter()
            .zip(&mut controls)
            .map(|(slice, control)| MMsgHdr::new(slice, control))
            .collect();
        loop {
            for batch in messages.chunks_mut(BATCH_COUNT) {
                self.send(batch)?;
            }
        }
    }

    fn send(&self, mut messages: &mut [MMsgHdr<'_>]) -> io::Result<()> {
        while !messages.is_empty() {
            // The call ends at the first frame that finds no room.
            let done = match sendmmsg(&self.0, messages, SendFlags::empty()) {
                Ok(count) => count,
                Err(Errno::NOBUFS | Errno::AGAIN) => 1,
                Err(error) => return Err(error.into()),
            };
            messages = messages.get_mut(done..).unwrap_or_default();
        }
        Ok(())
    }
}

fn bind(socket: impl AsFd, ifindex: c_int) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: narrow(libc::AF_PACKET)?,
        sll_protocol: 0,
        sll_ifindex: ifindex,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = narrow(size_of_val(&address))?;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: `address` is a `sockaddr_ll` of `len` bytes, which the call only reads and which outlives
    // it; the descriptor is open, since it is borrowed.
    let result = unsafe { libc::bind(socket, (&raw const address).cast(), len) };
    checked(result)
}

/// Has frames go to the driver at once, and be lost where it has no room.
fn bypass_queueing_discipline(socket: impl AsFd) -> io::Result<()> {
    let on: c_int = 1;
    let len = narrow(size_of_val(&on))?;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the option is an `int` of `len` bytes, which the call only reads and which outlives it;
    // the descriptor is open, since it is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_PACKET,
            libc::PACKET_QDISC_BYPASS,
            (&raw const on).cast(),
            len,
        )
    };
    checked(result)
}

/// Makes a number of the type that the kernel's interface wants.
fn narrow<T, U: TryFrom<T, Error: Into<Box<dyn Error + Send + Sync>>>>(number: T) -> io::Result<U> {
    U::try_from(number).map_err(io::Error::other)
}

fn checked(result: c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

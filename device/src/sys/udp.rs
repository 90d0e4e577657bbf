//! Messages of UDP with ancillary data, many at a time (`man 7 udp`, `man 2 recvmmsg`,
//! `man 7 ip`, `man 7 ipv6`).
//!
//! Addresses, control messages and the arrays of the kernel are built here, next to the call that uses
//! them, so that no pointer leaves this file.

use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroU8, NonZeroUsize};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Most datagrams or runs of datagrams of one [`receive`].
pub(crate) const RECEIVE_COUNT: usize = 64;

/// Most messages of one call of [`send_each`].
const SEND_COUNT: usize = 64;

/// Room for the control messages of one message: `UDP_SEGMENT` or `UDP_GRO`, traffic class, and TTL or hop
/// limit, of which each takes 24 bytes.
const CONTROL_LEN: usize = 72;

/// A socket option of one `int`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntOption {
    level: c_int,
    name: c_int,
}

impl IntOption {
    /// Merge what is received.
    pub(crate) const GRO: Self = Self::new(libc::SOL_UDP, libc::UDP_GRO);
    /// Cut what is sent, unless a message says otherwise.
    pub(crate) const SEGMENT: Self = Self::new(libc::SOL_UDP, libc::UDP_SEGMENT);
    /// Take datagrams without a checksum, over IPv6 (RFC 6935).
    pub(crate) const NO_CHECKSUM: Self = Self::new(libc::SOL_UDP, libc::UDP_NO_CHECK6_RX);
    /// Whether the kernel fragments, over IPv4.
    pub(crate) const MTU_DISCOVER_V4: Self = Self::new(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    /// Whether the kernel fragments, over IPv6.
    pub(crate) const MTU_DISCOVER_V6: Self = Self::new(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
    /// Path MTU of a connected socket, over IPv4.
    pub(crate) const MTU_V4: Self = Self::new(libc::IPPROTO_IP, libc::IP_MTU);
    /// Path MTU of a connected socket, over IPv6.
    pub(crate) const MTU_V6: Self = Self::new(libc::IPPROTO_IPV6, libc::IPV6_MTU);
    /// Tell the TOS of what is received.
    pub(crate) const RECEIVE_TOS: Self = Self::new(libc::IPPROTO_IP, libc::IP_RECVTOS);
    /// Tell the Traffic Class of what is received.
    pub(crate) const RECEIVE_CLASS: Self = Self::new(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
    /// TTL of what is sent.
    pub(crate) const TTL: Self = Self::new(libc::IPPROTO_IP, libc::IP_TTL);
    /// Hop limit of what is sent.
    pub(crate) const HOP_LIMIT: Self = Self::new(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS);
    /// Whether what is sent to a group comes back to members on this host, over IPv4.
    pub(crate) const GROUP_LOOP_V4: Self = Self::new(libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP);
    /// Whether what is sent to a group comes back to members on this host, over IPv6.
    pub(crate) const GROUP_LOOP_V6: Self = Self::new(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP);
    /// Whether groups are heard that other sockets have joined, over IPv4.
    pub(crate) const ALL_GROUPS_V4: Self = Self::new(libc::IPPROTO_IP, libc::IP_MULTICAST_ALL);
    /// Whether groups are heard that other sockets have joined, over IPv6 (Linux 4.20).
    pub(crate) const ALL_GROUPS_V6: Self = Self::new(libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL);
    /// Out of which interface groups are sent to, over IPv6, by its index.
    const GROUP_INTERFACE_V6: Self = Self::new(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF);
    /// Bytes that may wait to be received, twice over.
    pub(crate) const RECEIVE_BUFFER: Self = Self::new(libc::SOL_SOCKET, libc::SO_RCVBUF);
    /// The same beyond the system's limit.
    pub(crate) const RECEIVE_BUFFER_FORCE: Self = Self::new(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
    /// Bytes that may wait to be sent, twice over.
    pub(crate) const SEND_BUFFER: Self = Self::new(libc::SOL_SOCKET, libc::SO_SNDBUF);
    /// The same beyond the system's limit.
    pub(crate) const SEND_BUFFER_FORCE: Self = Self::new(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE);

    /// Send without checksums, over IPv4.
    #[cfg(test)]
    pub(crate) const OMIT_CHECKSUM: Self = Self::new(libc::SOL_SOCKET, libc::SO_NO_CHECK);

    const fn new(level: c_int, name: c_int) -> Self {
        Self { level, name }
    }

    /// Sets the option.
    pub(crate) fn set(self, socket: BorrowedFd<'_>, value: c_int) -> io::Result<()> {
        set_option(socket, self.level, self.name, &value)
    }

    /// Returns the option.
    pub(crate) fn get(self, socket: BorrowedFd<'_>) -> io::Result<c_int> {
        option(socket, self.level, self.name).map(c_int::from_ne_bytes)
    }
}

/// Returns what tells the socket's network namespace apart from all others since the machine was started (Linux 5.14).
pub(crate) fn netns_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    option(socket, libc::SOL_SOCKET, SO_NETNS_COOKIE).map(u64::from_ne_bytes)
}

/// `asm-generic/socket.h`; not in `libc` 0.2.
const SO_NETNS_COOKIE: c_int = 71;

/// Returns an option whose value has `N` bytes.
fn option<const N: usize>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
) -> io::Result<[u8; N]> {
    let (mut value, mut len) = ([0; N], socklen::<[u8; N]>());
    let (place, place_len) = (value.as_mut_ptr(), ptr::from_mut(&mut len));
    // SAFETY: the kernel writes at most `len` bytes to `value`, which has as many, and the number of bytes to `len`; both
    // outlive the call.
    let outcome =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, place.cast(), place_len) };
    check(outcome).map(|()| value)
}

/// Sends to groups out of the interface with this index.
pub(crate) fn set_group_interface(
    socket: BorrowedFd<'_>,
    over: IpAddr,
    index: u32,
) -> io::Result<()> {
    let index = index_of(index)?;
    match over {
        IpAddr::V4(_) => {
            let request = group_request(Ipv4Addr::UNSPECIFIED, index);
            set_option(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
        }
        IpAddr::V6(_) => IntOption::GROUP_INTERFACE_V6.set(socket, index),
    }
}

/// Joins a group on the interface with this index; closing the socket leaves it.
pub(crate) fn join_group(socket: BorrowedFd<'_>, group: IpAddr, index: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            let request = group_request(group, index_of(index)?);
            set_option(socket, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &request)
        }
        IpAddr::V6(group) => {
            let request = libc::ipv6_mreq {
                ipv6mr_multiaddr: libc::in6_addr {
                    s6_addr: group.octets(),
                },
                ipv6mr_interface: index,
            };
            set_option(
                socket,
                libc::IPPROTO_IPV6,
                libc::IPV6_ADD_MEMBERSHIP,
                &request,
            )
        }
    }
}

/// `linux/in6.h`; not in `libc` 0.2.
const IPV6_MULTICAST_ALL: c_int = 29;

const fn group_request(group: Ipv4Addr, index: c_int) -> libc::ip_mreqn {
    libc::ip_mreqn {
        imr_multiaddr: libc::in_addr {
            s_addr: u32::from_ne_bytes(group.octets()),
        },
        imr_address: libc::in_addr { s_addr: 0 },
        imr_ifindex: index,
    }
}

fn index_of(index: u32) -> io::Result<c_int> {
    c_int::try_from(index).map_err(io::Error::other)
}

/// Sets an option whose value is plain data of C.
fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let (value, len) = (ptr::from_ref(value).cast(), socklen::<T>());
    // SAFETY: the kernel reads at most `len` bytes from `value`, which lives and is of that size.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, len) };
    check(outcome)
}

/// What the outer header of a message is told; what is absent is as the socket has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ancillary {
    /// The bytes of each datagram into which the kernel cuts the message.
    pub(crate) segment_len: Option<u16>,
    /// TOS or Traffic Class; zero leaves the socket's.
    pub(crate) class: u8,
    /// TTL or Hop Limit.
    pub(crate) hop_limit: Option<NonZeroU8>,
}

impl Ancillary {
    /// Returns the control messages that say this of a message to `to`.
    fn control(self, to: SocketAddr) -> Control {
        let mut control = Control::new();
        if let Some(len) = self.segment_len {
            control.put(libc::SOL_UDP, libc::UDP_SEGMENT, &len.to_ne_bytes());
        }
        if self.class != 0 {
            let (level, kind) = match to {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            control.put(level, kind, &c_int::from(self.class).to_ne_bytes());
        }
        if let Some(hops) = self.hop_limit {
            let (level, kind) = match to {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
            };
            control.put(level, kind, &c_int::from(hops.get()).to_ne_bytes());
        }
        control
    }
}

/// Returns the header of a message of `parts`. Its pointers are good as long as what they were made of stays where it is.
fn message_of(name: &mut Name, control: &mut Control, parts: &[IoSlice<'_>]) -> libc::msghdr {
    let mut message = empty_message();
    message.msg_name = name.place();
    message.msg_namelen = name.len();
    // An `IoSlice` is a `struct iovec` (std: "guaranteed to be ABI compatible").
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len();
    if control.len > 0 {
        message.msg_control = control.bytes.as_mut_ptr().cast();
        message.msg_controllen = control.len;
    }
    message
}

/// Sends one message. Does not wait.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    to: SocketAddr,
    ancillary: Ancillary,
    parts: &[IoSlice<'_>],
) -> io::Result<()> {
    let mut name = Name::from(to);
    let mut control = ancillary.control(to);
    let message = message_of(&mut name, &mut control, parts);
    // SAFETY: name, control messages and vectors point to live memory of the stated lengths; `sendmsg`
    // writes to none of them and keeps no pointer.
    let sent = unsafe {
        libc::sendmsg(
            socket.as_raw_fd(),
            ptr::from_ref(&message),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sends messages of `part_count` parts each, the last of what is left, by as few calls as possible. Does not wait. One
/// that cannot be sent is lost, but for the first, whose error is returned with nothing sent.
pub(crate) fn send_each(
    socket: BorrowedFd<'_>,
    to: SocketAddr,
    ancillary: Ancillary,
    parts: &[IoSlice<'_>],
    part_count: NonZeroUsize,
) -> io::Result<()> {
    let mut name = Name::from(to);
    let mut control = ancillary.control(to);
    let mut is_first = true;
    for parts in parts.chunks(part_count.get().saturating_mul(SEND_COUNT)) {
        let mut messages = [libc::mmsghdr {
            msg_hdr: empty_message(),
            msg_len: 0,
        }; SEND_COUNT];
        let mut count = 0;
        for (message, parts) in messages.iter_mut().zip(parts.chunks(part_count.get())) {
            message.msg_hdr = message_of(&mut name, &mut control, parts);
            count += 1;
        }
        let mut waiting = messages.get_mut(..count).unwrap_or_default();
        while !waiting.is_empty() {
            let sent = match send_messages(socket, waiting) {
                Err(error) if is_first => return Err(error),
                // The first of these is lost, and the others are tried again.
                Err(_) | Ok(0) => 1,
                Ok(sent) => sent,
            };
            is_first = false;
            waiting = waiting.get_mut(sent..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Sends messages until one cannot be sent, and returns how many were.
fn send_messages(socket: BorrowedFd<'_>, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
    let count = libc::c_uint::try_from(messages.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: the caller's headers point to names, control messages and vectors of the stated lengths, which it holds during
    // the call; `sendmmsg` writes to `msg_len` of the `count` headers only and keeps no pointer.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    usize::try_from(sent).map_err(|_negative| io::Error::last_os_error())
}

/// What is known of a datagram, or of several that the kernel merged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    /// Bytes of all of them.
    pub(crate) len: usize,
    /// Who sent them.
    pub(crate) source: Option<SocketAddr>,
    /// TOS or Traffic Class of the last of them.
    pub(crate) class: u8,
    /// Bytes of each but the last, if they are several.
    pub(crate) segment_len: Option<usize>,
    /// Whether there were more bytes than room.
    pub(crate) is_truncated: bool,
}

/// Receives up to [`RECEIVE_COUNT`] messages without waiting, each into one of the chunks of `stride`
/// bytes that `memory` holds, from its byte `start` on. Returns how many; `received` says what they are.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    memory: &mut [u8],
    stride: usize,
    start: usize,
    received: &mut [Received; RECEIVE_COUNT],
) -> io::Result<usize> {
    let mut names = [Name::EMPTY; RECEIVE_COUNT];
    let mut controls = [const { Control::new() }; RECEIVE_COUNT];
    let mut vectors = [libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }; RECEIVE_COUNT];
    let mut messages = [libc::mmsghdr {
        msg_hdr: empty_message(),
        msg_len: 0,
    }; RECEIVE_COUNT];
    let mut count: libc::c_uint = 0;
    let chunks = memory.chunks_exact_mut(stride);
    let places = chunks.zip(&mut names).zip(&mut controls).zip(&mut vectors);
    for ((((chunk, name), control), vector), message) in places.zip(&mut messages) {
        let space = chunk.get_mut(start..).unwrap_or_default();
        vector.iov_base = space.as_mut_ptr().cast();
        vector.iov_len = space.len();
        let header = &mut message.msg_hdr;
        header.msg_name = name.place();
        header.msg_namelen = NAME_LEN;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_control = control.bytes.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_LEN;
        count += 1;
    }
    // SAFETY: the first `count` headers point to names, control buffers and vectors of the stated lengths,
    // and these to chunks that do not overlap; all of them outlive the call, after which the kernel keeps
    // no pointer. There is no timeout.
    let taken = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
        )
    };
    let taken = usize::try_from(taken).map_err(|_negative| io::Error::last_os_error())?;
    let filled = messages.iter().zip(&names).zip(&controls);
    for (((message, name), control), slot) in filled.zip(received).take(taken) {
        let header = &message.msg_hdr;
        *slot = Received {
            len: message.msg_len as usize,
            source: name.addr(),
            class: 0,
            segment_len: None,
            is_truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        };
        control.read(header.msg_controllen, slot);
    }
    Ok(taken)
}

/// Room for an address of either family.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

#[expect(clippy::cast_possible_truncation, reason = "families are small")]
const INET: libc::sa_family_t = libc::AF_INET as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "families are small")]
const INET6: libc::sa_family_t = libc::AF_INET6 as libc::sa_family_t;
const NAME_LEN: libc::socklen_t = socklen::<Name>();

impl Name {
    const EMPTY: Self = Self {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    const fn place(&mut self) -> *mut libc::c_void {
        ptr::from_mut(self).cast()
    }

    fn family(&self) -> c_int {
        // SAFETY: every variant begins with the family, and it is initialised in all of them.
        c_int::from(unsafe { self.family })
    }

    fn len(&self) -> libc::socklen_t {
        match self.family() {
            libc::AF_INET => socklen::<libc::sockaddr_in>(),
            _ => socklen::<libc::sockaddr_in6>(),
        }
    }

    fn addr(&self) -> Option<SocketAddr> {
        match self.family() {
            libc::AF_INET => {
                // SAFETY: the family says that it is this variant, of which every bit pattern is valid.
                let v4 = unsafe { self.v4 };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { self.v6 };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for Name {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => Self {
                v4: libc::sockaddr_in {
                    sin_family: INET,
                    sin_port: addr.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(addr.ip().octets()),
                    },
                    sin_zero: [0; 8],
                },
            },
            SocketAddr::V6(addr) => Self {
                v6: libc::sockaddr_in6 {
                    sin6_family: INET6,
                    sin6_port: addr.port().to_be(),
                    sin6_flowinfo: addr.flowinfo(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: addr.ip().octets(),
                    },
                    sin6_scope_id: addr.scope_id(),
                },
            },
        }
    }
}

/// Control messages: each a header, its data, and padding to the next word.
#[repr(C, align(8))]
struct Control {
    bytes: [u8; CONTROL_LEN],
    len: usize,
}

/// Where the data of a control message begins; the headers of both C libraries are whole words.
const HEADER_LEN: usize = size_of::<libc::cmsghdr>().next_multiple_of(WORD_LEN);
const WORD_LEN: usize = size_of::<usize>();
const _: () = assert!(3 * (HEADER_LEN + WORD_LEN) <= CONTROL_LEN);

impl Control {
    const fn new() -> Self {
        Self {
            bytes: [0; CONTROL_LEN],
            len: 0,
        }
    }

    /// Adds a message with at most a word of data; there is room for three.
    fn put(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        // SAFETY: a `cmsghdr` is integers, for which zeroes are a value.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = HEADER_LEN + data.len();
        header.cmsg_level = level;
        header.cmsg_type = kind;
        let end = self.len + HEADER_LEN + WORD_LEN;
        let Some(place) = self.bytes.get_mut(self.len..end) else {
            return;
        };
        let (head, body) = place.split_at_mut(HEADER_LEN);
        // SAFETY: `head` is at least as long as a `cmsghdr`; a write of any alignment is asked for.
        unsafe { ptr::write_unaligned(head.as_mut_ptr().cast(), header) };
        if let Some(body) = body.get_mut(..data.len()) {
            body.copy_from_slice(data);
            self.len = end;
        }
    }

    /// Brings what the first `len` bytes say into `received`.
    fn read(&self, len: usize, received: &mut Received) {
        let mut rest = self.bytes.get(..len).unwrap_or(&self.bytes);
        while rest.len() >= HEADER_LEN {
            // SAFETY: there are as many bytes as a `cmsghdr` has, and every bit pattern is one; a read of
            // any alignment is asked for.
            let header: libc::cmsghdr = unsafe { ptr::read_unaligned(rest.as_ptr().cast()) };
            let message_len = header.cmsg_len;
            let Some(data) = rest.get(HEADER_LEN..message_len) else {
                return;
            };
            match (header.cmsg_level, header.cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let len = data.first_chunk().map(|len| c_int::from_ne_bytes(*len));
                    let len = len.and_then(|len| usize::try_from(len).ok());
                    received.segment_len = len.filter(|len| *len > 0);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => {
                    received.class = data.first().copied().unwrap_or_default();
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    let class = data.first_chunk().map(|class| c_int::from_ne_bytes(*class));
                    received.class = class
                        .and_then(|class| u8::try_from(class).ok())
                        .unwrap_or_default();
                }
                _ => {}
            }
            rest = rest
                .get(message_len.next_multiple_of(WORD_LEN)..)
                .unwrap_or_default();
        }
    }
}

/// Returns a message header without anything.
fn empty_message() -> libc::msghdr {
    // SAFETY: a `msghdr` is integers and pointers, for which zeroes are a value.
    unsafe { mem::zeroed() }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "addresses and numbers have some bytes"
)]
const fn socklen<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn check(outcome: c_int) -> io::Result<()> {
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

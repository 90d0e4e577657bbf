//! The overlay's core: how frames of a network travel between hosts.
//!
//! The crate performs no I/O and reads no clock; it takes bytes, addresses and
//! [`Timestamp`](tapweave_net::Timestamp)s and returns bytes, values and [`Refusal`]s. Nothing on
//! the packet path allocates. It does not know sockets, MAC tables or names of networks.
//!
//! ```text
//!                 what is put in front           what the socket is told
//!  frame ─► Inner ─► Tunnel::push, ::segments    Tunnel::outer ─► Outer ─► socket
//!                    VxlanHeader, Segments,      Marking (DSCP, ECN, hops), source port
//!                    DatagramRun (UDP_SEGMENT)
//!
//!  socket ─► pop ─► VxlanTable or RouteTable ─► Tunnel::admit ─► inner frame or packet
//!                   who may send, and what      inner tags, IP version, ECN, DSCP
//! ```
//!
//! - *Payload and outer headers are two things.* For VXLAN, FOU and GUE the kernel makes the outer
//!   IP and UDP headers. So what we push is the few bytes behind UDP, and the rest is a value,
//!   [`Outer`], for `sendmsg` and its ancillary data. A super-frame is not copied: each segment is
//!   a small header in a side array and a slice of the payload.
//! - *Who may send is decided before what was sent is looked at.* Only known peers may, and only
//!   into networks that they are bound to (`VxlanTable`) or for prefixes that are theirs
//!   (`RouteTable`).
//! - *Tables are values* that the control side builds and workers get as immutable snapshots. Only
//!   a [`Peer`] is shared between them: last-heard time and path MTU.
//! - *The path MTU* of each peer is a machine of its own ([`PathMtu`]), driven by ICMP messages,
//!   answers to probes and time.

#![forbid(unsafe_code)]

pub mod ecn;

mod class;
mod datagram;
mod inner;
mod kind;
mod marking;
mod outer;
mod path_mtu;
mod peer;
mod refusal;
mod run;
mod segments;
mod tunnel;
mod vni;
mod vxlan;

// Encapsulations and their headers.
pub use kind::{EncapKind, EncapKindError, Layer, OuterChecksum, Underlay};
pub use vni::{Vni, VniError};
pub use vxlan::VxlanHeader;

// Sending and receiving.
pub use datagram::{Popped, PoppedOuter, pop, pop_outer};
pub use inner::{Inner, InnerPacket};
pub use outer::{Outer, Vtep};
pub use refusal::Refusal;
pub use run::DatagramRun;
pub use segments::{Segment, Segments};
pub use tunnel::{Encap, IpVersion, SegmentsError, TagPolicy, Tunnel, TunnelHeader};

// Traffic class and hops.
pub use class::{Dscp, Ecn, TrafficClass};
pub use ecn::EcnMode;
pub use marking::{DscpModel, HopLimit, Marking};

// Hosts, networks and paths.
pub use path_mtu::{PathMtu, Probing};
pub use peer::Peer;

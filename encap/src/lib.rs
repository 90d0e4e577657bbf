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
//!                                               └─► received_offload: what is left to do on it
//! ```
//!
//! - *Payload and outer headers are two things.* For VXLAN, FOU and GUE the kernel makes the outer
//!   IP and UDP headers. So what we push is the few bytes behind UDP, and the rest is a value,
//!   [`Outer`], for `sendmsg` and its ancillary data. A super-frame is not copied: each segment is
//!   a small header in a side array and a slice of the payload.
//! - *Who may send is decided before what was sent is looked at.* Only known peers may, and only
//!   into networks that they are bound to ([`VxlanTable`]) or for prefixes that are theirs
//!   ([`RouteTable`]).
//! - *Tables are values* that the control side builds and workers get as immutable snapshots. Only
//!   a [`Peer`] is shared between them: last-heard time and path MTU.
//!
//! ```
//! use std::sync::Arc;
//! use tapweave_encap::{
//!     Admission, Encap, EncapKind, Inner, Marking, Peer, TagPolicy, TrafficClass, Tunnel, Vni,
//!     Vtep, VxlanTable, pop,
//! };
//! use tapweave_net::{Frame, NetworkNo, Offload, Timestamp};
//!
//! let vni = Vni::new(42)?;
//! let tunnel = Tunnel {
//!     encap: Encap::Vxlan(vni),
//!     marking: Marking::default(),
//!     tags: TagPolicy::Refuse,
//! };
//! let peer = Arc::new(Peer::new(Vtep::new("192.0.2.2".parse()?, 4789), 1500));
//! let mut table = VxlanTable::default();
//! table.add_segment(vni, NetworkNo(1), Admission::Peers)?;
//! table.add_peer(vni, Arc::clone(&peer))?;
//! assert_eq!(tunnel.inner_mtu(&peer), Some(1450));
//!
//! // Sending: the payload of UDP, and what the socket is told.
//! let mut buffer = [0; 100];
//! let mut frame = Frame::new(&mut buffer, 40, Offload::NONE);
//! let inner = Inner::parse(frame.data(), 7)?;
//! let outer = tunnel.outer(&inner, peer.vtep());
//! assert!(outer.src_port >= 49_152);
//! let mut datagram = tunnel.push(&mut frame, &inner)?.to_vec();
//! assert_eq!(datagram[..8], [8, 0, 0, 0, 0, 0, 42, 0]);
//!
//! // Receiving: from whom, into what, and is it well.
//! let popped = pop(EncapKind::Vxlan, &mut datagram)?;
//! let accepted = table.accept(popped.vni.unwrap_or(vni), "192.0.2.2".parse()?)?;
//! tunnel.admit(popped.inner, TrafficClass::from_u8(0))?;
//! assert_eq!(accepted.network, NetworkNo(1));
//! peer.handle_heard(Timestamp::from_secs(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod ecn;

mod class;
mod datagram;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod inner;
mod kind;
mod marking;
mod outer;
mod path_mtu;
mod peer;
mod prefix_map;
mod probe;
mod received;
mod refusal;
mod route_table;
mod run;
mod segments;
mod tunnel;
mod vni;
mod vxlan;
mod vxlan_table;

// Encapsulations and their headers.
pub use kind::{EncapKind, EncapKindError, Layer, OuterChecksum, Underlay};
pub use vni::{Vni, VniError};
pub use vxlan::VxlanHeader;

// Sending and receiving.
pub use datagram::{Popped, PoppedOuter, pop, pop_outer};
pub use inner::{Inner, InnerPacket};
pub use outer::{Outer, Vtep};
pub use received::received_offload;
pub use refusal::Refusal;
pub use run::DatagramRun;
pub use segments::{Segment, Segments};
pub use tunnel::{Encap, SegmentsError, TagPolicy, Tunnel, TunnelHeader};

// Traffic class and hops.
pub use class::{Dscp, Ecn, TrafficClass};
pub use ecn::EcnMode;
pub use marking::{DscpModel, HopLimit, Marking};

// Hosts, networks and paths.
pub use path_mtu::{FoundPath, PathMtu};
pub use peer::{Peer, Wanted};
pub use prefix_map::PrefixMap;
pub use probe::{Prober, Station, echo_reply, echo_request};
pub use route_table::{InnerAddresses, Route, RouteError, RouteTable};
pub use vxlan_table::{Accepted, Admission, VxlanTable, VxlanTableError};

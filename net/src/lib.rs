//! The words and bytes of tapweave.
//!
//! Everything that two other crates must agree on stands here: addresses, header views, checksums,
//! flow keys, the offload metadata that travels with a frame, typed numbers and time. The crate
//! performs no I/O, never reads a clock and never allocates on the packet path; callers pass in
//! bytes and [`Timestamp`]s.
//!
//! A *view* (`…View`, for the hot path) borrows bytes, checks their length once in `parse` and then
//! reads fields. A plain struct stands where meaning is narrower than bytes (an address, a VID).
//! No parser here panics on any input.

#![forbid(unsafe_code)]

mod ethertype;
mod frame;
mod id;
mod mac;
mod offload;
mod time;
mod vnet;

pub use ethertype::EtherType;
pub use frame::Frame;
pub use id::{NetworkNo, PortNo};
pub use mac::{MacAddr, MacParseError};
pub use offload::{ChecksumOffload, Gso, GsoKind, Offload, OffloadSet};
pub use time::Timestamp;
pub use vnet::{VnetHdr, VnetHdrError};

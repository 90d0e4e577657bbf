//! The NAT core: how packets of sandboxes get other addresses on their way out and back.
//!
//! The crate performs no I/O and reads no clock; it takes frames, rules and
//! [`Timestamp`](tapweave_net::Timestamp)s, and changes frames in place. Nothing on the packet path
//! allocates or waits: every worker translates with the same [`table`], which has no lock.

#![forbid(unsafe_code)]

pub mod table;

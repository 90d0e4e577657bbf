//! What a daemon leaves to the one after it, as bytes.
//!
//! A daemon that is restarted, replaced or killed keeps its networks and ports in the store. What it has learned
//! from packets is here: flows that are translated, stations, neighbours, members of groups. The crate says what that
//! looks like outside of a process, and reads it back; it performs no I/O, reads no clock, and does not know where the
//! bytes are kept. The daemon does both (`daemon/src/carry.rs`).
//!
//! - [`container`]: a file is a header and sections; a journal is one to which sections are added.
//! - [`Table`]: which sections there are, and in which version.
//! - [`names`]: what numbers mean. Numbers of networks and ports are of one process; what outlives it are their ids.
//! - [`flows`]: flows, and what became of them.
//! - [`ports`], and what is known of them by their names: [`stations`], [`groups`], [`peers`]; and [`neighbors`].
//!
//! Times are [`Timestamp`](tapweave_net::Timestamp)s of a clock that counts from the start of the machine, so that they
//! mean the same to the next process. That it is the same start, the header says ([`BootId`]).
//!
//! Every number is little-endian. Records have a fixed length, so reading is bounded by the length of the bytes, and
//! whatever they say, nothing panics.

#![forbid(unsafe_code)]

pub mod container;
pub mod flows;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod groups;
pub mod names;
pub mod neighbors;
pub mod peers;
pub mod ports;
pub mod stations;
pub mod stopped;

mod address;
mod boot;
mod reading;
mod records;
mod table;
mod vlan;

pub use boot::BootId;
pub use reading::{Carried, Refusal, read, read_so_far};
pub use table::Table;

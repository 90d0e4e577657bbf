//! The DHCP server of a network: addresses for machines that ask for theirs, and what they have to know besides.
//!
//! The crate is a value without I/O, clock or randomness. The caller gives it messages as they came, with the port and
//! the station that they came from ([`Server::handle`]), the addresses that there are ([`Pool`]), and the time; it gets the
//! answer and sends it. `docs/dhcp.md` says what users see of it.
//!
//! # Theory of operation
//!
//! ```text
//!   message ─► malformed, relayed, said to be from another station ── dropped, counted
//!              from the endpoint's own MAC address
//!                its interface has its addresses ── dropped, counted
//!                it asks for them ── its address, and no other
//!              from another one behind the port
//!                its address was fixed by hand ── that one
//!                else ── a lease from the pool
//! ```
//!
//! - *An endpoint has one address*, which the control plane chose when it was connected. DHCP says it; it does not
//!   choose. Whoever asks from the endpoint's MAC address is the endpoint, whatever its identifier: firmware,
//!   boot loader and system of one machine have different ones.
//! - *Others behind a port* are machines that a sandbox bridges to its interface; a guard lets only those through whom
//!   it was told of, so there are some only where there is no guard. Each gets a lease, known by its identifier or its
//!   MAC address.
//! - *Leases belong to ports.* A client of one port cannot get, renew or give back the lease of a client of another one
//!   by giving its identifier; and a port that goes takes its leases along. A port has so many leases at a time, offers
//!   included, so a flood of clients from one port leaves the addresses to the others.
//! - *Static leases* are addresses that were fixed by hand, by MAC address or identifier. They are of the network, not of
//!   a port, and count against nobody.
//! - *Authority.* There is no other server on these networks: the guard keeps sandboxes from being one, and what asks
//!   for one is shown to nobody else. So a client that asks for an address which it cannot have is told at once.
//! - *Persistence.* An offer is forgotten by a restart. A lease is kept ([`Pool::keep`]) before its client is told.
//!   Renewals are not: a lease that was kept begins anew after a restart, so it may last longer than its client
//!   thinks and never shorter.
//! - *IPv6* addresses are not given: those who ask for information get it ([`Server::handle_v6`]).
//!
//! Messages are read and written by the crate itself: a header of fixed length and options that each have one
//! (`docs/decisions/0012-dhcp.md` says why). `dhcproto` reads and writes them in the tests.

#![forbid(unsafe_code)]

mod answer;
mod client;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod lease;
mod refusal;
mod server;
mod settings;
mod static_leases;
mod stats;
#[cfg(test)]
mod tests;
mod turn;
mod v4;
mod v6;

pub use client::{ClientIdError, ClientKey, ClientKeyError};
pub use lease::{Addressing, KeptLease, Lease, LeaseState, Origin, Pool, Station};
pub use refusal::Refusal;
pub use server::{Asker, Reply, ReplyTo, Server};
pub use settings::{DEFAULT_LEASE_TIME, MIN_LEASE_TIME, Names, Settings, WayOut};
pub use stats::ServerStats;

//! The resolver of a network: names of its endpoints, a cache, and what has to be asked upstream.
//!
//! The crate is a value without I/O, clock or randomness. The caller gives it queries as they came
//! ([`Resolver::handle_query`]), asks other servers what it is told to ask, and gives back what they said
//! ([`Resolver::handle_outcome`]). Wire formats are `hickory-proto`'s.
//!
//! # Theory of operation
//!
//! ```text
//!   query ─► malformed? update, transfer, another class? ── FORMERR, NOTIMP, REFUSED
//!            a name of the network, or one of its addresses' ── from the [`Zone`], at once
//!            the network is closed ── there is no such name
//!            in the cache ── from there
//!            asked already ── waits with those who asked before
//!            the client has its share ── SERVFAIL
//!            [`Step::Ask`]
//! ```
//!
//! - *One resolver a network.* Neither names nor what was cached or asked is shared, so nothing that a sandbox
//!   of one network does can be noticed in another.
//! - *The network's domain* is its name. `NAME.NETWORK` is answered with authority: a name that is not there does
//!   not exist, and nobody else is asked for it. The bare `NAME` means the same. An address question for any other
//!   name of one label does not leave the network either: no such name exists in the public DNS, and the question
//!   would tell others what the names here are.
//! - *Closed networks* (`--internal`) have no other names: those do not exist. Not REFUSED, which musl's resolver
//!   does not take for an answer: it would wait for another one until its time is over.
//! - *No poisoning.* An answer is kept under the question that it was given to and nowhere else, so what else it
//!   contains has no effect on other questions (RFC 2181 §5.4.1). It is believed only from a socket that is
//!   connected to the server and has a port of its own, with the id and the question that were sent (RFC 5452 §9).
//!   One question is under way once, whoever asks (RFC 5452 §5).
//! - *Private addresses* in answers of others are passed on, as dnsmasq does unless it is told otherwise: the
//!   resolvers of companies say where machines of the company are. What they lead to is decided by routes and NAT, as
//!   for any packet.
//! - *Limits.* What is kept is bounded ([`Limits`]); each client may have so many questions under way and ask so many
//!   a second. Local names and cached answers are not limited.

#![forbid(unsafe_code)]

mod answer;
mod cache;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod names;
mod people;
mod question;
mod reply;
mod request;
mod resolver;
mod special;
#[cfg(test)]
mod tests;
mod zone;

pub use limits::{ClientNo, Limits};
pub use names::{NameRecord, NetworkNames, World};
pub use people::{AskError, Shown, ShownRecord, encode_query, show};
pub use question::{Answer, Answered, Question};
pub use request::Transport;
pub use resolver::{Resolver, ResolverStats, Step};
pub use zone::Zone;

/// Time to live of what the resolver says by itself, in seconds: sandboxes come and go.
pub const LOCAL_TTL: u32 = 5;

/// Most bytes of an answer in a datagram: what fits into any IPv6 link (RFC 9715 §3.1).
pub const DATAGRAM_MAX: u16 = 1232;

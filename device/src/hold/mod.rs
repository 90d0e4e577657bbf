//! A process that keeps descriptors, so that what they are outlives the daemon.
//!
//! # Theory of operation
//!
//! A TAP, a TUN or a socket is there as long as somebody has a descriptor of it. The *holder* is a process that does
//! nothing but have them: the daemon gives it a copy of each that matters ([`Holder::put`]), takes it back when it
//! is done with it ([`Holder::remove`]), and after its end, however it came, the next daemon gets copies of
//! all ([`Holder::take_all`]). Meanwhile the interfaces are up, and frames wait in their queues.
//!
//! - The holder understands nothing of what it keeps: an entry is a key, a note for whoever takes it, and up to 64
//!   descriptors. It opens, reads and writes none of them, has no capabilities and a session of its own.
//! - It listens in a folder of the daemon's, by a socket that only the same user may connect to. A daemon is
//!   connected as long as it lives, so its end is the end of the connection. Two may be connected at
//!   a time, when one takes over from the other.
//! - Without any daemon it has *patience* for some time and then ends, so nothing stays for ever when no daemon comes back;
//!   it ends within a second when its socket is deleted, since then none can come.
//! - An entry is put without an answer: what has been sent is delivered even if the daemon is killed the moment
//!   after. A removal is answered when the holder's copies are closed, so that who closes its own afterwards
//!   closes the last.
//!
//! A descriptor of a TAP keeps the network namespace alive in which it was made. The daemon removes the entries of
//! a sandbox that ends; while there is no daemon, patience is what limits it.

mod client;
mod message;
pub(crate) mod server;

pub use self::client::{Held, Holder, HolderError};
pub use self::message::HeldKey;

/// The name of the holder's socket in its folder.
const SOCKET: &str = "holder";

#[cfg(test)]
mod tests;

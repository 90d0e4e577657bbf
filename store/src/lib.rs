//! The store: where intent is kept, so that networks, endpoints and rules outlive the daemon.
//!
//! The crate knows keys, octets and revisions. What the records mean, and how they are written, is the
//! control plane's.
//!
//! # Theory of operation
//!
//! Everything a store does rests on one operation, [`Store::commit`] of a [`Transaction`]: comparisons
//! that must all hold, and changes that are then made together or not at all. What is put, deleted or
//! swapped alone is a transaction of one change. Each transaction that changes something takes the store
//! to a new [`Revision`], and a [`Versioned`] value carries the revisions at which its key was created and
//! last changed; comparing the latter is what makes a change safe against others that come between.
//!
//! An observer reads a folder of keys at one revision ([`Store::range`]) and follows it from there
//! ([`Store::watch`]). Changes arrive in the order of their revisions and in whole transactions. A store
//! keeps a bounded past: an observer that falls behind it is told so ([`StoreError::Compacted`]) and
//! starts again by [`Store::range`].
//!
//! A [`Lease`] binds keys to the life of whoever keeps it alive; when it ends, its keys are deleted.
//!
//! The interface promises only what etcd, Consul and `ZooKeeper` can keep as well. Hence its limits (see
//! [`Transaction`]), the freedom of a store to leave out intermediate values from a watch, to lengthen a
//! lease, and to end it late. It is synchronous: a call returns when its effect is durable, or tells why
//! there is none ([`StoreError`]).
//!
//! | here | etcd | Consul | `ZooKeeper` |
//! |---|---|---|---|
//! | [`Revision`] | revision | Raft index | zxid |
//! | [`Transaction`] | `Txn` | `/v1/txn` | `multi` |
//! | [`Comparison::Unchanged`] | mod revision | `check-index` | `check` of the version that had the zxid |
//! | [`Store::range`] | range with prefix | `recurse` | reads between two equal reads of a counter that each transaction moves |
//! | [`Store::watch`] | watch | blocking query, compared with the last | recursive watch, then a range |
//! | [`Lease`] | lease | session, key acquired by it | session, ephemeral node |

#![forbid(unsafe_code)]

mod apply;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod deadlines;
mod error;
mod file;
mod history;
mod key;
mod lease;
mod memory;
mod revision;
mod store;
mod transaction;
mod versioned;
mod watch;

#[cfg(any(test, feature = "conformance"))]
pub use clock::ManualClock;
pub use clock::{Clock, StoppedClock};
pub use error::StoreError;
pub use file::{FileStore, OpenError, StateDirectory};
pub use key::{Key, KeyError, Prefix};
pub use lease::{Lease, LeaseId};
pub use memory::MemoryStore;
pub use revision::Revision;
pub use store::{Store, Swap};
pub use transaction::{Change, Commit, Comparison, Transaction};
pub use versioned::{Entry, Range, Versioned};
pub use watch::{Batch, Event, Watch};

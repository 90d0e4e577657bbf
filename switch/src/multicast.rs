//! Multicast snooping: frames for a group go to those who listen to it, not to everybody (RFC 4541).
//!
//! # Theory of operation
//!
//! Hosts say by IGMP (IPv4) and MLD (IPv6) which groups they listen to, and routers ask them every two
//! minutes. The switch reads along. It keeps, for each network,
//!
//! - *memberships*: the port listens to the group in the VLAN. Kept for 260 s after the last report
//!   (RFC 3376 §8.4, RFC 3810 §9.4), so that a host may miss one query;
//! - *router ports*: a query came from there, in the last 255 s (RFC 3376 §8.5);
//! - *queriers*: who asks in a VLAN, and since when.
//!
//! Where a frame for an IP group goes (`published.rs`):
//!
//! 1. 224.0.0.0/24, `ff02::1` and IPv6 groups of the two smallest scopes go everywhere, always
//!    (RFC 4541 §2.1.2 (2) and §3; RFC 3810 §6: nobody reports them).
//! 2. While nobody asks in the VLAN, everything goes everywhere: hosts report only when they are asked,
//!    so nothing is known. This is what Linux does too, and what a network without a multicast router
//!    needs to work without anybody knowing the word "querier".
//! 3. A group with members goes to their ports and to router ports (§2.1.2 (1)).
//! 4. A group without members goes to router ports only (§2.1.2 (3)), but an IPv6 group of link-local
//!    scope goes everywhere: solicited-node groups are among them, and Neighbor Discovery must not
//!    depend on whether a report was lost, or whether a small stack sends reports at all. Linux sends
//!    these to router ports only.
//!
//! Frames are looked up by IP address, as §2.1.2 (last paragraph) and §3 advise: 32 IPv4 groups share a
//! MAC address. Frames to a group MAC address that are not IP, or not for an IP group, are flooded.
//!
//! Queries go everywhere. Reports and leaves go to router ports only (§2.1.1 (1)), because an IGMPv1/v2
//! or MLDv1 host that hears another host's report does not send its own.
//!
//! ## When a querier is believed
//!
//! A query makes the rules 3 and 4 apply only after its maximum response time, when every host has
//! answered; until then rule 2 applies. In general: after a query at `q` with response time `r`, rule 2
//! applies until `q + r`, unless the query before it was so recent that no membership that it renewed can
//! expire before `q + r`. Nobody who answers queries is cut off, however slowly or seldom a querier asks
//! and however long it lets hosts wait. Only general queries count. What a query needs to count is in
//! `message.rs`; a query from 0.0.0.0 (RFC 4541 §2.1.1 (1): a snooping switch's) tells that somebody asks
//! but makes no router port.
//!
//! Any port can send queries, and what it gets by it is all multicast traffic, as a router does. What it
//! cannot do is to cut others off, as shown above. [`QueryGuard`] closes this too: queries from ports
//! are dropped, and the switch's own querier is the only one. An isolated port is never believed to be a
//! router, since the other isolated ones do not hear its queries.
//!
//! ## Versions and sources
//!
//! Forwarding is by group: the source lists of IGMPv3 and MLDv2 are not kept. A host that wants some
//! sources of a group gets them all and drops the rest itself, which is what §2.1.2 allows and what a
//! switch that forwards by MAC address does. So a record is a *join* if the host listens to anybody
//! after it (`IS_EX`, `TO_EX`, `ALLOW`, and `IS_IN` or `TO_IN` with sources), a *leave* if to nobody
//! (`TO_IN` without sources), and nothing if that cannot be told (`BLOCK`, `IS_IN` without sources).
//! IGMPv1 hosts leave silently: while one was heard on a port, leaves there are ignored (RFC 2236 §6).
//!
//! ## Leaving
//!
//! After a leave the port is asked for the group twice, a second apart, and leaves it after two seconds
//! unless somebody answers (RFC 3376 §8.8). If another querier is there, asking is its job, and its
//! question for the group starts the two seconds. With [`FastLeave`] the port leaves at once, which is
//! right where a port is one host.
//!
//! ## Limits
//!
//! The memberships of a network are bounded, and one port has at most an eighth of them. A port whose
//! report does not fit gets *all* groups for 260 s, as a router port does (but no reports). So a full
//! table costs bandwidth and nobody's traffic, and a hostile port that fills it harms mostly itself.
//!
//! # Threads
//!
//! The state is behind a mutex that is taken for IGMP and MLD messages, by the control side and by
//! [`Switch::poll_groups`](crate::Switch::poll_groups). Frames never take it: they read what was
//! published, which is replaced in small parts.

mod carrying;
mod config;
mod group;
mod membership;
mod message;
mod published;
mod querier;
mod query;
mod routers;
mod snooping;
#[cfg(test)]
#[cfg(not(loom))]
pub(crate) mod test_packets;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod timers;

pub use config::{FastLeave, MDB_LIMIT_MAX, QuerierRole, QueryGuard, SnoopingConfig};
pub use group::{Family, Group};
pub use published::Reach;
pub use query::GroupQuery;
pub use snooping::{MdbEntry, MdbKind, MdbUsage};

pub(crate) use message::{Checksum, Heard, hear};
pub(crate) use published::{PortSet, Route};
pub(crate) use query::Question;
pub(crate) use snooping::{Outcome, Snooping};

/// The VLAN of a frame; none for an untagged one on a port without VLANs.
pub(crate) type Vlan = Option<tapweave_net::Vid>;

//! The world of the demo: the namespace that the demo itself enters.
//!
//! The demo leaves the host's network for an empty one, and its user for one who is root there if it
//! has to. The TUN of east's daemon leads into that namespace, and a process in it is the server and the client
//! outside. So the way out is real, through the kernel on both sides of the TUN, and nothing of the
//! host is touched.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use tapweave_device::enter_fresh_namespace;

/// What the TUN is given: documentation addresses (RFC 5737), which nobody has.
pub(super) const PREFIX: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 29);
/// The host's address there, which the world answers at.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// What the sandboxes of east call it.
pub(super) const NAME: &str = "host.internal";

/// Leaves the host's network. To be called while the process has one thread.
pub(super) fn enter() -> Result<()> {
    enter_fresh_namespace().context(
        "cannot make a network namespace for the demo: an ordinary user needs user namespaces \
         (sysctl user.max_user_namespaces, on some distributions kernel.apparmor_restrict_unprivileged_userns)",
    )
}

//! Puts this process into a network namespace of its own.
//!
//! For programs that are to be a sandbox themselves. As root it is a plain network namespace; anybody
//! else gets it together with a user namespace in which their user is root, and which they own.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use crate::sys::unshare::{network, user_and_network};

/// Leaves the network namespace of the process for a new, empty one.
///
/// The process must still have one thread; a new user namespace is refused to others.
///
/// # Errors
///
/// What the kernel said: foremost that user namespaces are not allowed to ordinary users.
pub fn enter_fresh_namespace() -> io::Result<()> {
    match network() {
        Err(Errno::PERM) => {}
        result => return Ok(result?),
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    user_and_network()?;
    // In this order (`man 7 user_namespaces`): groups can be mapped only when they cannot be dropped.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

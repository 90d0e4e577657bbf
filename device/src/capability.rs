//! What this process may do, asked once at start, so that the daemon can say by name what will not
//! work before anybody tries it.
//!
//! Nothing is changed and nothing is created: `/dev/net/tun` is opened and closed again.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};

use crate::namespace::NamespaceId;
use crate::sys::nsfs;
use crate::uring::RingError;

/// What this process may do.
#[derive(Debug)]
pub struct Capabilities {
    /// Whether TAP interfaces can be had at all.
    pub tun: TunDevice,
    /// Whether the process may administer the network namespace that it is in, and so those that
    /// belong to the same user namespace.
    pub own_namespaces: OwnNamespaces,
    /// Whether users can make namespaces of their own (`unshare -Urn`, rootless containers).
    pub user_namespaces: UserNamespaces,
    /// Why `io_uring` cannot be used, if so.
    pub ring: Result<(), RingError>,
}

/// State of `/dev/net/tun`.
#[derive(Debug)]
#[non_exhaustive]
pub enum TunDevice {
    /// It can be opened.
    Usable,
    /// There is no such node, or no driver behind it.
    Missing,
    /// It may not be opened.
    NotPermitted,
    /// Something else is wrong with it.
    Failing(io::Error),
}

/// Whether the process has `CAP_NET_ADMIN` over its own network namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnNamespaces {
    /// It has.
    Administered,
    /// It has not: only namespaces in user namespaces that the same user owns can be connected.
    NotAdministered,
}

/// Whether users can make user namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UserNamespaces {
    /// As far as the settings tell.
    Allowed,
    /// `user.max_user_namespaces` is zero.
    NoneAllowed,
    /// `kernel.unprivileged_userns_clone` is zero.
    PrivilegedOnly,
    /// `kernel.apparmor_restrict_unprivileged_userns` is set.
    AppArmorOnly,
}

impl Capabilities {
    /// Asks the kernel.
    pub fn detect() -> Self {
        Self {
            tun: TunDevice::detect(),
            own_namespaces: OwnNamespaces::detect(),
            user_namespaces: UserNamespaces::detect(setting),
            ring: RingError::probe(),
        }
    }

    /// Returns a sentence for each thing that will not work, with what to do. Empty: all works.
    pub fn limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        if !matches!(self.tun, TunDevice::Usable) {
            limits.push(self.tun.to_string());
        }
        if self.own_namespaces == OwnNamespaces::NotAdministered {
            limits.push(self.own_namespaces.to_string());
        }
        if self.user_namespaces != UserNamespaces::Allowed {
            limits.push(self.user_namespaces.to_string());
        }
        if let Err(error) = &self.ring {
            limits.push(format!("workers use epoll, which is slower: {error}"));
        }
        limits
    }
}

impl TunDevice {
    fn detect() -> Self {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::open("/dev/net/tun", flags, Mode::empty()) {
            Ok(_) => Self::Usable,
            Err(Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::NOTDIR) => Self::Missing,
            Err(Errno::ACCESS | Errno::PERM) => Self::NotPermitted,
            Err(error) => Self::Failing(error.into()),
        }
    }
}

impl fmt::Display for TunDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable => f.write_str("/dev/net/tun can be opened"),
            Self::Missing => f.write_str(
                "/dev/net/tun is missing, so no sandbox can be connected: \
                 load the kernel's module tun, or make the device visible here",
            ),
            Self::NotPermitted => f.write_str(
                "/dev/net/tun may not be opened by this user, so no sandbox can be connected: \
                 its mode has to allow reading and writing",
            ),
            Self::Failing(error) => write!(
                f,
                "/dev/net/tun cannot be opened, so no sandbox can be connected: {error}"
            ),
        }
    }
}

impl OwnNamespaces {
    fn detect() -> Self {
        let has_capability =
            capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN));
        // A capability counts in the process's own user namespace and those below it; the network
        // namespace may belong to one above.
        if has_capability && owns_net_namespace().unwrap_or(false) {
            Self::Administered
        } else {
            Self::NotAdministered
        }
    }
}

fn owns_net_namespace() -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let net = rustix::fs::open("/proc/self/ns/net", flags, Mode::empty())?;
    let user = rustix::fs::open("/proc/self/ns/user", flags, Mode::empty())?;
    // Refused for an owner that is not the own user namespace or below it.
    let owner = nsfs::owner(net.as_fd())?;
    Ok(NamespaceId::of(owner.as_fd())? == NamespaceId::of(user.as_fd())?)
}

impl fmt::Display for OwnNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Administered => "this network namespace and its siblings can be administered",
            Self::NotAdministered => {
                "without CAP_NET_ADMIN only sandboxes in user namespaces of this user can be \
                 connected: run the daemon as root, or in `unshare -Urn`, for others"
            }
        })
    }
}

impl UserNamespaces {
    /// `setting` returns the number in a file of `/proc/sys`, if there is such a file.
    fn detect(setting: impl Fn(&str) -> Option<u64>) -> Self {
        if setting("user/max_user_namespaces") == Some(0) {
            Self::NoneAllowed
        } else if setting("kernel/unprivileged_userns_clone") == Some(0) {
            Self::PrivilegedOnly
        } else if setting("kernel/apparmor_restrict_unprivileged_userns").unwrap_or(0) != 0 {
            Self::AppArmorOnly
        } else {
            Self::Allowed
        }
    }
}

impl fmt::Display for UserNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "users can make user namespaces",
            Self::NoneAllowed => {
                "no user namespaces can be made, so there are no rootless sandboxes: \
                 sysctl user.max_user_namespaces is 0"
            }
            Self::PrivilegedOnly => {
                "only root can make user namespaces, so there are no rootless sandboxes: \
                 sysctl kernel.unprivileged_userns_clone is 0"
            }
            Self::AppArmorOnly => {
                "only programs with an AppArmor profile can make user namespaces: \
                 sysctl kernel.apparmor_restrict_unprivileged_userns is set"
            }
        })
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_that_forbids_user_namespaces_is_named() {
        for (file, value, expected) in [
            ("user/max_user_namespaces", 0, UserNamespaces::NoneAllowed),
            (
                "kernel/unprivileged_userns_clone",
                0,
                UserNamespaces::PrivilegedOnly,
            ),
            (
                "kernel/apparmor_restrict_unprivileged_userns",
                1,
                UserNamespaces::AppArmorOnly,
            ),
        ] {
            let found = UserNamespaces::detect(|name| (name == file).then_some(value));
            assert_eq!(found, expected);
            assert!(found.to_string().contains(&file.replace('/', ".")));
        }
        let usual = |name: &str| (name == "user/max_user_namespaces").then_some(96_365);
        assert_eq!(UserNamespaces::detect(usual), UserNamespaces::Allowed);
        assert_eq!(UserNamespaces::detect(|_| None), UserNamespaces::Allowed);
    }

    #[test]
    fn only_what_does_not_work_is_a_limit() {
        let mut found = Capabilities {
            tun: TunDevice::Usable,
            own_namespaces: OwnNamespaces::Administered,
            user_namespaces: UserNamespaces::Allowed,
            ring: Ok(()),
        };
        assert!(found.limits().is_empty());
        found.tun = TunDevice::Missing;
        found.own_namespaces = OwnNamespaces::NotAdministered;
        found.ring = Err(RingError::TooOld);
        let limits = found.limits();
        assert_eq!(limits.len(), 3);
        assert!(limits[0].starts_with("/dev/net/tun is missing"));
        assert!(limits[1].starts_with("without CAP_NET_ADMIN"));
        assert!(limits[2].starts_with("workers use epoll"));
    }
}

//! What a service manager is told: that the daemon is ready, reloads, stops, and is alive
//! (`man 3 sd_notify`, `man 5 systemd.service`). Without a manager nothing is said.
//!
//! Messages are datagrams of lines `NAME=VALUE` to the socket `$NOTIFY_SOCKET`. One that cannot be sent
//! is logged, and the daemon goes on.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use tracing::warn;

use crate::clock::monotonic_usecs;

/// The service manager that has started the daemon, if one has.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    socket: Option<PathBuf>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Returns the manager that the environment names.
    pub(crate) fn from_env() -> Self {
        let text = |name| env::var(name).ok();
        Self {
            socket: env::var_os("NOTIFY_SOCKET").map(PathBuf::from),
            watchdog: watchdog(
                text("WATCHDOG_USEC").as_deref(),
                text("WATCHDOG_PID").as_deref(),
                process::id(),
            ),
        }
    }

    /// Says that the daemon serves, after its start or a reload. `status` is a sentence for people.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// Says that the configuration is being read again: until [`Manager::ready`], with the time from
    /// which the manager counts (`Type=notify-reload`).
    pub(crate) fn reloading(&self) {
        let usecs = monotonic_usecs();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usecs}"));
    }

    /// Says that the daemon stops.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says that the daemon is alive.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// Returns how long the manager waits for a sign of life before it ends the daemon; none if it does
    /// not.
    pub(crate) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        if let Err(error) = notify(socket, state) {
            warn!(%error, socket = %socket.display(), "cannot tell the service manager");
        }
    }
}

/// Reads what the manager says of its watchdog. It is meant for the process `pid` only, if one is named:
/// a daemon that was started by another service's program inherits what is not meant for it.
fn watchdog(usecs: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    let usecs = usecs?.parse().ok().filter(|usecs| *usecs > 0)?;
    is_meant.then(|| Duration::from_micros(usecs))
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// Sends `state` (such as `READY=1`) to `socket`, the value of `$NOTIFY_SOCKET`.
fn notify(socket: &Path, state: &str) -> io::Result<()> {
    let address = match socket.as_os_str().as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service manager, and what it heard.
    struct Heard {
        socket: UnixDatagram,
        manager: Manager,
        _dir: tempfile::TempDir,
    }

    impl Heard {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("notify");
            Self {
                socket: UnixDatagram::bind(&path).unwrap(),
                manager: Manager {
                    socket: Some(path),
                    watchdog: None,
                },
                _dir: dir,
            }
        }

        fn next(&self) -> String {
            let mut buf = [0xa5; 128];
            let len = self.socket.recv(&mut buf).unwrap();
            str::from_utf8(&buf[..len]).unwrap().to_owned()
        }
    }

    #[test]
    fn every_state_arrives_at_the_socket_that_the_manager_named() {
        let heard = Heard::new();
        heard.manager.ready("serving\non two lines");
        assert_eq!(heard.next(), "READY=1\nSTATUS=serving on two lines");
        let before = monotonic_usecs();
        heard.manager.reloading();
        let text = heard.next();
        let usecs = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!((before..=monotonic_usecs()).contains(&usecs.parse().unwrap()));
        heard.manager.alive();
        assert_eq!(heard.next(), "WATCHDOG=1");
        heard.manager.stopping();
        assert_eq!(heard.next(), "STOPPING=1");
    }

    #[test]
    fn a_manager_that_is_not_there_is_an_error_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("none");
        let error = notify(&socket, "READY=1").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let manager = Manager {
            socket: Some(socket),
            watchdog: None,
        };
        manager.stopping();
    }

    #[test]
    fn a_watchdog_is_obeyed_if_it_is_meant_for_this_process() {
        let ten_secs = Some(Duration::from_secs(10));
        assert_eq!(watchdog(Some("10000000"), None, 7), ten_secs);
        assert_eq!(watchdog(Some("10000000"), Some("7"), 7), ten_secs);
        assert_eq!(watchdog(Some("10000000"), Some("8"), 7), None);
        assert_eq!(watchdog(Some("0"), None, 7), None);
        assert_eq!(watchdog(Some("soon"), None, 7), None);
        assert_eq!(watchdog(None, None, 7), None);
    }
}

//! Tells a service manager that the daemon serves or stops (`man 3 sd_notify`).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// Sends `state` (such as `READY=1`) to `socket`, the value of `$NOTIFY_SOCKET`.
///
/// # Errors
///
/// What the kernel said; the daemon goes on without.
pub(crate) fn notify(socket: &Path, state: &str) -> io::Result<()> {
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

    #[test]
    fn the_state_arrives_at_the_socket_that_the_manager_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        notify(&path, "READY=1").unwrap();
        let mut buf = [0; 32];
        let len = manager.recv(&mut buf).unwrap();
        assert_eq!(&buf[..len], b"READY=1");
    }

    #[test]
    fn a_manager_that_is_not_there_is_an_error_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            notify(&dir.path().join("none"), "READY=1")
                .unwrap_err()
                .kind(),
            io::ErrorKind::NotFound
        );
    }
}

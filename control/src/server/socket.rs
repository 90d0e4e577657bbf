//! The control socket: made safely, one daemon on it, the right users only.
//!
//! - The socket has mode 0600. A folder that is made for it has mode 0700. The folder of a default
//!   path must belong to the user of the process and be writable by nobody else: anybody may have made
//!   `/tmp/tapweave-UID` before.
//! - A lock on `PATH.lock` tells whether another daemon lives; the kernel takes it back however a
//!   daemon ends, so a socket without a lock is a leftover and is replaced. The lock file stays, since
//!   whoever removed it could remove that of the next daemon.
//! - A peer must be of the same user, or root (`SO_PEERCRED`); others are turned away unheard.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

use super::connections::after_failed_accept;
use crate::SocketPath;

pub(super) const ROOT: u32 = 0;

/// The control socket of a daemon. Removed from the file system when dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    uid: u32,
    /// Held for as long as the daemon lives.
    _lock: File,
}

/// Why a daemon cannot have its control socket.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another daemon has it.
    #[error("another daemon serves {}", .0.display())]
    InUse(PathBuf),
    /// The folder of a default path is not safe.
    #[error("{} {reason}; remove it or choose another place with --socket", path.display())]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something that is not a socket is in the way.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The path has no folder or no name.
    #[error("{} cannot be the path of a socket", .0.display())]
    BadPath(PathBuf),
    /// The kernel refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ControlSocket {
    /// Makes the socket at `path` for the user `uid`, whom the process runs as. Must be called on a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(path: &SocketPath, uid: u32) -> Result<Self, BindError> {
        let file = path.path();
        let bad_path = || BindError::BadPath(file.clone());
        let name = file.file_name().ok_or_else(bad_path)?;
        let folder = match file.parent().ok_or_else(bad_path)? {
            bare if bare.as_os_str().is_empty() => Path::new("."),
            folder => folder,
        };
        make_folder(folder)?;
        if let SocketPath::Default(_) = path {
            check_folder(folder, uid)?;
        }
        let mut lock_name = name.to_owned();
        lock_name.push(".lock");
        let lock = take_lock(&folder.join(lock_name), file)?;
        remove_leftover(file)?;
        let listener = UnixListener::bind(file).map_err(failed("make", file))?;
        let socket = Self {
            listener,
            path: file.clone(),
            uid,
            _lock: lock,
        };
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))
            .map_err(failed("set the mode of", file))?;
        Ok(socket)
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a client that may be served, and returns its process id too: 0 when it is of another
    /// namespace and has none here.
    pub(super) async fn accept(&self) -> (UnixStream, i32) {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _unnamed)) => stream,
                Err(cause) => {
                    after_failed_accept(&cause).await;
                    continue;
                }
            };
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.uid || peer.uid() == ROOT => {
                    return (stream, peer.pid().unwrap_or(0));
                }
                Ok(peer) => {
                    let peer = peer.uid();
                    warn!(peer, "another user was turned away from the control socket");
                }
                Err(cause) => warn!(%cause, "a client without credentials was turned away"),
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_file(&self.path)
            && cause.kind() != io::ErrorKind::NotFound
        {
            warn!(%cause, path = %self.path.display(), "the control socket was not removed");
        }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BindError {
    move |source| BindError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn make_folder(folder: &Path) -> Result<(), BindError> {
    // Existing folders keep their mode.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("make the folder", folder))
}

fn check_folder(folder: &Path, uid: u32) -> Result<(), BindError> {
    let metadata = fs::symlink_metadata(folder).map_err(failed("look at", folder))?;
    let reason = if !metadata.is_dir() {
        "is not a folder"
    } else if metadata.uid() != uid {
        "belongs to another user"
    } else if metadata.mode() & 0o022 != 0 {
        "can be written to by other users"
    } else {
        return Ok(());
    };
    Err(BindError::UnsafeFolder {
        path: folder.to_owned(),
        reason,
    })
}

fn take_lock(lock_path: &Path, socket: &Path) -> Result<File, BindError> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        // Whoever may open it may hold it.
        .mode(0o600)
        .open(lock_path)
        .map_err(failed("open", lock_path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(BindError::InUse(socket.to_owned())),
        Err(TryLockError::Error(cause)) => Err(failed("lock", lock_path)(cause)),
    }
}

/// Removes the socket of a daemon that ended without doing so.
fn remove_leftover(path: &Path) -> Result<(), BindError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(failed("look at", path))?,
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    // Whoever answers without our lock is not one of us, but is alive.
    if BlockingStream::connect(path).is_ok() {
        return Err(BindError::InUse(path.to_owned()));
    }
    fs::remove_file(path).map_err(failed("remove", path))
}

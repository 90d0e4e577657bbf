//! The daemon's side. See [`super`].

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use rustix::process::geteuid;
use thiserror::Error;

use super::SOCKET;
use super::message::{HeldKey, Reply, Request};
use super::server::HOLDER_ARGUMENT;
use crate::fd_message;

/// How long the holder may take for an answer; it has nothing to do but to close descriptors.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Daemons that may wait to be let in.
const BACKLOG: i32 = 8;

/// What a holder kept under one key.
#[derive(Debug)]
pub struct Held {
    /// The key.
    pub key: HeldKey,
    /// What was noted with it.
    pub note: String,
    /// Copies of the descriptors, in their order.
    pub fds: Vec<OwnedFd>,
}

/// Why there is no holder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HolderError {
    /// The socket in the folder is not that of a process of this user.
    #[error("the holder in {} is a process of user {uid}", .folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Whose process it is.
        uid: u32,
    },
    /// The kernel refused.
    #[error("cannot {doing} the holder in {}", .folder.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The folder.
        folder: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// A connection to a holder, which knows by its end that the daemon is gone.
#[derive(Debug)]
pub struct Holder {
    /// One request is under way at a time.
    socket: Mutex<OwnedFd>,
    /// The process, if it was started by this one.
    child: Mutex<Option<Child>>,
}

impl Holder {
    /// Connects to the holder of an earlier daemon in `folder`, which must be private to this user; none if
    /// there is none.
    ///
    /// # Errors
    ///
    /// See [`HolderError`].
    pub fn find(folder: &Path) -> Result<Option<Self>, HolderError> {
        let socket = new_socket().map_err(failed("connect to", folder))?;
        let (_folder, address) = address(folder).map_err(failed("connect to", folder))?;
        match connect(&socket, &address) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(None),
            Err(error) => return Err(failed("connect to", folder)(error.into())),
        }
        Self::connected(socket, None, folder).map(Some)
    }

    /// Starts a holder in `folder`, which must be private to this user and have none. `program` must call
    /// [`crate::run_helper_if_requested`] first of all; `patience` is how long the holder waits for another daemon
    /// after the end of this one, in whole seconds, at least one.
    ///
    /// # Errors
    ///
    /// See [`HolderError`].
    pub fn start(folder: &Path, program: &Path, patience: Duration) -> Result<Self, HolderError> {
        let listener = bind_listener(folder).map_err(failed("make the socket of", folder))?;
        let child = Command::new(program)
            // What a list of processes shows.
            .arg0("tapweave")
            .arg(OsStr::new(HOLDER_ARGUMENT))
            .arg(folder)
            .arg(patience.as_secs().max(1).to_string())
            .env_clear()
            .stdin(Stdio::from(listener))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.map_err(failed("start", folder))?;
        // The socket listens already: what is sent waits until the process is ready.
        let socket = new_socket().map_err(failed("connect to", folder))?;
        let (_folder, address) = address(folder).map_err(failed("connect to", folder))?;
        connect(&socket, &address).map_err(|error| failed("connect to", folder)(error.into()))?;
        Self::connected(socket, Some(child), folder)
    }

    fn connected(
        socket: OwnedFd,
        child: Option<Child>,
        folder: &Path,
    ) -> Result<Self, HolderError> {
        let peer = socket_peercred(&socket);
        let peer = peer.map_err(|error| failed("look at", folder)(error.into()))?;
        if peer.uid != geteuid() {
            return Err(HolderError::Foreign {
                folder: folder.to_owned(),
                uid: peer.uid.as_raw(),
            });
        }
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, Some(ANSWER_LIMIT))
                .map_err(|error| failed("connect to", folder)(error.into()))?;
        }
        Ok(Self {
            socket: Mutex::new(socket),
            child: Mutex::new(child),
        })
    }

    /// Has copies of `fds`, 1 to 64, kept under `key`, in the place of what was kept under it.
    ///
    /// # Errors
    ///
    /// When the holder is gone.
    pub fn put(&self, key: &HeldKey, note: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let request = Request::Put {
            key: key.clone(),
            note: note.to_owned(),
        };
        fd_message::send(self.socket().as_fd(), &request, fds)
    }

    /// Has what is kept under `key` closed, if something is, and returns when it is.
    ///
    /// # Errors
    ///
    /// When the holder is gone, and everything with it.
    pub fn remove(&self, key: &HeldKey) -> io::Result<()> {
        let socket = self.socket();
        let request = Request::Remove { key: key.clone() };
        fd_message::send(socket.as_fd(), &request, &[])?;
        match fd_message::recv(socket.as_fd())? {
            (Reply::Done, _) => Ok(()),
            (Reply::Held { .. }, _) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Returns copies of everything that is kept, in the order of the keys. The holder keeps its own.
    ///
    /// # Errors
    ///
    /// When the holder is gone or not understood.
    pub fn take_all(&self) -> io::Result<Vec<Held>> {
        let socket = self.socket();
        fd_message::send(socket.as_fd(), &Request::TakeAll, &[])?;
        let mut all = Vec::new();
        loop {
            match fd_message::recv(socket.as_fd())? {
                (Reply::Held { key, note }, fds) => all.push(Held { key, note, fds }),
                (Reply::Done, _) => return Ok(all),
            }
        }
    }

    /// Has the holder close everything and end.
    pub fn quit(&self) {
        {
            let socket = self.socket();
            // One that is gone has ended, which is what is wanted.
            let _gone = fd_message::send(socket.as_fd(), &Request::Quit, &[]);
            // The end of the connection is the answer.
            let _ended = fd_message::recv::<Reply>(socket.as_fd());
        }
        let child = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut child) = child {
            // It has closed its connection, so it is on its way out.
            let _status = child.wait();
        }
    }

    fn socket(&self) -> MutexGuard<'_, OwnedFd> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Returns the address of the socket in `folder`, which is meant as long as the descriptor beside it is open: the
/// path of a folder may be longer than the 107 bytes that an address takes.
fn address(folder: &Path) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    let address = SocketAddrUnix::new(path)?;
    Ok((folder, address))
}

pub(super) fn bind_listener(folder: &Path) -> io::Result<OwnedFd> {
    match fs::remove_file(folder.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = new_socket()?;
    let (_folder, address) = address(folder)?;
    bind(&listener, &address)?;
    listen(&listener, BACKLOG)?;
    Ok(listener)
}

fn failed(doing: &'static str, folder: &Path) -> impl FnOnce(io::Error) -> HolderError {
    move |source| HolderError::Io {
        doing,
        folder: folder.to_owned(),
        source,
    }
}

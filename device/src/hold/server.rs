//! The holder's side. See [`super`].

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{geteuid, setsid};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::SOCKET;
use super::message::{HeldKey, Reply, Request};
use crate::fd_message;

/// The first argument that makes a program the holder; the second is the folder, the third the patience in seconds.
pub(crate) const HOLDER_ARGUMENT: &str = "__tapweave-hold";

/// How often a holder without a daemon looks whether it can still be found.
const LOOK_INTERVAL: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// How long a daemon may leave an answer unread before it is not spoken to any more: it holds up the others.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Acts as the holder, which has its listening socket as its standard input.
pub(crate) fn run() -> ExitCode {
    let mut arguments = env::args_os().skip(2);
    let folder = arguments.next().map(PathBuf::from);
    let patience = arguments
        .next()
        .and_then(|text| text.to_str()?.parse().ok());
    let (Some(folder), Some(patience)) = (folder, patience) else {
        return ExitCode::FAILURE;
    };
    let prepared = shield();
    let served = prepared.and_then(|()| {
        let listener = io::stdin().as_fd().try_clone_to_owned()?;
        Server::new(listener, &folder.join(SOCKET), patience).serve()
    });
    served.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Leaves the daemon's session, folder and rights.
fn shield() -> io::Result<()> {
    setsid()?;
    env::set_current_dir("/")?;
    set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}

/// What is kept under a key.
#[derive(Debug)]
struct Entry {
    note: String,
    fds: Vec<OwnedFd>,
}

/// Why a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Woken {
    /// The daemon at this place has said something, or is gone.
    Told(usize),
    /// Somebody has called, or nobody in particular.
    Called,
    /// Time has passed.
    Late,
}

/// Whether there is something left to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    GoOn,
    /// The connection at this place has ended or is not understood.
    HangUp(usize),
    /// A daemon wants no holder any more.
    End,
}

#[derive(Debug)]
pub(super) struct Server {
    listener: OwnedFd,
    /// Where the listening socket is, and its inode.
    path: PathBuf,
    inode: Option<u64>,
    patience_secs: u64,
    daemons: Vec<OwnedFd>,
    entries: BTreeMap<HeldKey, Entry>,
}

impl Server {
    pub(super) fn new(listener: OwnedFd, path: &Path, patience_secs: u64) -> Self {
        Self {
            listener,
            path: path.to_owned(),
            inode: inode(path),
            patience_secs,
            daemons: Vec::new(),
            entries: BTreeMap::new(),
        }
    }

    /// Serves until a daemon wants it to end, or none comes any more.
    pub(super) fn serve(mut self) -> io::Result<()> {
        let mut lonely_secs = 0;
        loop {
            let limit = self.daemons.is_empty().then_some(&LOOK_INTERVAL);
            let place = match self.wait(limit)? {
                Woken::Late => {
                    lonely_secs += 1;
                    if lonely_secs >= self.patience_secs || !self.can_be_found() {
                        return Ok(());
                    }
                    continue;
                }
                Woken::Called => None,
                Woken::Told(place) => Some(place),
            };
            lonely_secs = 0;
            match place.map_or(Next::GoOn, |place| self.handle(place)) {
                Next::GoOn => {}
                Next::HangUp(place) => drop(self.daemons.remove(place)),
                Next::End => {
                    // Nobody is to find it while the rest of it goes.
                    let _gone = fs::remove_file(&self.path);
                    // Before the connection, whose end says that all is closed.
                    self.entries.clear();
                    return Ok(());
                }
            }
        }
    }

    /// Waits until a daemon says something, and lets new ones in. What the earlier daemon has said comes before
    /// everything that a later one says.
    fn wait(&mut self, limit: Option<&Timespec>) -> io::Result<Woken> {
        let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
        let daemons = self.daemons.iter();
        fds.extend(daemons.map(|daemon| PollFd::new(daemon, PollFlags::IN)));
        match poll(&mut fds, limit) {
            Ok(0) => return Ok(Woken::Late),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Woken::Called),
            Err(error) => return Err(error.into()),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let has_caller = ready.next() == Some(true);
        let told = ready.position(|is_ready| is_ready);
        if has_caller {
            self.let_in();
        }
        Ok(told.map_or(Woken::Called, Woken::Told))
    }

    /// Accepts a daemon, if it is one of the same user.
    fn let_in(&mut self) {
        // One that is gone again, or finds no descriptor free, tries once more.
        let Ok(daemon) = accept_with(&self.listener, SocketFlags::CLOEXEC) else {
            return;
        };
        let is_ours = socket_peercred(&daemon).is_ok_and(|peer| peer.uid == geteuid());
        let limited = set_socket_timeout(&daemon, Timeout::Send, Some(SEND_LIMIT));
        if is_ours && limited.is_ok() {
            self.daemons.push(daemon);
        }
    }

    fn handle(&mut self, place: usize) -> Next {
        let Some(daemon) = self.daemons.get(place) else {
            return Next::GoOn;
        };
        let Ok((request, fds)) = fd_message::recv::<Request>(daemon.as_fd()) else {
            return Next::HangUp(place);
        };
        let done = match request {
            Request::Put { key, note } => {
                self.entries.insert(key, Entry { note, fds });
                return Next::GoOn;
            }
            Request::Remove { key } => {
                self.entries.remove(&key);
                Ok(())
            }
            Request::TakeAll => self.give_all(daemon),
            Request::Quit => return Next::End,
        };
        match done.and_then(|()| fd_message::send(daemon.as_fd(), &Reply::Done, &[])) {
            Ok(()) => Next::GoOn,
            Err(_) => Next::HangUp(place),
        }
    }

    fn give_all(&self, daemon: &OwnedFd) -> io::Result<()> {
        for (key, Entry { note, fds }) in &self.entries {
            let reply = Reply::Held {
                key: key.clone(),
                note: note.clone(),
            };
            let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            fd_message::send(daemon.as_fd(), &reply, &fds)?;
        }
        Ok(())
    }

    /// Tells whether the socket has its name still.
    fn can_be_found(&self) -> bool {
        self.inode.is_some() && inode(&self.path) == self.inode
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|it| it.ino())
}

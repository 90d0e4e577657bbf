//! A daemon takes over from one that runs: `tapweave daemon --takeover`.
//!
//! # Theory of operation
//!
//! The two talk through a socket in the state directory, the *door* of the one that runs, in lines:
//!
//! ```text
//!  new                                   old
//!   starts threads, rings, tables         serves
//!   take over 1 ───────────────────────►  ends requests, events and audits; closes its store; forwards
//!   ◄────────────────────────── prepared
//!   opens store and sockets, restores
//!   stop ──────────────────────────────►  stops its workers; from here on frames wait in their queues
//!   ◄─────────────────────────── stopped
//!   takes up interfaces, serves
//!   done ──────────────────────────────►  ends
//! ```
//!
//! What passes from one to the other passes through the holder ([`crate::holdings`]), to which the new one is connected
//! before the old one stops. The old one takes nothing down: what it had is kept, and the new one has it.
//!
//! Until `done` the old one is there in case that the new one fails, which it knows by the end of the connection. It
//! has let go of too much then to go on as it was, so it starts its own program anew, in its own process, and takes
//! up everything as after a crash. Only the same user may come to the door (the state directory is private, and it
//! is asked for).

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as BlockingStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, process};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::state::State;

/// The name of the door in the state directory.
const DOOR: &str = "takeover";

const TAKE_OVER: &str = "take over 1";
const PREPARED: &str = "prepared";
const STOP: &str = "stop";
const STOPPED: &str = "stopped";
const DONE: &str = "done";

/// How long each side waits for the other to take a step. The longest is that of the new one to be ready, which
/// waits for sandboxes that are held up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of the longest line.
const LINE_LEN: u64 = 64;

/// The daemon that is taken over from.
#[derive(Debug)]
pub(crate) struct Predecessor {
    stream: BufReader<BlockingStream>,
}

impl Predecessor {
    /// Returns the daemon that has this state now, if one is there.
    pub(crate) fn find(state: &State) -> Result<Option<Self>> {
        let State::Directory(folder) = state else {
            bail!("there is nothing to take over with --store memory:");
        };
        let connected = in_folder(folder, BlockingStream::connect);
        match connected {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Some(Self {
                    stream: BufReader::new(stream),
                }))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                info!("there is no daemon to take over from");
                Ok(None)
            }
            Err(error) => Err(error).context("cannot talk to the daemon to take over from"),
        }
    }

    /// Has it let go of its store and its sockets. It goes on forwarding.
    pub(crate) fn prepare(&mut self) -> Result<()> {
        self.say(TAKE_OVER)?;
        self.expect(PREPARED)
    }

    /// Has it stop to forward.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.say(STOP)?;
        self.expect(STOPPED)
    }

    /// Lets it end.
    pub(crate) fn dismiss(mut self) {
        if let Err(error) = self.say(DONE) {
            warn!("the daemon that was taken over from is gone: {error:#}");
        }
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let said = writeln!(self.stream.get_mut(), "{line}");
        said.context("the daemon to take over from does not listen")
    }

    fn expect(&mut self, expected: &str) -> Result<()> {
        let mut line = String::new();
        let heard = io::Read::take(&mut self.stream, LINE_LEN).read_line(&mut line);
        heard.context("the daemon to take over from does not answer")?;
        ensure!(
            line.trim_end() == expected,
            "the daemon to take over from says {line:?}, not {expected:?}: its log tells more"
        );
        Ok(())
    }
}

/// Where a daemon hears that another one takes over; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Door(Option<Listening>);

#[derive(Debug)]
struct Listening {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens the door of the state directory, if there is one.
    pub(crate) fn open(state: &State) -> Self {
        let State::Directory(folder) = state else {
            return Self(None);
        };
        let path = folder.join(DOOR);
        // The directory is this daemon's: what is there is a leftover.
        let _missing = fs::remove_file(&path);
        match in_folder(folder, UnixListener::bind) {
            Ok(listener) => Self(Some(Listening { listener, path })),
            Err(error) => {
                warn!(%error, "no other daemon can take over from this one");
                Self(None)
            }
        }
    }

    /// Waits for a daemon that takes over.
    pub(crate) async fn successor(&self) -> Successor {
        let Some(Listening { listener, .. }) = &self.0 else {
            return std::future::pending().await;
        };
        loop {
            // What cannot be accepted tries again.
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            if let Some(successor) = Successor::greet(stream).await {
                return successor;
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // What stays of it is in nobody's way.
        let _missing = fs::remove_file(&self.path);
    }
}

/// The daemon that takes over.
#[derive(Debug)]
pub(crate) struct Successor {
    stream: BufStream<UnixStream>,
}

impl Successor {
    async fn greet(stream: UnixStream) -> Option<Self> {
        let is_ours = stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == geteuid().as_raw());
        let mut greeted = Self {
            stream: BufStream::new(stream),
        };
        match greeted.hear().await {
            Ok(line) if is_ours && line == TAKE_OVER => Some(greeted),
            Ok(line) => {
                warn!(line, "somebody who cannot take over was turned away");
                None
            }
            Err(error) => {
                warn!(%error, "somebody who wanted to take over is gone");
                None
            }
        }
    }

    /// Says that store and sockets are free, and waits until this daemon shall stop.
    pub(crate) async fn let_prepare(&mut self) -> Result<()> {
        self.say(PREPARED).await?;
        self.expect(STOP).await
    }

    /// Says that nothing is forwarded any more, and waits until the other one does.
    pub(crate) async fn let_finish(&mut self) -> Result<()> {
        self.say(STOPPED).await?;
        self.expect(DONE).await
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream
            .write_all(format!("{line}\n").as_bytes())
            .await?;
        self.stream.flush().await
    }

    async fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let mut limited = tokio::io::AsyncReadExt::take(&mut self.stream, LINE_LEN);
        timeout(PATIENCE, limited.read_line(&mut line)).await??;
        Ok(line.trim_end().to_owned())
    }

    async fn expect(&mut self, expected: &str) -> Result<()> {
        let line = self.hear().await?;
        ensure!(line == expected, "it said {line:?}, not {expected:?}");
        Ok(())
    }
}

/// Calls `open` with a path of the door that is short enough for an address.
fn in_folder<T>(folder: &Path, open: impl FnOnce(String) -> io::Result<T>) -> io::Result<T> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    open(format!("/proc/self/fd/{}/{DOOR}", folder.as_raw_fd()))
}

/// Starts this program anew in this process, with the arguments that it had. Returns only when that fails.
pub(crate) fn start_anew() -> anyhow::Error {
    error!(
        pid = process::id(),
        "the other daemon has failed: this one starts anew"
    );
    let mut arguments = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).exec();
    anyhow::Error::from(error).context("cannot start anew after another daemon failed to take over")
}

#[cfg(test)]
mod tests {
    use tokio::task::spawn_blocking;

    use super::*;

    fn state(folder: &Path) -> State {
        State::Directory(PathBuf::from(folder))
    }

    #[test]
    fn there_may_be_nobody_to_take_over_from() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Predecessor::find(&state(folder.path())).unwrap().is_none());
        fs::write(folder.path().join(DOOR), "").unwrap();
        assert!(Predecessor::find(&state(folder.path())).unwrap().is_none());
        Predecessor::find(&State::Memory).unwrap_err();
    }

    #[tokio::test]
    async fn both_sides_take_the_steps_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let door = Door::open(&state);
        let new = spawn_blocking(move || {
            let mut old = Predecessor::find(&state)?.context("nobody there")?;
            old.prepare()?;
            old.stop()?;
            old.dismiss();
            anyhow::Ok(())
        });
        let mut successor = door.successor().await;
        successor.let_prepare().await.unwrap();
        successor.let_finish().await.unwrap();
        new.await.unwrap().unwrap();
        drop(door);
        assert!(!folder.path().join(DOOR).exists());
    }

    #[tokio::test]
    async fn a_successor_that_fails_is_noticed_and_one_that_is_not_understood_is_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let door = Door::open(&state);
        let new = spawn_blocking(move || {
            let mut newer = Predecessor::find(&state)?.context("nobody there")?;
            newer.say("take over 2")?;
            let refusal = newer.expect(PREPARED).unwrap_err();
            let mut old = Predecessor::find(&state)?.context("nobody there")?;
            old.prepare()?;
            anyhow::Ok(refusal.to_string())
        });
        let mut successor = door.successor().await;
        let gone = successor.let_prepare().await.unwrap_err();
        assert_eq!(gone.to_string(), "it said \"\", not \"stop\"");
        let refusal = new.await.unwrap().unwrap();
        assert!(refusal.contains("says \"\""), "{refusal}");
    }
}

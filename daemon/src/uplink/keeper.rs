//! A thread that keeps a line of the host open: an uplink, the way of a network to its LAN, or the underlay. See
//! [`super`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use tapweave_device::HostWatch;
use tracing::warn;

use crate::datapath::SwitchDatapath;

/// How long what the kernel does not tell of may go unnoticed: ports that programs listen on, and
/// settings of the host.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// Something of the host that is to be open.
pub(crate) trait Line: Send + 'static {
    /// The keeper's thread is called this.
    const NAME: &'static str = "uplink";

    /// Looks at the host and does what is due: opens what is missing, closes what is gone, configures.
    /// Returns after how long there is something to do again, if that is known.
    fn tend(&mut self, datapath: &SwitchDatapath) -> Option<Duration>;

    /// Tells whether what takes a moment at first is done, such as asking whether an address is free.
    fn is_settled(&self) -> bool {
        true
    }

    /// Returns what becomes readable when there is something to do, beside the host's news.
    fn readiness(&self) -> Option<BorrowedFd<'_>>;

    /// Closes what is open.
    fn close(&mut self, datapath: &SwitchDatapath);
}

/// The keeper's thread. Dropping this closes the line and joins it.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Opens `line`, as far as it can be opened now, and starts to keep it. The keeper does not keep the
    /// packet path itself.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to tell its news, or a thread.
    pub(crate) fn start<L: Line>(mut line: L, datapath: Weak<SwitchDatapath>) -> Result<Self> {
        let watch = HostWatch::new().context("cannot hear of changes of interfaces")?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let stopped = Arc::clone(&stop);
        // Once at once, so that it is open when this returns.
        let mut due = LOOK_INTERVAL;
        if let Some(datapath) = datapath.upgrade() {
            due = look(&mut line, &datapath);
            while !line.is_settled() {
                wait(&watch, &stop, line.readiness(), due);
                due = look(&mut line, &datapath);
            }
        }
        let thread = Builder::new().name(L::NAME.to_owned()).spawn(move || {
            let mut due = due;
            while !wait(&watch, &stopped, line.readiness(), due) {
                let Some(datapath) = datapath.upgrade() else {
                    return;
                };
                due = look(&mut line, &datapath);
            }
            if let Some(datapath) = datapath.upgrade() {
                line.close(&datapath);
            }
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The counter cannot be full: this is the only one to add.
        let _added = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            let _panicked = thread.join();
        }
    }
}

fn look(line: &mut impl Line, datapath: &SwitchDatapath) -> Duration {
    let due = line.tend(datapath);
    due.map_or(LOOK_INTERVAL, |due| due.min(LOOK_INTERVAL))
}

/// Waits until there is something to look at; tells whether the keeper is to stop.
fn wait(watch: &HostWatch, stop: &OwnedFd, line: Option<BorrowedFd<'_>>, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    let mut fds = vec![
        PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN),
    ];
    fds.extend(line.map(|line| PollFd::from_borrowed_fd(line, PollFlags::IN)));
    match poll(&mut fds, limit.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => {
            let error = io::Error::from(error);
            warn!(%error, "an interface of the host can no longer be looked after");
            return true;
        }
    }
    let is_readable = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
    if is_readable(1)
        && let Err(error) = watch.drain()
    {
        warn!(%error, "news of the host's interfaces may have been missed");
    }
    is_readable(0)
}

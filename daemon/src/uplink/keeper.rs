//! The thread that keeps an uplink open: see [`super`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use tapweave_control::datapath::UplinkState;
use tapweave_device::{HostWatch, listening_ports};
use tracing::{info, warn};

use crate::datapath::SwitchDatapath;

/// How long what the kernel does not tell of may go unnoticed: ports that programs listen on, and
/// settings of the host.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// An uplink of one kind.
pub(super) trait Line: Send + 'static {
    /// Looks at the host and does what is due: opens what is missing, closes what is gone, configures.
    /// Returns what the uplink is now, and after how long there is something to do again at the latest.
    fn tend(&mut self, datapath: &SwitchDatapath) -> (UplinkState, Option<Duration>);

    /// Returns what becomes readable when there is something to do, beside the host's news.
    fn readiness(&self) -> Option<BorrowedFd<'_>>;

    /// Closes what is open.
    fn close(&mut self, datapath: &SwitchDatapath);
}

/// The keeper's thread. Dropping this closes the uplink and joins it.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Opens `line`, as far as it can be opened now, and starts to keep it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to tell its news, or a thread.
    pub(super) fn start(mut line: impl Line, datapath: Arc<SwitchDatapath>) -> Result<Self> {
        let watch = HostWatch::new().context("cannot hear of changes of interfaces")?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let stopped = Arc::clone(&stop);
        let mut shown = None;
        // Once at once, so that the uplink is there when the daemon says that it is ready.
        let due = look(&mut line, &datapath, &mut shown);
        let thread = Builder::new().name("uplink".to_owned()).spawn(move || {
            let mut due = due;
            while !wait(&watch, &stopped, line.readiness(), due) {
                due = look(&mut line, &datapath, &mut shown);
            }
            line.close(&datapath);
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

/// Looks at everything anew, and tells what has changed.
fn look(
    line: &mut impl Line,
    datapath: &SwitchDatapath,
    shown: &mut Option<UplinkState>,
) -> Duration {
    match listening_ports() {
        Ok(ports) => datapath.set_listening_ports(ports),
        Err(error) => warn!(%error, "cannot tell which ports the host's programs listen on"),
    }
    let (state, due) = line.tend(datapath);
    if shown.as_ref() != Some(&state) {
        tell(&state, shown.as_ref());
        datapath.set_uplink_state(state.clone());
        *shown = Some(state);
    }
    due.map_or(LOOK_INTERVAL, |due| due.min(LOOK_INTERVAL))
}

/// Logs what is new.
fn tell(state: &UplinkState, before: Option<&UplinkState>) {
    let is_same = before.is_some_and(|before| {
        (before.kind, &before.ifname, &before.addresses)
            == (state.kind, &state.ifname, &state.addresses)
    });
    if !is_same {
        let addresses: Vec<_> = state.addresses.iter().map(ToString::to_string).collect();
        info!(
            kind = %state.kind,
            interface = state.ifname.as_deref().unwrap_or("none"),
            addresses = addresses.join(" "),
            reason = state.reason,
            "uplink"
        );
    }
    let known = before.map_or(&[][..], |before| &before.missing);
    for step in state.missing.iter().filter(|step| !known.contains(step)) {
        warn!("uplink: {step}");
    }
    for step in known.iter().filter(|step| !state.missing.contains(step)) {
        info!("uplink: no longer so: {step}");
    }
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
            warn!(%error, "the uplink can no longer be looked after");
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

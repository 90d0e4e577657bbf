//! The namespaces that the daemon knows, and how it learns that one has ended.
//!
//! A namespace in which the daemon holds a descriptor outlives its processes and its name. So every
//! known one is watched, and the end is reported at once; the controller then removes the sandbox,
//! which closes every descriptor. Nothing is polled.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tapweave_control::datapath::{NamespaceRef, SandboxLife, SandboxNo};
use tapweave_device::{
    NamespaceError, NamespaceId, NamespaceMark, NamespaceWatcher, NetNamespace, Waker, WatchId,
};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;
use tracing::error;

use crate::event::Event;

/// Every namespace that was added and not yet removed.
#[derive(Debug)]
pub(crate) struct Sandboxes {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    watcher: NamespaceWatcher,
    known: BTreeMap<SandboxNo, Known>,
}

#[derive(Debug)]
struct Known {
    namespace: Arc<NetNamespace>,
    watch: WatchId,
    life: SandboxLife,
}

/// Why a namespace cannot be a sandbox.
#[derive(Debug, Error)]
pub(crate) enum AddError {
    /// It cannot be opened.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// It cannot be watched.
    #[error("the end of the namespace cannot be watched for")]
    Watch(#[source] io::Error),
}

/// The thread that notices the end of sandboxes. Dropping it stops and joins it.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the watch of sandboxes panicked");
        }
    }
}

impl Sandboxes {
    /// Returns an empty set.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let inner = Inner {
            watcher: NamespaceWatcher::new()?,
            known: BTreeMap::new(),
        };
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    /// Opens a namespace and watches it from now on.
    ///
    /// # Errors
    ///
    /// See [`AddError`].
    pub(crate) fn add(
        &self,
        sandbox: SandboxNo,
        reference: &NamespaceRef,
    ) -> Result<(NamespaceId, NamespaceMark), AddError> {
        let namespace = match reference {
            NamespaceRef::Path(path) => NetNamespace::open_path(path)?,
            NamespaceRef::Pid(pid) => NetNamespace::open_pid(*pid)?,
        };
        let identity = (namespace.id(), namespace.mark());
        let mut inner = self.lock();
        let watch = inner.watcher.watch(&namespace).map_err(AddError::Watch)?;
        let known = Known {
            namespace: Arc::new(namespace),
            watch,
            life: SandboxLife::Alive,
        };
        inner.known.insert(sandbox, known);
        Ok(identity)
    }

    /// Stops watching and lets go of the namespace.
    pub(crate) fn remove(&self, sandbox: SandboxNo) {
        let mut inner = self.lock();
        if let Some(known) = inner.known.remove(&sandbox) {
            inner.watcher.forget(known.watch);
        }
    }

    /// Returns the namespace of a sandbox.
    pub(crate) fn namespace(&self, sandbox: SandboxNo) -> Option<Arc<NetNamespace>> {
        self.lock()
            .known
            .get(&sandbox)
            .map(|known| Arc::clone(&known.namespace))
    }

    /// Returns what was opened, and whether it has ended.
    pub(crate) fn lives(&self) -> BTreeMap<SandboxNo, SandboxLife> {
        let inner = self.lock();
        let known = inner.known.iter();
        known.map(|(number, known)| (*number, known.life)).collect()
    }

    /// Starts a thread that reports sandboxes to `ended` as they end, until what it returns is
    /// dropped.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor or thread left.
    pub(crate) fn watch(self: &Arc<Self>, ended: UnboundedSender<Event>) -> io::Result<Watch> {
        let readiness = self.lock().watcher.as_fd().try_clone_to_owned()?;
        let stop = Waker::new()?;
        let (sandboxes, stopped) = (Arc::clone(self), stop.clone());
        let watch = move || {
            if let Err(error) = sandboxes.report_ended(&readiness, &stopped, &ended) {
                error!(%error, "the end of sandboxes is no longer noticed");
            }
        };
        let thread = Builder::new().name("watch".to_owned()).spawn(watch)?;
        Ok(Watch {
            stop,
            thread: Some(thread),
        })
    }

    fn report_ended(
        &self,
        readiness: &OwnedFd,
        stop: &Waker,
        ended: &UnboundedSender<Event>,
    ) -> io::Result<()> {
        loop {
            let mut fds = [
                PollFd::new(readiness, PollFlags::IN),
                PollFd::new(stop, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [_, stop_fd] = fds;
            if !stop_fd.revents().is_empty() {
                return Ok(());
            }
            for sandbox in self.take_ended()? {
                // Nobody listens any more when the daemon is about to stop this thread too.
                let _ignored = ended.send(Event::SandboxEnded(sandbox));
            }
        }
    }

    fn take_ended(&self) -> io::Result<Vec<SandboxNo>> {
        let mut inner = self.lock();
        let watches = inner.watcher.take_ended()?;
        let mut ended = Vec::new();
        for (number, known) in &mut inner.known {
            if watches.contains(&known.watch) {
                known.life = SandboxLife::Ended;
                ended.push(*number);
            }
        }
        Ok(ended)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

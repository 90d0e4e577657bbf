//! Puts an interface into a sandbox's namespace and brings its queues back.
//!
//! The daemon never enters a foreign namespace itself: it starts its own program anew as a *helper*,
//! sends it the namespace and what is wanted, and receives the queues. That costs some milliseconds
//! per interface, works for namespaces of other user namespaces (which a process with threads cannot
//! enter), and keeps whatever happens in there out of the daemon. A helper that hangs is killed.
//!
//! Either there is a complete interface, whose life is that of its [`FileQueue`]s, or there is nothing.

pub(crate) mod adopt;
mod default_route;
pub(crate) mod helper;
mod message;
mod sight;
mod spec;

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tapweave_net::OffloadSet;
use thiserror::Error;

pub use self::adopt::AdoptError;
pub use self::default_route::DefaultRoute;
use self::message::Reply;
pub use self::message::Step;
pub use self::sight::{InterfaceAddress, InterfaceSight, SightError};
pub use self::spec::{InterfaceSpec, Offloading, SpecError};
use crate::fd_message;
use crate::file_queue::FileQueue;
use crate::namespace::NetNamespace;
use crate::tun_queues::{Layer, Segmentation, descriptor_count, queues_and_outlet};

/// How long a helper may take. The work is a few milliseconds; the rest is patience with a machine
/// that is swapping or whose network configuration is locked by others.
const PATIENCE: Duration = Duration::from_secs(10);

/// A new interface.
#[derive(Debug)]
pub struct Interface {
    /// Its name in the namespace.
    pub ifname: String,
    /// Its index in the namespace.
    pub ifindex: u32,
    /// What may be left to do on frames that are sent to it.
    pub offloads: OffloadSet,
    segmentation: Segmentation,
    /// Its queues, at least one. The interface is gone when all are dropped.
    pub queues: Vec<FileQueue>,
    /// What is written to instead of the queues if there are several: by that flows stay in the queues that they are in.
    pub outlet: Option<FileQueue>,
    /// What shows whether it is there, and which addresses it has.
    pub sight: InterfaceSight,
}

/// Why there is no interface. Nothing is left of the attempt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// No interface can be like that.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The name is in use.
    #[error("the namespace already has an interface called {ifname}; choose another name")]
    IfnameTaken {
        /// What was asked for.
        ifname: String,
    },
    /// The device node is not there.
    #[error(
        "/dev/net/tun is missing: load the kernel's module tun, or make the device visible here"
    )]
    TunMissing,
    /// The device node may not be opened.
    #[error(
        "/dev/net/tun may not be opened by this user: its mode has to allow reading and writing"
    )]
    TunNotPermitted,
    /// The namespace is someone else's.
    #[error(
        "the namespace may not be administered by this user (not possible: {step}); \
         run the daemon as root or as the user who made the namespace"
    )]
    NamespaceNotPermitted {
        /// What was not possible.
        step: Step,
    },
    /// Anything else that went wrong in the namespace.
    #[error("it was not possible to {step}")]
    Failed {
        /// What was not possible.
        step: Step,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The helper program could not be started.
    #[error("the attach helper {} cannot be started", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The helper broke off.
    #[error("the attach helper gave no answer that can be understood")]
    Answer(#[source] io::Error),
    /// The helper hung and was killed.
    #[error("the attach helper gave no answer within {patience:?} and was stopped")]
    Timeout {
        /// How long it was waited for.
        patience: Duration,
    },
}

/// Attaches interfaces by means of a helper program.
#[derive(Clone, Debug)]
pub struct Attacher {
    program: PathBuf,
    patience: Duration,
}

impl Default for Attacher {
    /// The helper is the running program itself, even if its file has been replaced since.
    fn default() -> Self {
        Self::new(PathBuf::from("/proc/self/exe"))
    }
}

impl Attacher {
    /// Uses `program`, which must call [`crate::run_helper_if_requested`] first of all, as the helper.
    pub const fn new(program: PathBuf) -> Self {
        Self {
            program,
            patience: PATIENCE,
        }
    }

    /// Changes how long a helper may take; 10 seconds at first.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Makes an interface in `namespace`. Blocks for some milliseconds, at most as long as a helper
    /// may take.
    ///
    /// # Errors
    ///
    /// See [`AttachError`]; the namespace is then as it was.
    pub fn attach(
        &self,
        namespace: &NetNamespace,
        spec: &InterfaceSpec,
    ) -> Result<Interface, AttachError> {
        spec.validate()?;
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| AttachError::Answer(error.into()))?;
        let helper = self.start(theirs)?;
        // Buffered by the socket: this cannot block, and a helper that is gone answers nothing.
        let answer = fd_message::send(ours.as_fd(), spec, &[namespace.as_fd()])
            .and_then(|()| await_answer(ours.as_fd(), self.patience))
            .and_then(|ready| ready.then(|| fd_message::recv(ours.as_fd())).transpose());
        drop(ours);
        match answer {
            Ok(Some((reply, fds))) => {
                end(helper);
                understand(reply, fds, spec)
            }
            Ok(None) => {
                stop(helper);
                let patience = self.patience;
                Err(AttachError::Timeout { patience })
            }
            Err(error) => {
                stop(helper);
                Err(AttachError::Answer(error))
            }
        }
    }

    fn start(&self, socket: OwnedFd) -> Result<Child, AttachError> {
        Command::new(&self.program)
            .arg(OsStr::new(helper::HELPER_ARGUMENT))
            .env_clear()
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| AttachError::Start {
                program: self.program.clone(),
                source,
            })
    }
}

/// Tells whether something can be received before patience is at its end.
fn await_answer(socket: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    loop {
        // A signal begins the wait anew: rather too patient than a loop around a clock.
        match poll(&mut fds, Some(&patience)) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn understand(
    reply: Reply,
    mut fds: Vec<OwnedFd>,
    spec: &InterfaceSpec,
) -> Result<Interface, AttachError> {
    match reply {
        Reply::Attached {
            ifname,
            ifindex,
            segmentation,
        } => {
            let socket = fds.pop();
            let expected = descriptor_count(spec.queue_count.into());
            let Some(socket) = socket.filter(|_| fds.len() == expected) else {
                return Err(AttachError::Answer(io::ErrorKind::InvalidData.into()));
            };
            let framing = segmentation.framing(Layer::Ethernet);
            let (queues, outlet) = queues_and_outlet(fds, framing);
            Ok(Interface {
                ifname,
                ifindex,
                offloads: framing.offloads(),
                segmentation,
                queues,
                outlet,
                sight: InterfaceSight::new(socket, ifindex),
            })
        }
        Reply::Failed { step, errno } => Err(failure(step, errno, spec)),
    }
}

/// Says what the usual causes are.
fn failure(step: Step, errno: i32, spec: &InterfaceSpec) -> AttachError {
    let source = io::Error::from_raw_os_error(errno);
    match (step, Errno::from_raw_os_error(errno), &spec.ifname) {
        (Step::OpenTun, Errno::NOENT | Errno::NODEV | Errno::NXIO, _) => AttachError::TunMissing,
        (Step::OpenTun, Errno::ACCESS | Errno::PERM, _) => AttachError::TunNotPermitted,
        (Step::Rename, Errno::EXIST, Some(ifname)) => AttachError::IfnameTaken {
            ifname: ifname.clone(),
        },
        (
            Step::FindOwner
            | Step::EnterUserNamespace
            | Step::EnterNetNamespace
            | Step::CreateInterface,
            Errno::PERM | Errno::ACCESS,
            _,
        ) => AttachError::NamespaceNotPermitted { step },
        _ => AttachError::Failed { step, source },
    }
}

/// Ends a helper that has answered and has nothing left to do.
fn end(mut helper: Child) {
    // It is about to exit by itself, but root of the sandbox may have stopped it (`SIGSTOP`).
    let _already_gone = helper.kill();
    // There is nobody to tell: the answer is here.
    let _status = helper.wait();
}

/// Kills a helper that has not answered, and lets a thread wait for its end, which the kernel may
/// delay.
fn stop(mut helper: Child) {
    let _already_gone = helper.kill();
    let reaper = thread::Builder::new().name("reap".to_owned());
    // Without a thread it stays a zombie until the daemon ends.
    let _no_thread = reaper.spawn(move || end(helper));
}

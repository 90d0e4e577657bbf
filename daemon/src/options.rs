//! What the daemon is told when it starts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tapweave_control::{NetworkDefaults, SocketPath};
use tapweave_device::{Backend, EpollBackend, FallbackBackend, UringBackend};
use tracing::info;

use crate::nat_options::NatOptions;
use crate::overlay::UnderlayChoice;
use crate::resolver::ResolverOptions;
use crate::state::State;
use crate::uplink::UplinkOptions;

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the control socket is.
    pub socket: SocketPath,
    /// Worker threads, at least 1. Each costs about 2 MB of address space for its buffers.
    pub worker_count: usize,
    /// How workers wait, read and write.
    pub backend: BackendChoice,
    /// Where overlays send from and listen; none for the addresses of the default routes.
    pub underlay: Vec<UnderlayChoice>,
    /// UDP port of overlays that do not say which.
    pub vxlan_port: u16,
    /// How long workers look for frames before they sleep; zero: not at all.
    pub busy_poll: Duration,
    /// How networks reach the world.
    pub uplink: UplinkOptions,
    /// Who is asked for the names of the world.
    pub resolver: ResolverOptions,
    /// How addresses are translated on the way there.
    pub nat: NatOptions,
    /// Where figures are given over TCP, to whoever connects; nowhere if none.
    pub metrics: Option<SocketAddr>,
    /// What new networks have when they do not say otherwise. A reload may change it.
    pub networks: NetworkDefaults,
    /// What is remembered, and where.
    pub state: State,
    /// How long interfaces and sockets are kept for the next daemon after this one was killed, in whole seconds; zero
    /// for not at all. Without a state directory they are not.
    pub hold: Duration,
    /// What is done when another daemon has the state directory.
    pub start: Start,
}

/// What a daemon does that finds another one at work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    /// It does not start.
    #[default]
    Alone,
    /// It takes over from the other one, which ends.
    TakeOver,
}

/// How workers wait, read and write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BackendChoice {
    /// `io_uring` where the kernel allows it, otherwise `epoll`; and `epoll` too when the ring fails later.
    #[default]
    Auto,
    /// `io_uring` or nothing: the daemon does not start without it, and a worker whose ring fails ends.
    Uring,
    /// `epoll`, which every kernel allows.
    Epoll,
}

impl BackendChoice {
    pub(crate) fn open(self, busy_poll: Duration) -> io::Result<Box<dyn Backend>> {
        match self {
            Self::Auto => match UringBackend::new(busy_poll) {
                Ok(ring) => Ok(Box::new(FallbackBackend::new(ring, busy_poll))),
                Err(error) => {
                    info!(reason = %error, "a worker uses epoll");
                    Ok(Box::new(EpollBackend::new(busy_poll)?))
                }
            },
            Self::Uring => {
                let ring = UringBackend::new(busy_poll).map_err(io::Error::other)?;
                Ok(Box::new(ring))
            }
            Self::Epoll => Ok(Box::new(EpollBackend::new(busy_poll)?)),
        }
    }
}

impl Options {
    /// Time for a service manager to start another daemon, or for somebody to do it.
    pub const DEFAULT_HOLD: Duration = Duration::from_mins(2);

    /// Returns the options of a daemon that is told nothing but where its socket is. It remembers nothing.
    pub fn new(socket: SocketPath) -> Self {
        Self {
            socket,
            worker_count: 1,
            backend: BackendChoice::default(),
            underlay: Vec::new(),
            vxlan_port: 4789,
            busy_poll: Duration::ZERO,
            uplink: UplinkOptions::default(),
            nat: NatOptions::default(),
            resolver: ResolverOptions::default(),
            networks: NetworkDefaults::default(),
            state: State::Memory,
            hold: Self::DEFAULT_HOLD,
            start: Start::Alone,
            metrics: None,
        }
    }
}

//! All that a restart must not disturb, between a client and a server at the same time: a transfer, UDP requests, and many
//! idle connections.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};

use crate::crowd::{Crowd, EchoServer};
use crate::lab::Lab;
use crate::requests::{Asked, Requests};
use crate::sandbox::Sandbox;
use crate::steady::Steady;

/// The port that the idle connections lead to. The others use [`crate::traffic::L4_PORT`].
pub const IDLE_L4_PORT: u16 = 7500;

/// What two sandboxes, or others, do with each other.
#[derive(Debug)]
pub struct Usage {
    transfer: Steady,
    requests: Requests,
    idle: Crowd,
    _server: EchoServer,
}

impl Usage {
    /// Starts everything between `client` and `server`.
    ///
    /// # Errors
    ///
    /// When something cannot be started.
    pub fn start(
        lab: &Lab,
        client: &Sandbox,
        server: &Sandbox,
        server_ip: IpAddr,
        idle_count: u32,
    ) -> Result<Self> {
        Self::through(lab, [client, server], server_ip, server_ip, idle_count)
    }

    /// As [`Usage::start`] for a server at `at` that is called `to_ip` by its client.
    ///
    /// # Errors
    ///
    /// When something cannot be started.
    pub fn through(
        lab: &Lab,
        [client, server]: [&Sandbox; 2],
        at: IpAddr,
        to_ip: IpAddr,
        idle_count: u32,
    ) -> Result<Self> {
        let echo = EchoServer::start(lab, server, SocketAddr::new(at, IDLE_L4_PORT))?;
        let idle_at = SocketAddr::new(to_ip, IDLE_L4_PORT);
        let idle = Crowd::open(lab, client, idle_at, idle_count)?;
        ensure!(
            idle.count == idle_count,
            "{} of {idle_count} connections could be opened",
            idle.count
        );
        Ok(Self {
            transfer: Steady::through(lab, client, server, at, to_ip)?,
            requests: Requests::through(lab, client, server, at, to_ip)?,
            idle,
            _server: echo,
        })
    }

    /// Waits until something of the transfer has arrived, and a request was answered, that were sent after this call.
    ///
    /// # Errors
    ///
    /// When one of them does not go on.
    pub fn progress(&mut self) -> Result<()> {
        self.transfer.progress()?;
        self.requests.progress()
    }

    /// Ends everything: each of the connections that were idle brings back what is sent over it, and what has arrived of
    /// the transfer is what was sent. Returns what became of the requests.
    ///
    /// # Errors
    ///
    /// When a connection has broken, or bytes are others.
    pub fn finish(mut self) -> Result<Asked> {
        let alive = self.idle.exchange()?;
        ensure!(
            alive == self.idle.count,
            "{alive} of {} idle connections go on",
            self.idle.count
        );
        self.transfer.finish()?;
        self.requests.finish()
    }
}

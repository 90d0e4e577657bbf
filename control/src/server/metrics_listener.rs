//! The figures for Prometheus over TCP, for a server that cannot open the control socket.
//!
//! Whoever reaches the address may read them, and nothing else: there are two paths, `/metrics` and
//! `/v1/metrics`, and no other requests.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use tokio::net::TcpListener;
use tracing::debug;

use super::connections::{Connections, after_failed_accept};
use super::routes::{self, description};
use super::{Shared, reply};

/// Most connections at a time: some servers, and somebody who looks.
const CONNECTIONS_MAX: usize = 32;

/// Where figures are given over TCP.
#[derive(Debug)]
pub struct MetricsListener {
    listener: TcpListener,
}

impl MetricsListener {
    /// Listens on `address`. Must be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address is taken or none of this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener })
    }

    /// Returns where it listens: the port is one that is free if 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Gives the figures until it is dropped.
    pub(super) async fn serve(self, shared: Shared) {
        let router = router(shared);
        let mut connections = Connections::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) if connections.count() >= CONNECTIONS_MAX => {
                    debug!(%peer, "there are too many connections for figures");
                    drop(stream);
                }
                Ok((stream, _peer)) => connections.serve(stream, &router, None),
                Err(cause) => after_failed_accept(&cause).await,
            }
        }
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(description::metrics))
        .route("/v1/metrics", get(description::metrics))
        .fallback(routes::unknown_path)
        .method_not_allowed_fallback(routes::unknown_method)
        .layer(from_fn(reply::write_problems))
        .with_state(shared)
}

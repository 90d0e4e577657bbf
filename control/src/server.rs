//! The HTTP server on the control socket.
//!
//! Plain HTTP/1.1 with JSON bodies; whoever may connect may do everything, so connecting is what is
//! guarded ([`ControlSocket`]). Each request runs on a blocking thread ([`Controller`] says why), and
//! whatever goes wrong is answered by a problem document (RFC 9457).

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::Controller;

mod extract;
mod reply;
mod routes;
mod socket;
#[cfg(test)]
mod tests;

pub use socket::{BindError, ControlSocket};

/// Largest body of a request, in bytes. The largest sensible one, a network with hundreds of subnets
/// and labels, has a tenth of it.
const MAX_BODY_LEN: usize = 256 * 1024;

/// Serves requests until `shutdown` completes, then finishes those that have begun.
///
/// # Errors
///
/// When the runtime cannot wait for the socket.
pub async fn serve(
    controller: Arc<Controller>,
    socket: ControlSocket,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let events = Arc::clone(controller.events());
    let shutdown = async move {
        shutdown.await;
        // Streams of events end only when they are told to.
        events.close();
    };
    axum::serve(socket, router(controller))
        .with_graceful_shutdown(shutdown)
        .await
}

fn router(controller: Arc<Controller>) -> Router {
    use routes::{endpoints, events, nat, neighbors, networks, peers, sandboxes, tables};
    Router::new()
        .route("/v1/networks", get(networks::list).post(networks::create))
        .route(
            "/v1/networks/{network}",
            get(networks::show).delete(networks::remove),
        )
        .route("/v1/networks/{network}/connect", post(endpoints::connect))
        .route(
            "/v1/networks/{network}/disconnect",
            post(endpoints::disconnect),
        )
        .route("/v1/endpoints", get(endpoints::list))
        .route(
            "/v1/endpoints/{endpoint}",
            get(endpoints::show).delete(endpoints::remove),
        )
        .route("/v1/sandboxes", get(sandboxes::list))
        .route(
            "/v1/sandboxes/{sandbox}",
            get(sandboxes::show).delete(sandboxes::remove),
        )
        .route("/v1/peers", get(peers::list).post(peers::add))
        .route(
            "/v1/peers/{network}/{address}",
            axum::routing::delete(peers::remove),
        )
        .route("/v1/ports", get(tables::ports))
        .route("/v1/ports/{port}", get(tables::port))
        .route("/v1/fdb", get(tables::fdb).post(tables::fdb_add))
        .route("/v1/mdb", get(tables::mdb))
        .route("/v1/fdb/flush", post(tables::fdb_flush))
        .route(
            "/v1/fdb/{network}/{mac}",
            axum::routing::delete(tables::fdb_del),
        )
        .route("/v1/neighbors", get(neighbors::list).post(neighbors::add))
        .route(
            "/v1/neighbors/{network}/{address}",
            axum::routing::delete(neighbors::remove),
        )
        .route("/v1/nat", get(nat::list))
        .route("/v1/nat/flush", post(nat::flush))
        .route("/v1/events", get(events::stream))
        .route("/v1/stats", get(tables::stats))
        .route("/v1/version", get(routes::version))
        .fallback(routes::unknown_path)
        .method_not_allowed_fallback(routes::unknown_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_LEN))
        .with_state(controller)
}

//! The HTTP server on the control socket.
//!
//! Plain HTTP/1.1 with JSON bodies; whoever may connect may do everything, so connecting is what is
//! guarded ([`ControlSocket`]). Each request runs on a blocking thread ([`Controller`] says why), and
//! whatever goes wrong is answered by a problem document (RFC 9457).

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn;
use tokio::task::JoinSet;

use crate::Controller;
use meter::Meter;
use operation::Operation;

mod connections;
mod extract;
mod meter;
mod metrics_listener;
mod openapi;
mod operation;
mod reply;
mod routes;
mod shares;
mod socket;
#[cfg(test)]
mod tests;

pub use metrics_listener::MetricsListener;
pub use socket::{BindError, ControlSocket};

/// Serves requests until `shutdown` completes, then finishes those that have begun. With `metrics`, gives the
/// figures there too.
///
/// # Errors
///
/// When the runtime cannot wait for the socket.
pub async fn serve(
    controller: Arc<Controller>,
    socket: ControlSocket,
    metrics: Option<MetricsListener>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let events = Arc::clone(controller.events());
    let shutdown = async move {
        shutdown.await;
        // Streams of events end only when they are told to.
        events.close();
    };
    let operations = routes::operations();
    let shared = Shared::new(controller);
    let mut tasks = JoinSet::new();
    if let Some(metrics) = metrics {
        tasks.spawn(metrics.serve(shared.clone()));
    }
    connections::serve_socket(socket, router(shared, operations), shutdown).await;
    Ok(())
}

/// What handlers can ask for.
#[derive(Clone, Debug)]
struct Shared {
    controller: Arc<Controller>,
    meter: Arc<Meter>,
}

impl Shared {
    fn new(controller: Arc<Controller>) -> Self {
        Self {
            controller,
            meter: Arc::default(),
        }
    }
}

impl FromRef<Shared> for Arc<Controller> {
    fn from_ref(shared: &Shared) -> Self {
        Self::clone(&shared.controller)
    }
}

impl FromRef<Shared> for Arc<Meter> {
    fn from_ref(shared: &Shared) -> Self {
        Self::clone(&shared.meter)
    }
}

fn router(shared: Shared, operations: Vec<Operation>) -> Router {
    let mut router = Router::new();
    for operation in operations {
        let (path, route) = operation.into_route(&shared.meter);
        router = router.route(path, route);
    }
    router
        .fallback(routes::unknown_path)
        .method_not_allowed_fallback(routes::unknown_method)
        .layer(from_fn(reply::write_problems))
        .with_state(shared)
}

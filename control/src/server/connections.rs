//! The connections of clients: taken while their shares last, served, and finished when the daemon ends.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::shares::{CONNECTIONS, CONNECTIONS_EACH, Place, Shares};
use super::socket::ControlSocket;
use crate::api::Problem;

/// How long a client may take to send the head of a request, and how long a connection may wait for the
/// next one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Serves `router` on the control socket until `shutdown` completes, then finishes the requests that have begun.
pub(super) async fn serve_socket(
    socket: ControlSocket,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let shares = Arc::new(Shares::default());
    let mut connections = Connections::default();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, pid) = tokio::select! {
            () = &mut shutdown => break,
            accepted = socket.accept() => accepted,
        };
        if let Some(place) = shares.take(pid) {
            connections.serve(stream, &router, Some(place));
        } else {
            warn!(pid, "a client has too many connections");
            // One that does not read at once learns nothing more than that the connection is closed.
            let _told = stream.try_write(too_many_connections().as_bytes());
        }
    }
    // The place is free for another daemon before the last client has read its answer.
    drop(socket);
    connections.finish().await;
}

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    stop: watch::Sender<()>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            stop: watch::Sender::new(()),
        }
    }
}

impl Connections {
    /// Returns how many there are.
    pub(super) fn count(&mut self) -> usize {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.len()
    }

    /// Serves a connection, until it ends or all of them do.
    pub(super) fn serve(
        &mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        router: &Router,
        place: Option<Place>,
    ) {
        // Those that have ended are forgotten now and then.
        let _left = self.count();
        let router = TowerToHyperService::new(router.clone());
        let mut stopped = self.stop.subscribe();
        self.tasks.spawn(async move {
            let place = place.map(Arc::new);
            let service = service_fn(|request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                if let Some(place) = &place {
                    request.extensions_mut().insert(Arc::clone(place));
                }
                let response = router.call(request);
                async {
                    Ok::<Response, Infallible>(
                        response.await.unwrap_or_else(|never| match never {}),
                    )
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            // Clients that go away or talk nonsense have themselves to blame.
            if let Err(cause) = ended {
                debug!(%cause, "a connection broke");
            }
        });
    }

    /// Finishes the requests that have begun.
    pub(super) async fn finish(mut self) {
        self.stop.send_replace(());
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The answer to whoever has too many connections, without looking at the request.
fn too_many_connections() -> String {
    let problem = Problem::new(
        "too-many-connections",
        "There are too many connections",
        503,
        format!(
            "a process may have {CONNECTIONS_EACH} connections, and all together {CONNECTIONS}; close some"
        ),
    );
    // A document of strings and a number can always be written.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        Problem::CONTENT_TYPE,
        body.len()
    )
}

/// Waits out a lack of descriptors, which every listener may meet.
pub(super) async fn after_failed_accept(cause: &io::Error) {
    debug!(%cause, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

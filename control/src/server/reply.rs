//! What a handler answers with.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::task::JoinError;
use tracing::error;

use crate::api::Problem;
use crate::{ControlError, Controller, ErrorKind};

/// A request that was refused. The document is written by [`write_problems`], which knows the path.
#[derive(Clone, Debug)]
pub(super) struct Refusal(Box<Problem>);

/// Runs `request` on a thread that may block, to its end even if the client goes away.
pub(super) async fn run<T: Send + 'static>(
    controller: Arc<Controller>,
    request: impl FnOnce(&Controller) -> Result<T, ControlError> + Send + 'static,
) -> Result<T, Refusal> {
    run_checked(controller, |controller| {
        request(controller).map_err(Refusal::from)
    })
    .await
}

/// As [`run`], for a request that says itself how it is refused.
pub(super) async fn run_checked<T: Send + 'static>(
    controller: Arc<Controller>,
    request: impl FnOnce(&Controller) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(move || request(&controller)).await {
        Ok(outcome) => outcome,
        Err(stopped) => Err(Refusal::unfinished(&stopped)),
    }
}

impl Refusal {
    /// Returns what a client is told when the daemon failed in the middle.
    pub(super) fn unfinished(stopped: &JoinError) -> Self {
        error!(%stopped, "a request did not come to its end");
        Self::from(Problem::new(
            "internal",
            "The daemon failed",
            500,
            "the request did not come to its end; the daemon's log tells more".to_owned(),
        ))
    }
}

/// Writes the documents of requests that were refused, each with the path of its request.
pub(super) async fn write_problems(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(Refusal(mut problem)) = response.extensions_mut().remove::<Refusal>() {
        problem.instance = Some(path);
        // A document of strings and numbers can always be written.
        let document = serde_json::to_vec(&problem).unwrap_or_default();
        *response.body_mut() = Body::from(document);
        let media_type = HeaderValue::from_static(Problem::CONTENT_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    response
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<ControlError> for Refusal {
    fn from(cause: ControlError) -> Self {
        if cause.kind() == ErrorKind::Internal {
            error!(cause = cause.chain(), "a request failed");
        }
        Self::from(Problem::from(&cause))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(self);
        response
    }
}

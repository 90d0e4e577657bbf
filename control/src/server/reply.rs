//! What a handler answers with.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::error;

use crate::api::Problem;
use crate::{ControlError, Controller, ErrorKind};

/// A request that was refused.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Problem);

/// Runs `request` on a thread that may block, to its end even if the client goes away.
pub(super) async fn run<T: Send + 'static>(
    controller: Arc<Controller>,
    request: impl FnOnce(&Controller) -> Result<T, ControlError> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(move || request(&controller)).await {
        Ok(outcome) => outcome.map_err(Refusal::from),
        Err(stopped) => {
            error!(%stopped, "a request did not come to its end");
            Err(Refusal(Problem::new(
                "internal",
                "The daemon failed",
                500,
                "the request did not come to its end; the daemon's log tells more".to_owned(),
            )))
        }
    }
}

impl From<ControlError> for Refusal {
    fn from(cause: ControlError) -> Self {
        if cause.kind() == ErrorKind::Internal {
            error!(cause = cause.chain(), "a request failed");
        }
        Self(Problem::from(&cause))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A document of strings and a number can always be written.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (
            status,
            [(header::CONTENT_TYPE, Problem::CONTENT_TYPE)],
            body,
        )
            .into_response()
    }
}

//! `/v1/sandboxes`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::Controller;
use crate::api::Sandbox;
use crate::server::extract::Path;
use crate::server::reply::{Refusal, run};

/// `GET /v1/sandboxes`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
) -> Result<Json<Vec<Sandbox>>, Refusal> {
    run(controller, |controller| Ok(controller.sandboxes()))
        .await
        .map(Json)
}

/// `GET /v1/sandboxes/{sandbox}`
pub(crate) async fn show(
    State(controller): State<Arc<Controller>>,
    Path(sandbox): Path<String>,
) -> Result<Json<Sandbox>, Refusal> {
    run(controller, move |controller| controller.sandbox(&sandbox))
        .await
        .map(Json)
}

/// `DELETE /v1/sandboxes/{sandbox}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path(sandbox): Path<String>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.remove_sandbox(&sandbox)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

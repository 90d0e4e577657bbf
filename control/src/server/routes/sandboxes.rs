//! `/v1/sandboxes`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get};

use crate::Controller;
use crate::api::Sandbox;
use crate::server::extract::Path;
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/sandboxes", "listSandboxes", get(list))
            .does("Lists the sandboxes that are known, with their endpoints.")
            .answers::<Vec<Sandbox>>("The sandboxes, by name."),
        Operation::new(
            Method::GET,
            "/v1/sandboxes/{sandbox}",
            "showSandbox",
            get(show),
        )
        .does("Shows a sandbox.")
        .answers::<Sandbox>("The sandbox."),
        Operation::new(
            Method::DELETE,
            "/v1/sandboxes/{sandbox}",
            "removeSandbox",
            delete(remove),
        )
        .does("Disconnects a sandbox from everything and forgets it. Its namespace stays.")
        .answers_empty(204, "It is forgotten."),
    ]
}

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

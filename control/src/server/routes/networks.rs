//! `/v1/networks`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::Controller;
use crate::api::{CreateNetwork, NetworkInspect};
use crate::server::extract::{Body, Path};
use crate::server::reply::{Refusal, run};

/// `GET /v1/networks`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
) -> Result<Json<Vec<NetworkInspect>>, Refusal> {
    run(controller, |controller| Ok(controller.networks()))
        .await
        .map(Json)
}

/// `POST /v1/networks`
pub(crate) async fn create(
    State(controller): State<Arc<Controller>>,
    Body(request): Body<CreateNetwork>,
) -> Result<(StatusCode, Json<NetworkInspect>), Refusal> {
    let network = run(controller, |controller| controller.create_network(request)).await?;
    Ok((StatusCode::CREATED, Json(network)))
}

/// `GET /v1/networks/{network}`
pub(crate) async fn show(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
) -> Result<Json<NetworkInspect>, Refusal> {
    run(controller, move |controller| controller.network(&network))
        .await
        .map(Json)
}

/// `DELETE /v1/networks/{network}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.remove_network(&network)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

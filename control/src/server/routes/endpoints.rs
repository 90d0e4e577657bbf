//! `/v1/endpoints`, and how they come and go: `/v1/networks/{network}/connect` and `/disconnect`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::Controller;
use crate::api::{Connect, Disconnect, Endpoint};
use crate::server::extract::{Body, Path};
use crate::server::reply::{Refusal, run};

/// `POST /v1/networks/{network}/connect`
pub(crate) async fn connect(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
    Body(request): Body<Connect>,
) -> Result<(StatusCode, Json<Endpoint>), Refusal> {
    let endpoint = run(controller, move |controller| {
        controller.connect(&network, request)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(endpoint)))
}

/// `POST /v1/networks/{network}/disconnect`
pub(crate) async fn disconnect(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
    Body(request): Body<Disconnect>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.disconnect(&network, &request)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/endpoints`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
) -> Result<Json<Vec<Endpoint>>, Refusal> {
    run(controller, |controller| Ok(controller.endpoints()))
        .await
        .map(Json)
}

/// `GET /v1/endpoints/{endpoint}`
pub(crate) async fn show(
    State(controller): State<Arc<Controller>>,
    Path(endpoint): Path<String>,
) -> Result<Json<Endpoint>, Refusal> {
    run(controller, move |controller| controller.endpoint(&endpoint))
        .await
        .map(Json)
}

/// `DELETE /v1/endpoints/{endpoint}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path(endpoint): Path<String>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.remove_endpoint(&endpoint)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

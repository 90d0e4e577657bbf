//! `/v1/neighbors`

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::tables::OfNetwork;
use crate::Controller;
use crate::api::{NeighborAdd, NeighborView};
use crate::server::extract::{Body, Path, Query};
use crate::server::reply::{Refusal, run};

/// `GET /v1/neighbors[?network=NETWORK]`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Vec<NeighborView>>, Refusal> {
    run(controller, move |controller| {
        controller.neighbors(of.network.as_deref())
    })
    .await
    .map(Json)
}

/// `POST /v1/neighbors`
pub(crate) async fn add(
    State(controller): State<Arc<Controller>>,
    Body(request): Body<NeighborAdd>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.neighbor_add(&request)
    })
    .await?;
    Ok(StatusCode::CREATED)
}

/// `DELETE /v1/neighbors/{network}/{address}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path((network, address)): Path<(String, IpAddr)>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.neighbor_del(&network, address)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

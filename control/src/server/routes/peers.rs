//! `/v1/peers`

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::tables::OfNetwork;
use crate::Controller;
use crate::api::{PeerAdd, PeerView};
use crate::server::extract::{Body, Path, Query};
use crate::server::reply::{Refusal, run};

/// `GET /v1/peers[?network=NETWORK]`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Vec<PeerView>>, Refusal> {
    run(controller, move |controller| {
        controller.peers(of.network.as_deref())
    })
    .await
    .map(Json)
}

/// `POST /v1/peers`
pub(crate) async fn add(
    State(controller): State<Arc<Controller>>,
    Body(request): Body<PeerAdd>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| controller.add_peer(&request)).await?;
    Ok(StatusCode::CREATED)
}

/// `DELETE /v1/peers/{network}/{address}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path((network, address)): Path<(String, IpAddr)>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.remove_peer(&network, address)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `/v1/ports`, `/v1/fdb`, `/v1/mdb`, `/v1/stats`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tapweave_net::{MacAddr, Vid};

use crate::Controller;
use crate::api::{FdbAdd, FdbEntryView, FdbFlush, FdbFlushed, MdbEntryView, Port, Stats};
use crate::server::extract::{Body, Path, Query};
use crate::server::reply::{Refusal, run};

/// `?network=NETWORK`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfNetwork {
    pub(super) network: Option<String>,
}

/// `?vlan=VID`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfVlan {
    vlan: Option<Vid>,
}

/// `GET /v1/ports[?network=NETWORK]`
pub(crate) async fn ports(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Vec<Port>>, Refusal> {
    run(controller, move |controller| {
        controller.ports(of.network.as_deref())
    })
    .await
    .map(Json)
}

/// `GET /v1/ports/{port}`, the slash in the name of the port escaped.
pub(crate) async fn port(
    State(controller): State<Arc<Controller>>,
    Path(port): Path<String>,
) -> Result<Json<Port>, Refusal> {
    run(controller, move |controller| controller.port(&port))
        .await
        .map(Json)
}

/// `GET /v1/fdb[?network=NETWORK]`
pub(crate) async fn fdb(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Vec<FdbEntryView>>, Refusal> {
    run(controller, move |controller| {
        controller.fdb(of.network.as_deref())
    })
    .await
    .map(Json)
}

/// `POST /v1/fdb`
pub(crate) async fn fdb_add(
    State(controller): State<Arc<Controller>>,
    Body(request): Body<FdbAdd>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| controller.fdb_add(&request)).await?;
    Ok(StatusCode::CREATED)
}

/// `DELETE /v1/fdb/{network}/{mac}[?vlan=VID]`
pub(crate) async fn fdb_del(
    State(controller): State<Arc<Controller>>,
    Path((network, mac)): Path<(String, MacAddr)>,
    Query(of): Query<OfVlan>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.fdb_del(&network, mac, of.vlan)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/fdb/flush`
pub(crate) async fn fdb_flush(
    State(controller): State<Arc<Controller>>,
    Body(request): Body<FdbFlush>,
) -> Result<Json<FdbFlushed>, Refusal> {
    let flushed = run(controller, move |controller| {
        controller.fdb_flush(request.network.as_deref())
    })
    .await?;
    Ok(Json(FdbFlushed { flushed }))
}

/// `GET /v1/mdb[?network=NETWORK]`
pub(crate) async fn mdb(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Vec<MdbEntryView>>, Refusal> {
    run(controller, move |controller| {
        controller.mdb(of.network.as_deref())
    })
    .await
    .map(Json)
}

/// `GET /v1/stats`
pub(crate) async fn stats(
    State(controller): State<Arc<Controller>>,
) -> Result<Json<Stats>, Refusal> {
    run(controller, |controller| Ok(controller.stats()))
        .await
        .map(Json)
}

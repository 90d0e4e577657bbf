//! `/v1/nat`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, post};
use serde::Deserialize;

use crate::Controller;
use crate::api::{NatFlowView, NatFlush, NatFlushed};
use crate::server::extract::{Body, Query};
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/nat", "listFlows", get(list))
            .does("Lists translated flows.")
            .of_network()
            .query::<usize>("limit", "Most flows of the answer; 100,000 if none.")
            .answers::<Vec<NatFlowView>>("The flows, by network, protocol and who opened them."),
        Operation::new(Method::POST, "/v1/nat/flush", "flushFlows", post(flush))
            .does("Forgets translated flows: connections over them are cut.")
            .takes::<NatFlush>()
            .answers::<NatFlushed>("How many there were."),
    ]
}

/// Most flows of an answer when nothing is said: some 40 MB, less than a client reads.
const DEFAULT_LIMIT: usize = 100_000;

/// `?network=NETWORK&limit=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flows {
    network: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/nat[?network=NETWORK][&limit=N]`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<Flows>,
) -> Result<Json<Vec<NatFlowView>>, Refusal> {
    run(controller, move |controller| {
        let limit = of.limit.unwrap_or(DEFAULT_LIMIT);
        controller.nat_flows(of.network.as_deref(), limit)
    })
    .await
    .map(Json)
}

/// `POST /v1/nat/flush`
pub(crate) async fn flush(
    State(controller): State<Arc<Controller>>,
    Body(request): Body<NatFlush>,
) -> Result<Json<NatFlushed>, Refusal> {
    let flushed = run(controller, move |controller| {
        controller.nat_flush(request.network.as_deref())
    })
    .await?;
    Ok(Json(NatFlushed { flushed }))
}

//! `/v1/neighbors`

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, put};

use super::put_status;
use super::tables::OfNetwork;
use crate::Controller;
use crate::api::{NeighborAdd, NeighborPut, NeighborView};
use crate::server::extract::{Body, Path, Query};
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/neighbors", "listNeighbors", get(list))
            .does("Lists whom questions for neighbours are answered for in overlay networks.")
            .of_network()
            .answers::<Vec<NeighborView>>("The neighbours, by network and address."),
        Operation::new(
            Method::PUT,
            "/v1/neighbors/{network}/{address}",
            "putNeighbor",
            put(replace),
        )
        .does("States the MAC address of a neighbour, in the place of what was stated before.")
        .takes::<NeighborPut>()
        .answers_empty(201, "Nothing was stated of it before.")
        .answers_empty(204, "It is another one now."),
        Operation::new(
            Method::DELETE,
            "/v1/neighbors/{network}/{address}",
            "removeNeighbor",
            delete(remove),
        )
        .does("Takes back what was stated of a neighbour.")
        .answers_empty(204, "It is taken back."),
    ]
}

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

/// `PUT /v1/neighbors/{network}/{address}`
pub(crate) async fn replace(
    State(controller): State<Arc<Controller>>,
    Path((network, address)): Path<(String, IpAddr)>,
    Body(NeighborPut { mac, router }): Body<NeighborPut>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        let is_it = |known: &NeighborView| known.address == address.to_canonical();
        let existed = controller.neighbors(Some(&network))?.iter().any(is_it);
        controller.neighbor_add(&NeighborAdd {
            network,
            address,
            mac,
            router,
        })?;
        Ok(put_status(existed))
    })
    .await
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

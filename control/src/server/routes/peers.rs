//! `/v1/peers`

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::routing::{delete, get, put};

use super::put_status;
use super::tables::OfNetwork;
use crate::api::{PeerAdd, PeerPut, PeerView, Problem};
use crate::server::extract::{Body, Path, Query};
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run, run_checked};
use crate::{ControlError, Controller};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/peers", "listPeers", get(list))
            .does("Lists the other hosts of overlay networks.")
            .of_network()
            .answers::<Vec<PeerView>>("The peers, by network and address."),
        Operation::new(
            Method::PUT,
            "/v1/peers/{network}/{address}",
            "putPeer",
            put(replace),
        )
        .does("Lets a host take part in a network, as is said and not as was said before.")
        .header::<String>(
            "If-None-Match",
            "`*`: only if it does not take part yet; otherwise 412.",
        )
        .takes::<PeerPut>()
        .answers_empty(201, "It takes part now.")
        .answers_empty(204, "It took part already, and does so as is said now."),
        Operation::new(
            Method::DELETE,
            "/v1/peers/{network}/{address}",
            "removePeer",
            delete(remove),
        )
        .does("Lets a host take part no more.")
        .answers_empty(204, "It is removed."),
    ]
}

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

/// `PUT /v1/peers/{network}/{address}`
pub(crate) async fn replace(
    State(controller): State<Arc<Controller>>,
    Path((network, address)): Path<(String, IpAddr)>,
    headers: HeaderMap,
    Body(PeerPut { port, subnets }): Body<PeerPut>,
) -> Result<StatusCode, Refusal> {
    let wanted = PeerAdd {
        network,
        address,
        port,
        subnets,
    };
    let only_new = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|it| it == "*");
    run_checked(controller, move |controller| {
        if only_new {
            return match controller.add_peer(&wanted) {
                Ok(()) => Ok(StatusCode::CREATED),
                Err(cause @ ControlError::PeerExists { .. }) => {
                    let title = "There is such a thing already";
                    Err(Problem::new("exists", title, 412, cause.chain()).into())
                }
                Err(cause) => Err(cause.into()),
            };
        }
        Ok(put_status(controller.put_peer(&wanted)?))
    })
    .await
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

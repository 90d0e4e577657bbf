//! `/v1/leases`, and the DHCP server of a network: `/v1/networks/{network}/dhcp`

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, put};

use super::put_status;
use super::tables::OfNetwork;
use crate::Controller;
use crate::api::{DhcpView, LeaseAdd, LeasePut, LeaseView};
use crate::server::extract::{Body, Path, Query};
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/leases", "listLeases", get(list))
            .does("Lists the addresses that clients of DHCP have or were offered, and those that are fixed for one.")
            .of_network()
            .answers::<Vec<LeaseView>>("The leases, by network and address."),
        Operation::new(
            Method::PUT,
            "/v1/leases/{network}/{address}",
            "putLease",
            put(add),
        )
        .does("Fixes an address for a machine behind a port, which gets it when it asks by DHCP.")
        .takes::<LeasePut>()
        .answers_empty(201, "It is fixed.")
        .answers_empty(204, "It was fixed for that machine already."),
        Operation::new(
            Method::DELETE,
            "/v1/leases/{network}/{address}",
            "removeLease",
            delete(remove),
        )
        .does("Takes back that an address is fixed.")
        .answers_empty(204, "It is taken back."),
        Operation::new(
            Method::GET,
            "/v1/networks/{network}/dhcp",
            "showDhcp",
            get(show),
        )
        .does("Shows where the DHCP server of a network answers, and what it did so far.")
        .answers::<DhcpView>("The server."),
    ]
}

/// `GET /v1/leases[?network=NETWORK]`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Vec<LeaseView>>, Refusal> {
    run(controller, move |controller| {
        controller.leases(of.network.as_deref())
    })
    .await
    .map(Json)
}

/// `PUT /v1/leases/{network}/{address}`
pub(crate) async fn add(
    State(controller): State<Arc<Controller>>,
    Path((network, address)): Path<(String, Ipv4Addr)>,
    Body(LeasePut { client }): Body<LeasePut>,
) -> Result<StatusCode, Refusal> {
    let request = LeaseAdd {
        network,
        address,
        client,
    };
    let existed = run(controller, move |controller| controller.lease_add(&request)).await?;
    Ok(put_status(existed))
}

/// `DELETE /v1/leases/{network}/{address}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path((network, address)): Path<(String, Ipv4Addr)>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.lease_del(&network, address)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/networks/{network}/dhcp`
pub(crate) async fn show(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
) -> Result<Json<DhcpView>, Refusal> {
    run(controller, move |controller| controller.dhcp(&network))
        .await
        .map(Json)
}

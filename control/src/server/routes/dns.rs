//! `/v1/dns`, and the resolver of a network: `/v1/networks/{network}/dns`

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, post, put};

use super::put_status;
use super::tables::OfNetwork;
use crate::api::{DnsAnswer, DnsQuestion, DnsRecordAdd, DnsRecordView, ResolverView};
use crate::server::extract::{Body, Path, Query};
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run};
use crate::{Controller, Name};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/dns", "listNames", get(list))
            .does("Lists the names of sandboxes and the static ones.")
            .of_network()
            .answers::<Vec<DnsRecordView>>("The names, by network, name and address."),
        Operation::new(
            Method::PUT,
            "/v1/dns/{network}/{name}/{address}",
            "putName",
            put(add),
        )
        .does("States that a name leads to an address, besides where it leads already.")
        .answers_empty(201, "That was not stated before.")
        .answers_empty(204, "It was stated already."),
        Operation::new(
            Method::DELETE,
            "/v1/dns/{network}/{name}/{address}",
            "removeNameOfAddress",
            delete(remove_one),
        )
        .does("Takes back that a name leads to an address.")
        .answers_empty(204, "It is taken back."),
        Operation::new(
            Method::DELETE,
            "/v1/dns/{network}/{name}",
            "removeName",
            delete(remove),
        )
        .does("Takes back all that was stated of a name.")
        .answers_empty(204, "It is taken back."),
        Operation::new(
            Method::GET,
            "/v1/networks/{network}/dns",
            "showResolver",
            get(show),
        )
        .does("Shows where the resolver of a network answers, and what it did so far.")
        .answers::<ResolverView>("The resolver."),
        Operation::new(
            Method::POST,
            "/v1/networks/{network}/dns/query",
            "queryResolver",
            post(query),
        )
        .does("Asks the resolver of a network as a sandbox of it would.")
        .takes::<DnsQuestion>()
        .answers::<DnsAnswer>("What it says."),
    ]
}

/// `GET /v1/dns[?network=NETWORK]`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
    Query(of): Query<OfNetwork>,
) -> Result<Json<Vec<DnsRecordView>>, Refusal> {
    run(controller, move |controller| {
        controller.dns_records(of.network.as_deref())
    })
    .await
    .map(Json)
}

/// `PUT /v1/dns/{network}/{name}/{address}`
pub(crate) async fn add(
    State(controller): State<Arc<Controller>>,
    Path((network, name, address)): Path<(String, Name, IpAddr)>,
) -> Result<StatusCode, Refusal> {
    let request = DnsRecordAdd {
        network,
        name,
        address,
    };
    let existed = run(controller, move |controller| controller.dns_add(&request)).await?;
    Ok(put_status(existed))
}

/// `DELETE /v1/dns/{network}/{name}/{address}`
pub(crate) async fn remove_one(
    State(controller): State<Arc<Controller>>,
    Path((network, name, address)): Path<(String, Name, IpAddr)>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.dns_del(&network, &name, Some(address))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/dns/{network}/{name}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path((network, name)): Path<(String, Name)>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.dns_del(&network, &name, None)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/networks/{network}/dns`
pub(crate) async fn show(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
) -> Result<Json<ResolverView>, Refusal> {
    run(controller, move |controller| controller.resolver(&network))
        .await
        .map(Json)
}

/// `POST /v1/networks/{network}/dns/query`
pub(crate) async fn query(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
    Body(question): Body<DnsQuestion>,
) -> Result<Json<DnsAnswer>, Refusal> {
    run(controller, move |controller| {
        controller.dns_query(&network, &question)
    })
    .await
    .map(Json)
}

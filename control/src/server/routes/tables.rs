//! `/v1/ports`, `/v1/fdb`, `/v1/mdb`, `/v1/stats`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, post, put};
use serde::Deserialize;
use tapweave_net::{MacAddr, Vid};

use super::put_status;
use crate::Controller;
use crate::api::{
    FdbAdd, FdbEntryView, FdbFlush, FdbFlushed, FdbPut, MdbEntryView, Port, Stats, schema,
};
use crate::server::extract::{Body, Path, Query};
use crate::server::operation::Operation;
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

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/ports", "listPorts", get(ports))
            .does("Lists the ports with their counters.")
            .of_network()
            .answers::<Vec<Port>>("The ports, by network and sandbox."),
        Operation::new(Method::GET, "/v1/ports/{port}", "showPort", get(port))
            .does("Shows a port, and what carries its frames to other hosts.")
            .answers::<Port>("The port."),
        Operation::new(Method::GET, "/v1/fdb", "listFdb", get(fdb))
            .does("Lists the entries of the forwarding tables.")
            .of_network()
            .answers::<Vec<FdbEntryView>>("The entries."),
        Operation::new(
            Method::PUT,
            "/v1/fdb/{network}/{mac}",
            "putFdbEntry",
            put(fdb_put),
        )
        .does("States where a station is, in the place of what was known of it.")
        .query::<schema::Vlan>(
            "vlan",
            "The VLAN in which it is there; none for frames that are in no VLAN.",
        )
        .takes::<FdbPut>()
        .answers_empty(201, "There was no entry, and is one now.")
        .answers_empty(204, "The entry is another one now."),
        Operation::new(
            Method::DELETE,
            "/v1/fdb/{network}/{mac}",
            "removeFdbEntry",
            delete(fdb_del),
        )
        .does("Removes an entry, learned or static.")
        .query::<schema::Vlan>(
            "vlan",
            "The VLAN of the entry; none for one that is in no VLAN.",
        )
        .answers_empty(204, "It is removed."),
        Operation::new(Method::POST, "/v1/fdb/flush", "flushFdb", post(fdb_flush))
            .does("Removes the learned entries.")
            .takes::<FdbFlush>()
            .answers::<FdbFlushed>("How many there were."),
        Operation::new(Method::GET, "/v1/mdb", "listMdb", get(mdb))
            .does("Lists which port gets frames for which group.")
            .of_network()
            .answers::<Vec<MdbEntryView>>("Routers first, then groups."),
        Operation::new(Method::GET, "/v1/stats", "showStats", get(stats))
            .does("Shows figures of the whole daemon.")
            .answers::<Stats>("The figures."),
    ]
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

/// `PUT /v1/fdb/{network}/{mac}[?vlan=VID]`
pub(crate) async fn fdb_put(
    State(controller): State<Arc<Controller>>,
    Path((network, mac)): Path<(String, MacAddr)>,
    Query(of): Query<OfVlan>,
    Body(FdbPut { port, vtep }): Body<FdbPut>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        let is_it = |entry: &FdbEntryView| entry.mac == mac && entry.vlan == of.vlan;
        let existed = controller.fdb(Some(&network))?.iter().any(is_it);
        controller.fdb_add(&FdbAdd {
            network,
            mac,
            port,
            vtep,
            vlan: of.vlan,
        })?;
        Ok(put_status(existed))
    })
    .await
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

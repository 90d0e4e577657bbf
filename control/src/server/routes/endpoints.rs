//! `/v1/endpoints`, and how they come and go: `/v1/networks/{network}/connect` and `/disconnect`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::routing::{delete, get, post};

use super::Location;
use crate::api::{Connect, Disconnect, Endpoint, Problem};
use crate::server::extract::{Body, Path};
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run, run_checked};
use crate::{ControlError, Controller};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::POST,
            "/v1/networks/{network}/connect",
            "connectSandbox",
            post(connect),
        )
        .does("Connects a sandbox to a network; with a namespace it becomes known.")
        .takes::<Connect>()
        .creates::<Endpoint>("The endpoint."),
        Operation::new(
            Method::POST,
            "/v1/networks/{network}/disconnect",
            "disconnectSandbox",
            post(disconnect),
        )
        .does("Disconnects a sandbox from a network. The sandbox stays known.")
        .takes::<Disconnect>()
        .answers_empty(204, "It is disconnected."),
        Operation::new(Method::GET, "/v1/endpoints", "listEndpoints", get(list))
            .does("Lists the endpoints.")
            .answers::<Vec<Endpoint>>("The endpoints, by network and sandbox."),
        Operation::new(
            Method::GET,
            "/v1/endpoints/{endpoint}",
            "showEndpoint",
            get(show),
        )
        .does("Shows an endpoint.")
        .answers::<Endpoint>("The endpoint."),
        Operation::new(
            Method::DELETE,
            "/v1/endpoints/{endpoint}",
            "removeEndpoint",
            delete(remove),
        )
        .does("Disconnects the sandbox of an endpoint from its network.")
        .answers_empty(204, "It is disconnected."),
    ]
}

/// `POST /v1/networks/{network}/connect`
pub(crate) async fn connect(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
    Body(request): Body<Connect>,
) -> Result<(StatusCode, Location, Json<Endpoint>), Refusal> {
    let endpoint = run_checked(controller, move |controller| {
        controller.connect(&network, request).map_err(|cause| {
            let ControlError::AlreadyConnected { sandbox, network } = &cause else {
                return Refusal::from(cause);
            };
            let problem = Problem::from(&cause);
            match controller.port(&format!("{network}/{sandbox}")) {
                Ok(existing) => problem.because_of(path(&existing.endpoint)).into(),
                Err(_gone) => problem.into(),
            }
        })
    })
    .await?;
    let location = [(header::LOCATION, path(&endpoint))];
    Ok((StatusCode::CREATED, location, Json(endpoint)))
}

fn path(endpoint: &Endpoint) -> String {
    format!("/v1/endpoints/{}", endpoint.id)
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

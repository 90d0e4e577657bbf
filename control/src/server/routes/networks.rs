//! `/v1/networks`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::routing::{delete, get, post};

use super::Location;
use crate::api::{CreateNetwork, NetworkInspect, Problem};
use crate::server::extract::{Body, Path};
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run, run_checked};
use crate::{ControlError, Controller};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/networks", "listNetworks", get(list))
            .does("Lists the networks, in the shape of `docker network inspect`.")
            .answers::<Vec<NetworkInspect>>("The networks, by name."),
        Operation::new(Method::POST, "/v1/networks", "createNetwork", post(create))
            .does("Makes a network.")
            .takes::<CreateNetwork>()
            .creates::<NetworkInspect>("The network."),
        Operation::new(
            Method::GET,
            "/v1/networks/{network}",
            "showNetwork",
            get(show),
        )
        .does("Shows a network.")
        .answers::<NetworkInspect>("The network."),
        Operation::new(
            Method::DELETE,
            "/v1/networks/{network}",
            "removeNetwork",
            delete(remove),
        )
        .does("Removes a network that has no endpoints.")
        .answers_empty(204, "It is removed."),
    ]
}

/// `GET /v1/networks`
pub(crate) async fn list(
    State(controller): State<Arc<Controller>>,
) -> Result<Json<Vec<NetworkInspect>>, Refusal> {
    run(controller, |controller| Ok(controller.networks()))
        .await
        .map(Json)
}

/// `POST /v1/networks`
pub(crate) async fn create(
    State(controller): State<Arc<Controller>>,
    Body(request): Body<CreateNetwork>,
) -> Result<(StatusCode, Location, Json<NetworkInspect>), Refusal> {
    let name = request.name.clone();
    let network = run_checked(controller, move |controller| {
        controller.create_network(request).map_err(|cause| {
            let taken = matches!(cause, ControlError::NetworkExists { .. });
            let problem = Problem::from(&cause);
            match controller.network(name.as_str()) {
                Ok(existing) if taken => problem.because_of(path(&existing)).into(),
                _ => Refusal::from(cause),
            }
        })
    })
    .await?;
    let location = [(header::LOCATION, path(&network))];
    Ok((StatusCode::CREATED, location, Json(network)))
}

fn path(network: &NetworkInspect) -> String {
    format!("/v1/networks/{}", network.id)
}

/// `GET /v1/networks/{network}`
pub(crate) async fn show(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
) -> Result<Json<NetworkInspect>, Refusal> {
    run(controller, move |controller| controller.network(&network))
        .await
        .map(Json)
}

/// `DELETE /v1/networks/{network}`
pub(crate) async fn remove(
    State(controller): State<Arc<Controller>>,
    Path(network): Path<String>,
) -> Result<StatusCode, Refusal> {
    run(controller, move |controller| {
        controller.remove_network(&network)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

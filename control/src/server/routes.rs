//! What each path does.

use axum::Json;
use axum::http::header::HeaderName;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::get;

use super::operation::Operation;
use super::reply::Refusal;
use crate::api::{Problem, Version};

pub(super) mod description;
pub(super) mod dns;
pub(super) mod endpoints;
pub(super) mod events;
pub(super) mod leases;
pub(super) mod nat;
pub(super) mod neighbors;
pub(super) mod networks;
pub(super) mod peers;
pub(super) mod sandboxes;
pub(super) mod tables;

/// The header that names what was made.
type Location = [(HeaderName, String); 1];

/// Everything that the API can do.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations = networks::operations();
    operations.extend(endpoints::operations());
    operations.extend(sandboxes::operations());
    operations.extend(tables::operations());
    operations.extend(neighbors::operations());
    operations.extend(peers::operations());
    operations.extend(dns::operations());
    operations.extend(leases::operations());
    operations.extend(nat::operations());
    operations.extend(events::operations());
    operations.extend(description::operations());
    operations.push(
        Operation::new(Method::GET, "/v1/version", "showVersion", get(version))
            .does("Shows the versions of the daemon and of the API.")
            .answers::<Version>("The versions."),
    );
    operations
}

/// Says whether what was put had been there.
const fn put_status(existed: bool) -> StatusCode {
    if existed {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CREATED
    }
}

/// `GET /v1/version`
async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
    })
}

/// Every path that is not listed.
pub(super) async fn unknown_path(uri: Uri) -> Refusal {
    Refusal::from(Problem::new(
        "unknown-path",
        "The API has no such path",
        404,
        format!("there is no {}", uri.path()),
    ))
}

/// Every method that a path does not have. The header `Allow` tells which it has.
pub(super) async fn unknown_method(method: Method, uri: Uri) -> Refusal {
    Refusal::from(Problem::new(
        "unknown-method",
        "The path has no such method",
        405,
        format!("{method} is not possible for {}", uri.path()),
    ))
}

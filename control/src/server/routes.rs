//! What each path does.

use axum::Json;
use axum::http::{Method, Uri};

use super::reply::Refusal;
use crate::api::{Problem, Version};

pub(super) mod endpoints;
pub(super) mod events;
pub(super) mod nat;
pub(super) mod neighbors;
pub(super) mod networks;
pub(super) mod peers;
pub(super) mod sandboxes;
pub(super) mod tables;

/// `GET /v1/version`
pub(super) async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
    })
}

/// Every path that is not listed.
pub(super) async fn unknown_path(uri: Uri) -> Refusal {
    Refusal(Problem::new(
        "unknown-path",
        "The API has no such path",
        404,
        format!("there is no {}", uri.path()),
    ))
}

/// Every method that a path does not have.
pub(super) async fn unknown_method(method: Method, uri: Uri) -> Refusal {
    Refusal(Problem::new(
        "unknown-method",
        "The path has no such method",
        405,
        format!("{method} is not possible for {}", uri.path()),
    ))
}

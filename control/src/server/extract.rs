//! Reads path, query and body, and refuses by problem documents what cannot be read.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::reply::Refusal;
use crate::api::Problem;

/// The body, as JSON.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// The variable parts of the path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

/// What follows the question mark.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let axum::extract::Path(path) =
            axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let axum::extract::Query(query) =
            axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

impl From<JsonRejection> for Refusal {
    fn from(cause: JsonRejection) -> Self {
        unreadable(cause.status(), cause.body_text())
    }
}

impl From<PathRejection> for Refusal {
    fn from(cause: PathRejection) -> Self {
        unreadable(cause.status(), cause.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(cause: QueryRejection) -> Self {
        unreadable(cause.status(), cause.body_text())
    }
}

fn unreadable(status: StatusCode, detail: String) -> Refusal {
    Refusal(Problem::new(
        "malformed",
        "The request cannot be read",
        status.as_u16(),
        detail,
    ))
}

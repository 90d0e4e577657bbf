//! Reads path, query and body, and refuses by problem documents what cannot be read.

use std::time::Duration;

use axum::body::Body as RawBody;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path as PathInBody, Segment};
use tokio::time::timeout;

use super::reply::Refusal;
use crate::api::Problem;

/// Largest body of a request, in bytes. The largest sensible one, a network with hundreds of subnets
/// and labels, has a tenth of it.
pub(super) const MAX_BODY_LEN: usize = 256 * 1024;

/// How long a client may take to send a body.
const BODY_LIMIT: Duration = Duration::from_secs(10);

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

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        check_media_type(&request)?;
        let bytes = read(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

/// Refuses a body that is not said to be JSON. A browser asks before it sends such a one across sites.
fn check_media_type(request: &Request) -> Result<(), Refusal> {
    let given = request.headers().get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(unreadable(
        415,
        format!("the body should be of content-type application/json, not {given:?}"),
    ))
}

async fn read(body: RawBody) -> Result<Bytes, Refusal> {
    let collected = timeout(BODY_LIMIT, Limited::new(body, MAX_BODY_LEN).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(unreadable(
            413,
            format!("the body has more than {MAX_BODY_LEN} bytes"),
        )),
        Ok(Err(cause)) => Err(unreadable(400, format!("the body breaks off: {cause}"))),
        Err(_elapsed) => Err(unreadable(
            408,
            format!(
                "the body did not come within {} seconds",
                BODY_LIMIT.as_secs()
            ),
        )),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json);
    let (cause, pointer) = match parsed {
        Ok(value) => match json.end() {
            // Every body is an object, which serde would as well read from the list of its values.
            Ok(()) if bytes.trim_ascii_start().starts_with(b"[") => {
                let detail = "the body means nothing: it is a list, and should be an object";
                return Err(unreadable(422, detail.to_owned()));
            }
            Ok(()) => return Ok(value),
            Err(cause) => (cause, None),
        },
        Err(error) => {
            let pointer = pointer(error.path());
            (error.into_inner(), Some(pointer))
        }
    };
    // What is no JSON, and what is JSON of another shape.
    let (status, pointer) = match cause.classify() {
        Category::Syntax | Category::Eof | Category::Io => (400, None),
        Category::Data => (422, pointer),
    };
    let problem = Problem::malformed(status, format!("the body means nothing: {cause}"));
    Err(problem
        .at_line(cause.line(), cause.column(), pointer)
        .into())
}

/// Returns the JSON pointer (RFC 6901) of a place in a body, as a fragment.
fn pointer(path: &PathInBody) -> String {
    let mut pointer = "#".to_owned();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
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

impl From<PathRejection> for Refusal {
    fn from(cause: PathRejection) -> Self {
        unreadable(400, cause.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(cause: QueryRejection) -> Self {
        unreadable(400, cause.body_text())
    }
}

fn unreadable(status: u16, detail: String) -> Refusal {
    Refusal::from(Problem::malformed(status, detail))
}

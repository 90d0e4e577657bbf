//! Problem documents (RFC 9457): how the API says no.

use serde::{Deserialize, Serialize};

use crate::{ControlError, ErrorKind};

/// A problem document. `type` is a URN that names the kind, so that programs need not read `detail`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Kind of the problem: `urn:tapweave:problem:KIND`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// Status of the response.
    pub status: u16,
    /// What was wrong this time.
    pub detail: String,
}

impl Problem {
    /// Media type of a problem document.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// Returns a problem of `kind`, a word of lower-case letters and hyphens.
    pub fn new(kind: &str, title: &str, status: u16, detail: String) -> Self {
        Self {
            kind: format!("urn:tapweave:problem:{kind}"),
            title: title.to_owned(),
            status,
            detail,
        }
    }
}

impl From<&ControlError> for Problem {
    fn from(error: &ControlError) -> Self {
        let (kind, title, status) = match error.kind() {
            ErrorKind::Invalid => ("invalid", "The request cannot be carried out", 422),
            ErrorKind::NotFound => ("not-found", "There is no such thing", 404),
            ErrorKind::Conflict => ("conflict", "Something is in the way", 409),
            ErrorKind::Denied => ("denied", "The kernel refused", 403),
            ErrorKind::Exhausted => ("exhausted", "A limit was reached", 409),
            ErrorKind::Internal => ("internal", "The daemon failed", 500),
        };
        Self::new(kind, title, status, error.chain())
    }
}

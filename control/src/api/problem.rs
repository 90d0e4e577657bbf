//! Problem documents (RFC 9457): how the API says no.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ControlError, ErrorKind};

/// A problem document (RFC 9457). `type` and `kind` name the kind of problem, so that programs need not read
/// `detail`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Kind of the problem, as a URN: `urn:tapweave:problem:KIND`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The kind in words.
    pub title: String,
    /// Status of the response.
    pub status: u16,
    /// What was wrong this time.
    pub detail: String,
    /// The path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Kind of the problem, as the last word of `type`.
    #[serde(default)]
    pub kind: String,
    /// Where in the body it was found: the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The byte of that line, from 1; 0 for the end of the line before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Which value of the body it is about, as a JSON pointer (RFC 6901) in a fragment: `#/subnets/0/gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which parameter of the query it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The path of what exists already and is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
}

impl Problem {
    /// Media type of a problem document.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// Returns a problem of `kind`, a word of lower-case letters and hyphens.
    pub fn new(kind: &str, title: &str, status: u16, detail: String) -> Self {
        Self {
            type_uri: format!("urn:tapweave:problem:{kind}"),
            title: title.to_owned(),
            status,
            detail,
            instance: None,
            kind: kind.to_owned(),
            line: None,
            column: None,
            pointer: None,
            parameter: None,
            existing: None,
        }
    }

    /// Returns the problem of a request that means nothing.
    pub(crate) fn malformed(status: u16, detail: String) -> Self {
        Self::new("malformed", "The request cannot be read", status, detail)
    }

    /// Says where in the body it is.
    pub(crate) fn at_line(mut self, line: usize, column: usize, pointer: Option<String>) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self.pointer = pointer;
        self
    }

    /// Says which parameter it is about.
    pub(crate) fn at_parameter(mut self, name: &str) -> Self {
        self.parameter = Some(name.to_owned());
        self
    }

    /// Says what is in the way.
    pub(crate) fn because_of(mut self, existing: String) -> Self {
        self.existing = Some(existing);
        self
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

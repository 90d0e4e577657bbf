//! `curl` as a client of the API, over the daemon's socket.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::expect_success;

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `content-type`; empty if there is none.
    pub content_type: String,
    /// The header `location`; empty if there is none.
    pub location: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Returns the body, which has to be JSON.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }
}

/// Sends a request to `path` on a control socket, with a body of JSON if there is one.
///
/// # Errors
///
/// When there is no answer.
pub fn ask(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
    let mut curl = over_socket(socket, path);
    curl.args(["--request", method]);
    if let Some(body) = body {
        curl.args(["--header", "content-type: application/json", "--data"]);
        curl.arg(body.to_string());
    }
    answer(&mut curl)
}

/// Returns a `curl` of a path on a control socket, which options may be added to.
pub fn over_socket(socket: &Path, path: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30"]);
    curl.arg("--unix-socket").arg(socket);
    curl.arg(format!("http://tapweave{path}"));
    curl
}

fn answer(curl: &mut Command) -> Result<Answer> {
    // Behind the body, which may have any line but such a one.
    let format = "\n%{http_code} <%header{location}> %{content_type}";
    curl.args(["--write-out", format]);
    let said = expect_success(curl, "")?;
    let (body, last) = said.rsplit_once('\n').context("curl said nothing")?;
    let (status, rest) = last.split_once(" <").context("no status")?;
    let (location, content_type) = rest.split_once("> ").context("no headers")?;
    Ok(Answer {
        status: status.parse()?,
        content_type: content_type.to_owned(),
        location: location.to_owned(),
        body: body.to_owned(),
    })
}

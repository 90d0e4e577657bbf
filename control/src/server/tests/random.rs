//! Random requests, made from the `OpenAPI` document: whatever is asked, the answer is one of those that
//! the document promises, and never that the daemon failed.
//!
//! Each request is made from one number, so that proptest can find the shortest row of requests that goes
//! wrong. Bodies follow their schemas, except for what is broken on purpose.

use std::fmt::Write as _;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use hyper::service::Service;
use hyper::{Request, header};
use hyper_util::service::TowerToHyperService;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::controller;
use super::description::{document, resolved};
use crate::server::operation::Operation;
use crate::server::routes::operations;
use crate::server::{Shared, router};

/// Names that come up again and again, so that requests meet what others have made.
const NAMES: [&str; 4] = ["blue", "red", "web", "db"];
/// What nobody should ask for.
const NONSENSE: [&str; 8] = ["", "..", "a/b", "\u{1F980}", "%00", "none", "00000", "-1"];
/// Texts of many types.
const TEXTS: [&str; 14] = [
    "10.7.0.0/24",
    "fd00:7::/64",
    "10.7.0.9",
    "fd00:7::9",
    "02:00:00:00:00:07",
    "blue/web",
    "8080:80/tcp",
    "overlay",
    "vxlan",
    "gue",
    "10,20-29",
    "eth0",
    "ff:ff:ff:ff:ff:ff",
    "1969-01-01T00:00:00Z",
];

/// Numbers from one number (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll().is_multiple_of(n)
    }

    fn choose<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        let index = self.roll() % u64::try_from(from.len()).unwrap();
        &from[usize::try_from(index).unwrap()]
    }

    fn text(&mut self) -> String {
        match self.roll() % 8 {
            0 => (*self.choose(&NONSENSE)).to_owned(),
            1..4 => (*self.choose(&TEXTS)).to_owned(),
            _ => (*self.choose(&NAMES)).to_owned(),
        }
    }

    /// Returns a value of a schema, or now and then of none.
    fn value(&mut self, document: &Value, schema: &Value) -> Value {
        let schema = resolved(document, schema);
        if self.one_in(40) {
            return [
                json!(null),
                json!(-1),
                json!([]),
                json!({}),
                json!("x"),
                json!(1e300),
            ][usize::try_from(self.roll() % 6).unwrap()]
            .clone();
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[choice].as_array() {
                let choice = self.choose(choices).clone();
                return self.value(document, &choice);
            }
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        for list in ["enum", "examples"] {
            if let Some(values) = schema[list].as_array().filter(|_| !self.one_in(4)) {
                return self.choose(values).clone();
            }
        }
        let types = &schema["type"];
        let kind = match types.as_array() {
            Some(types) => self.choose(types).as_str(),
            None => types.as_str(),
        };
        match kind {
            Some("object") => self.object(document, schema),
            Some("array") => {
                let count = self.roll() % 3;
                (0..count)
                    .map(|_| self.value(document, &schema["items"]))
                    .collect()
            }
            Some("integer") => match self.roll() % 6 {
                0 => json!(self.roll()),
                1 => schema["maximum"].clone(),
                2 => json!(0),
                _ => json!(self.roll() % 2000),
            },
            Some("boolean") => json!(self.one_in(2)),
            Some("null") => Value::Null,
            _ => json!(self.text()),
        }
    }

    fn object(&mut self, document: &Value, schema: &Value) -> Value {
        let mut object = Map::new();
        let empty = Map::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, field) in schema["properties"].as_object().unwrap_or(&empty) {
            let is_required = required.contains(&json!(name));
            if (is_required && !self.one_in(40)) || self.one_in(5) {
                object.insert(name.clone(), self.value(document, field));
            }
        }
        if self.one_in(40) {
            object.insert("colour".to_owned(), json!("blue"));
        }
        Value::Object(object)
    }

    fn request(&mut self, document: &Value, operation: &Operation) -> Request<Body> {
        let described =
            &document["paths"][operation.path][operation.method.as_str().to_lowercase()];
        let mut path = operation.path.to_owned();
        for name in operation.path_parameters() {
            let text = match (name, self.one_in(8)) {
                ("network" | "sandbox", false) => (*self.choose(&NAMES)).to_owned(),
                ("port", false) => format!("{}/{}", self.choose(&NAMES), self.choose(&NAMES)),
                ("mac", false) => "02:00:00:00:00:07".to_owned(),
                ("address", false) => (*self.choose(&["10.7.0.9", "192.0.2.7", "::1"])).to_owned(),
                _ => self.text(),
            };
            path = path.replace(&format!("{{{name}}}"), &escaped(&text));
        }
        let mut separator = '?';
        for parameter in described["parameters"].as_array().unwrap() {
            if parameter["in"] == "query" && self.one_in(3) {
                let schema = resolved(document, &parameter["schema"]);
                let schema = schema.get("items").unwrap_or(schema);
                let value = self.value(document, schema);
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                let name = parameter["name"].as_str().unwrap();
                write!(path, "{separator}{name}={}", escaped(&value)).unwrap();
                separator = '&';
            }
        }
        if self.one_in(40) {
            write!(path, "{separator}colour=%zz").unwrap();
        }
        let mut request = Request::builder().uri(path);
        request = if self.one_in(40) {
            request.method(*self.choose(&["PATCH", "HEAD", "TRACE", "PUT", "DELETE"]))
        } else {
            request.method(operation.method.clone())
        };
        if self.one_in(10) {
            let id = *self.choose(&["1-1", "0-0", "x", "18a2f0c31b7d9e00-17"]);
            request = request.header("last-event-id", id);
        }
        let schema = &described["requestBody"]["content"]["application/json"]["schema"];
        let mut body = if schema.is_null() {
            String::new()
        } else {
            self.value(document, schema).to_string()
        };
        if self.one_in(40) {
            let half = body.len() / 2;
            body.truncate(if body.is_char_boundary(half) { half } else { 0 });
        }
        if !self.one_in(40) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Body::from(body)).unwrap()
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        write!(escaped, "%{byte:02X}").unwrap();
    }
    escaped
}

/// Tells whether a value fits a schema, as far as the schemas here say anything.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(document, schema);
    if schema == &json!(true) {
        return Ok(());
    }
    let wrong = || Err(format!("{value} does not fit {schema}"));
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let mut choices = choices.iter();
            if !choices.any(|choice| fits(document, choice, value).is_ok()) {
                return wrong();
            }
        }
    }
    if let Some(expected) = schema.get("const")
        && expected != value
    {
        return wrong();
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return wrong();
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = &schema["type"];
    let is_one = types.as_str().is_none_or(|expected| expected == kind);
    if !is_one
        || types
            .as_array()
            .is_some_and(|expected| !expected.contains(&json!(kind)))
    {
        return wrong();
    }
    for one in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], one)?;
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap()) {
                return Err(format!("{name} is missing in {value}"));
            }
        }
        for (name, field) in fields {
            let known = schema["properties"].get(name);
            let other = schema
                .get("additionalProperties")
                .filter(|it| it.is_object());
            if let Some(schema) = known.or(other) {
                fits(document, schema, field)?;
            } else if schema.get("properties").is_some() {
                return Err(format!("{name} is not described in {schema}"));
            }
        }
    }
    Ok(())
}

/// Requires that the document promises the answer to a request for `path`.
async fn check(
    document: &Value,
    described: &Value,
    path: &str,
    response: Response,
) -> Result<(), String> {
    let status = response.status().as_u16();
    let header = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (media_type, allow) = (header(header::CONTENT_TYPE), header(header::ALLOW));
    let (expected, schema) = match status {
        500.. => return Err(format!("{status}")),
        405 if allow.is_none() => return Err("405 without Allow".to_owned()),
        400.. => {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            ("application/problem+json".to_owned(), schema)
        }
        _ => {
            let answer = &described["responses"][status.to_string()];
            if !answer.is_object() {
                return Err(format!("{status} is not described"));
            }
            match answer["content"]
                .as_object()
                .and_then(|it| it.iter().next())
            {
                Some((expected, content)) => (expected.clone(), content["schema"].clone()),
                None if media_type.is_some() => return Err(format!("{media_type:?}")),
                None => return Ok(()),
            }
        }
    };
    let found = media_type.unwrap_or_default();
    if !found.starts_with(&expected) {
        return Err(format!("{found:?} instead of {expected}"));
    }
    if !expected.ends_with("json") {
        return Ok(());
    }
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    // The answer to HEAD has none.
    if body.is_empty() {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    fits(document, &schema, &body)?;
    let names_request = body["status"] == json!(status) && body["instance"] == json!(path);
    if status >= 400 && !names_request {
        return Err(format!("{body} is not about {path}"));
    }
    Ok(())
}

#[test]
fn no_request_gets_an_answer_that_is_not_described() {
    let (document, operations) = (document(), operations());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let rows = vec(any::<u64>(), 1..80);
    let outcome = runner.run(&rows, |row| {
        let service = TowerToHyperService::new(router(
            Shared::new(controller()),
            crate::server::routes::operations(),
        ));
        for seed in row {
            let mut dice = Dice(seed);
            let operation = dice.choose(&operations);
            let request = dice.request(&document, operation);
            let (path, method) = (request.uri().path().to_owned(), request.method().clone());
            let shown = format!("{request:?}");
            let described = &document["paths"][operation.path];
            let described = &described[method.as_str().replace("HEAD", "GET").to_lowercase()];
            let checked = runtime.block_on(async {
                let response = service.call(request).await.unwrap();
                check(&document, described, &path, response).await
            });
            checked.map_err(|error| TestCaseError::fail(format!("{shown}: {error}")))?;
        }
        Ok(())
    });
    outcome.unwrap();
}

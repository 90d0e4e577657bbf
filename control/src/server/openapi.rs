//! The OpenAPI document of the API, made from its operations and the schemas of their types.
//!
//! OpenAPI 3.1 takes JSON Schema as it is (draft 2020-12), so schemas are those that the types derive. What
//! clients send has its schemas made as it is read, and what they get as it is written: a field with a default
//! may be left out of the one and never is of the other.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::{Answer, Operation, Parameter};
use super::routes::operations;
use crate::api::{Event, Lagged, Problem};

/// The document, as text. Made when somebody asks for it: few do, and it takes every schema there is.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    // A tree of texts, numbers and lists can always be written.
    let mut text = serde_json::to_string_pretty(&describe(&operations())).unwrap_or_default();
    text.push('\n');
    text
});

/// Returns the document that describes all operations, as text.
pub(super) fn document() -> &'static str {
    &DOCUMENT
}

struct Schemas {
    sent: SchemaGenerator,
    got: SchemaGenerator,
}

fn describe(operations: &[Operation]) -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            "/components/schemas".clone_into(settings.definitions_path.to_mut());
            settings.meta_schema = None;
        })
    };
    let mut schemas = Schemas {
        sent: settings().for_deserialize().into_generator(),
        got: settings().for_serialize().into_generator(),
    };
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        let method = operation.method.as_str().to_ascii_lowercase();
        if let Some(path) = path.as_object_mut() {
            path.insert(method, operation.describe(&mut schemas));
        }
    }
    // Not the whole body of any answer, but named by some.
    let _event = schemas.got.subschema_for::<Event>();
    let _lagged = schemas.got.subschema_for::<Lagged>();
    let problem = schemas.got.subschema_for::<Problem>();
    let mut named = schemas.sent.take_definitions(true);
    named.extend(schemas.got.take_definitions(true));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tapweave",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The control socket of a tapweave daemon",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{
            "url": "http://tapweave",
            "description": "The unix socket of the daemon. The name of the host means nothing.",
        }],
        "paths": paths,
        "components": {
            "schemas": named,
            "responses": {
                "Refused": {
                    "description": "The request was refused, or failed; nothing was changed.",
                    "content": { Problem::CONTENT_TYPE: { "schema": problem } },
                },
            },
        },
    });
    name_families(&mut document);
    document
}

/// Says of addresses of either family what JSON Schema has words for: `ip` is none of its formats.
fn name_families(schema: &mut Value) {
    if let Value::Array(list) = schema {
        list.iter_mut().for_each(name_families);
    } else if let Value::Object(fields) = schema {
        if fields.get("format").is_some_and(|format| format == "ip") {
            fields.remove("format");
            let families = json!([{ "format": "ipv4" }, { "format": "ipv6" }]);
            fields.insert("anyOf".to_owned(), families);
        }
        fields.values_mut().for_each(name_families);
    }
}

impl Operation {
    fn describe(&self, schemas: &mut Schemas) -> Value {
        let in_path = self.path_parameters().map(|name| {
            let (says, schema) = path_parameter(name);
            json!({ "name": name, "in": "path", "required": true, "description": says, "schema": schema })
        });
        let mut parameters: Vec<Value> = in_path.collect();
        for (place, list) in [("query", &self.query), ("header", &self.headers)] {
            let list = list.iter();
            parameters.extend(list.map(|parameter| parameter.describe(place, &mut schemas.sent)));
        }
        let answers = self.answers.iter();
        let answers =
            answers.map(|answer| (answer.status.to_string(), answer.describe(&mut schemas.got)));
        let mut responses: Map<String, Value> = answers.collect();
        for status in ["4XX", "5XX"] {
            let refused = json!({ "$ref": "#/components/responses/Refused" });
            responses.insert(status.to_owned(), refused);
        }
        let tag = self.path.split('/').nth(2).unwrap_or("");
        let mut described = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [tag],
            "parameters": parameters,
            "responses": responses,
        });
        if let (Some(schema), Some(described)) = (self.body, described.as_object_mut()) {
            let schema = schema(&mut schemas.sent);
            let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
            described.insert("requestBody".to_owned(), body);
        }
        described
    }
}

impl Parameter {
    fn describe(&self, place: &str, schemas: &mut SchemaGenerator) -> Value {
        let mut schema = (self.schema)(schemas);
        let is_repeatable = self.says.ends_with("(repeatable).");
        if is_repeatable {
            schema = one_or_more(schema);
        }
        json!({
            "name": self.name,
            "in": place,
            "required": false,
            "description": self.says,
            "schema": schema,
        })
    }
}

fn one_or_more(schema: Schema) -> Schema {
    let mut list = Schema::default();
    list.insert("type".to_owned(), "array".into());
    list.insert("items".to_owned(), schema.to_value());
    list
}

impl Answer {
    fn describe(&self, schemas: &mut SchemaGenerator) -> Value {
        let mut described = json!({ "description": self.says });
        let Some(fields) = described.as_object_mut() else {
            return described;
        };
        if self.has_location {
            let location = json!({
                "Location": { "description": "The path of what was made.", "schema": { "type": "string" } },
            });
            fields.insert("headers".to_owned(), location);
        }
        if let Some(content) = &self.content {
            let schema = (content.schema)(schemas);
            let content = json!({ content.media_type: { "schema": schema } });
            fields.insert("content".to_owned(), content);
        }
        described
    }
}

/// Returns what the variable part `name` of a path means, and its schema.
fn path_parameter(name: &str) -> (&'static str, Value) {
    let text = json!({ "type": "string", "minLength": 1 });
    match name {
        "network" => (
            "The network, by name, id, or beginning of an id of at least four digits.",
            text,
        ),
        "sandbox" => (
            "The sandbox, by name, id, or beginning of an id of at least four digits.",
            text,
        ),
        "endpoint" => (
            "The endpoint, by id or the beginning of it, at least four digits.",
            text,
        ),
        "port" => (
            "The port, as `NETWORK/SANDBOX` or `NETWORK/SANDBOX:IFNAME`, the slash escaped.",
            json!({ "type": "string", "pattern": "^[^/]+/[^/]+$" }),
        ),
        "name" => ("The name.", json!({ "$ref": "#/components/schemas/Name" })),
        "mac" => (
            "The MAC address of the station.",
            json!({ "$ref": "#/components/schemas/MacAddr" }),
        ),
        _ => (
            "The IP address.",
            json!({ "type": "string", "format": "ip" }),
        ),
    }
}

//! The `OpenAPI` document, and what is checked in of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::server::openapi;
use crate::server::operation::Operation;
use crate::server::routes::operations;

/// Between these lines docs/api.md has the table that is generated.
const TABLE_BEGIN: &str = "<!-- Generated from docs/openapi.json: -->\n";
const TABLE_END: &str = "<!-- End of what is generated. -->\n";

pub(super) fn document() -> Value {
    serde_json::from_str(openapi::document()).unwrap()
}

/// Follows a reference within the document.
pub(super) fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            document
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => schema,
    }
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name)
}

/// Requires that a file is what is generated, or makes it so when `TAPWEAVE_BLESS` is set.
fn require_file(path: &Path, generated: &str) {
    if std::env::var_os("TAPWEAVE_BLESS").is_some() {
        fs::write(path, generated).unwrap();
    }
    let found = fs::read_to_string(path).unwrap();
    assert!(
        found == generated,
        "{} is not what is generated; run TAPWEAVE_BLESS=1 cargo test -p tapweave-control description",
        path.display()
    );
}

#[test]
fn the_document_that_is_checked_in_is_up_to_date() {
    require_file(&docs("openapi.json"), openapi::document());
}

#[test]
fn the_table_in_the_reference_is_up_to_date() {
    let path = docs("api.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(TABLE_BEGIN).unwrap();
    let (_, after) = rest.split_once(TABLE_END).unwrap();
    let table = table(&operations());
    require_file(
        &path,
        &format!("{before}{TABLE_BEGIN}{table}{TABLE_END}{after}"),
    );
}

fn table(operations: &[Operation]) -> String {
    let document = document();
    let mut table =
        String::from("\n| operation | what it does | body | answer |\n|---|---|---|---|\n");
    for operation in operations {
        let described =
            &document["paths"][operation.path][operation.method.as_str().to_lowercase()];
        let query: Vec<_> = operation.query.iter().map(|it| it.name).collect();
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("`?{}`", query.join("`, `"))
        };
        let body = &described["requestBody"]["content"]["application/json"]["schema"];
        let answers = operation.answers.iter().map(|answer| {
            let content = &described["responses"][answer.status.to_string()]["content"];
            let content = content.as_object().and_then(|it| it.iter().next());
            let shown = content.map_or(String::new(), |(media, content)| match media.as_str() {
                "application/json" => format!(" {}", type_name(&content["schema"])),
                other => format!(" {other}"),
            });
            format!("{}{shown}", answer.status)
        });
        let answers: Vec<_> = answers.collect();
        let summary = operation.summary.replace('|', "\\|");
        writeln!(
            table,
            "| `{} {}` {query} | {summary} | {} | {} |",
            operation.method,
            operation.path,
            type_name(body),
            answers.join(", ")
        )
        .unwrap();
    }
    table.push('\n');
    table
}

fn type_name(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return format!("`{}`", reference.rsplit('/').next().unwrap());
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", type_name(&schema["items"])),
        _ => String::new(),
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_named() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut named = BTreeSet::new();
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("$ref") {
                    resolved(&document, value);
                    let name = fields["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                    named.insert(name.to_owned());
                }
                left.extend(fields.values());
            }
            Value::Array(values) => left.extend(values),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for name in schemas
        .keys()
        .filter(|name| !["Event", "Lagged"].contains(&name.as_str()))
    {
        assert!(named.contains(name), "nothing names {name}");
    }
}

#[test]
fn operations_have_names_of_their_own_sentences_and_answers() {
    let mut names = BTreeSet::new();
    for operation in operations() {
        assert!(names.insert(operation.id), "{} twice", operation.id);
        assert!(operation.summary.ends_with('.'), "{}", operation.id);
        assert!(!operation.answers.is_empty(), "{}", operation.id);
    }
    let document = document();
    for schema in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .values()
    {
        assert!(schema["description"].is_string(), "{schema}");
    }
}

//! What the API can do: one [`Operation`] for each method of each path.
//!
//! The router and the OpenAPI document are both made from the same list, so neither can have what the
//! other lacks. What is the same for all operations is done here, around their handlers: unknown query
//! parameters are refused, the client's share is kept, and the request is counted.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use tokio::time::Instant;

use super::Shared;
use super::meter::Meter;
use super::reply::Refusal;
use super::shares::Place;
use crate::api::Problem;

/// Writes down the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A method of a path.
#[derive(Debug)]
pub(super) struct Operation {
    /// The method.
    pub(super) method: Method,
    /// The path, with `{NAME}` where it varies.
    pub(super) path: &'static str,
    /// Its name, unique among all.
    pub(super) id: &'static str,
    /// What it does, as a sentence.
    pub(super) summary: &'static str,
    /// What goes into the query.
    pub(super) query: Vec<Parameter>,
    /// What goes into the header.
    pub(super) headers: Vec<Parameter>,
    /// The body that it takes.
    pub(super) body: Option<SchemaOf>,
    /// The answers of success.
    pub(super) answers: Vec<Answer>,
    handler: MethodRouter<Shared>,
}

/// A parameter of a request that may be left out.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) schema: SchemaOf,
}

/// An answer of success.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) says: &'static str,
    pub(super) content: Option<Content>,
    /// Whether it names by `Location` what was made.
    pub(super) has_location: bool,
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) media_type: &'static str,
    pub(super) schema: SchemaOf,
}

impl Operation {
    /// Returns an operation without parameters. `handler` must have exactly `method`.
    pub(super) fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        handler: MethodRouter<Shared>,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary: "",
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            handler,
        }
    }

    pub(super) const fn does(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    pub(super) fn query<T: JsonSchema>(mut self, name: &'static str, says: &'static str) -> Self {
        let schema = subschema::<T>;
        self.query.push(Parameter { name, says, schema });
        self
    }

    /// Adds `?network=`, which chooses one network.
    pub(super) fn of_network(self) -> Self {
        self.query::<String>(
            "network",
            "Only of this network, by name or beginning of its id.",
        )
    }

    pub(super) fn header<T: JsonSchema>(mut self, name: &'static str, says: &'static str) -> Self {
        let schema = subschema::<T>;
        self.headers.push(Parameter { name, says, schema });
        self
    }

    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(subschema::<T>);
        self
    }

    pub(super) fn answers<T: JsonSchema>(self, says: &'static str) -> Self {
        self.answer(200, says, Some(json::<T>()))
    }

    pub(super) fn answers_as(self, media_type: &'static str, says: &'static str) -> Self {
        let schema = subschema::<String>;
        self.answer(200, says, Some(Content { media_type, schema }))
    }

    /// Answers that something was made, and shows it.
    pub(super) fn creates<T: JsonSchema>(self, says: &'static str) -> Self {
        let mut made = self.answer(201, says, Some(json::<T>()));
        if let Some(answer) = made.answers.last_mut() {
            answer.has_location = true;
        }
        made
    }

    pub(super) fn answers_empty(self, status: u16, says: &'static str) -> Self {
        self.answer(status, says, None)
    }

    fn answer(mut self, status: u16, says: &'static str, content: Option<Content>) -> Self {
        self.answers.push(Answer {
            status,
            says,
            content,
            has_location: false,
        });
        self
    }

    /// Returns the names of the variable parts of its path.
    pub(super) fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Returns what the router is to do with its path.
    pub(super) fn into_route(self, meter: &Arc<Meter>) -> (&'static str, MethodRouter<Shared>) {
        let around = Around {
            id: self.id,
            query: self.query.iter().map(|parameter| parameter.name).collect(),
            meter: Arc::clone(meter),
        };
        let handler = self.handler.route_layer(from_fn_with_state(around, attend));
        (self.path, handler)
    }
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn json<T: JsonSchema>() -> Content {
    Content {
        media_type: "application/json",
        schema: subschema::<T>,
    }
}

/// What is done around the handler of an operation.
#[derive(Clone, Debug)]
struct Around {
    id: &'static str,
    query: Arc<[&'static str]>,
    meter: Arc<Meter>,
}

async fn attend(State(around): State<Around>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let response = if let Some(name) = unknown_parameter(&request, &around.query) {
        unknown(&name, &around.query).into_response()
    } else {
        run_to_its_end(request, next).await
    };
    let status = response.status().as_u16();
    around.meter.note(around.id, status, start.elapsed());
    response
}

/// Runs a request in its client's turn. When the client goes away meanwhile, the request goes on, and counts as one of the
/// client's until it has ended.
async fn run_to_its_end(request: Request, next: Next) -> Response {
    let place = request.extensions().get::<Arc<Place>>().cloned();
    let permit = match &place {
        Some(place) => place.permit().await,
        None => None,
    };
    let run = tokio::spawn(async move {
        let response = next.run(request).await;
        drop((permit, place));
        response
    });
    run.await
        .unwrap_or_else(|stopped| Refusal::unfinished(&stopped).into_response())
}

fn unknown_parameter(request: &Request, known: &[&str]) -> Option<String> {
    let query = request.uri().query()?;
    let mut names = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    // The names that are known need no escapes.
    names.find(|name| !known.contains(name)).map(str::to_owned)
}

fn unknown(name: &str, known: &[&str]) -> Refusal {
    let known = match known {
        [] => "there are none here".to_owned(),
        known => format!("there are {}", known.join(", ")),
    };
    let detail = format!("no query parameter is called {name:?}: {known}");
    Refusal::from(Problem::malformed(400, detail).at_parameter(name))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use tokio::sync::Notify;

    use super::*;
    use crate::server::shares::Shares;

    #[tokio::test]
    async fn a_request_whose_client_has_gone_counts_until_it_has_ended() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            get(|| async move {
                begun.notify_one();
                go_on.notified().await;
            })
        };
        let around = Around {
            id: "test",
            query: Arc::default(),
            meter: Arc::default(),
        };
        let handler = handler.route_layer(from_fn_with_state(around, attend));
        let router = TowerToHyperService::new(Router::new().route("/", handler));

        let shares = Arc::new(Shares::default());
        let place = Arc::new(shares.take(7).unwrap());
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Arc::clone(&place));
        let client = tokio::spawn(async move { router.call(request).await });
        begun.notified().await;
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        drop(place);
        assert!(shares.are_taken(), "the request was forgotten");

        go_on.notify_one();
        while shares.are_taken() {
            tokio::task::yield_now().await;
        }
    }
}

//! `/v1/openapi.json` and `/v1/metrics`: what the API is, and how the daemon fares, for programs

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::Controller;
use crate::metrics::Text;
use crate::server::meter::Meter;
use crate::server::openapi::document;
use crate::server::operation::Operation;
use crate::server::reply::{Refusal, run};

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/openapi.json", "showApi", get(show))
            .does("Shows what the API is, as an OpenAPI document.")
            .answers::<serde_json::Value>("The OpenAPI document, version 3.1."),
        Operation::new(Method::GET, "/v1/metrics", "showMetrics", get(metrics))
            .does("Shows the figures of the daemon for Prometheus.")
            .answers_as(
                "text/plain",
                "The figures, in version 0.0.4 of Prometheus's text format.",
            ),
    ]
}

/// `GET /v1/openapi.json`
async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}

/// `GET /v1/metrics`
pub(in crate::server) async fn metrics(
    State(controller): State<Arc<Controller>>,
    State(meter): State<Arc<Meter>>,
) -> Result<impl IntoResponse + use<>, Refusal> {
    let text = run(controller, move |controller| {
        let mut text = Text::default();
        controller.write_metrics(&mut text);
        meter.write_metrics(&mut text);
        Ok(text.finish())
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, Text::CONTENT_TYPE)], text))
}

//! `/v1/events`: what happens, as server-sent events (the HTML standard, §9.2)

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Sse;
use axum::response::sse;
use axum::routing::get;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::Controller;
use crate::api::{EventAction, EventId, EventType, Problem};
use crate::events::{Beginning, EventFilter, Subscription, Told};
use crate::host::unix_time_of;
use crate::server::extract::Query;
use crate::server::operation::Operation;
use crate::server::reply::Refusal;

/// How often a line that means nothing is sent when nothing happens, so that both sides notice when the
/// other has gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: &str = "last-event-id";

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/v1/events", "listenToEvents", get(stream))
            .does("Tells what happens, as server-sent events; data is an Event or, for `event: lagged`, a Lagged.")
            .query::<String>("since", "Begins with what happened then or later: RFC 3339 in UTC, or seconds since 1970.")
            .query::<String>("until", "Ends with what happened until then, at once if that is past; written as `since`.")
            .query::<EventType>("type", "Only events of this type (repeatable).")
            .query::<EventAction>("action", "Only events with this action (repeatable).")
            .query::<String>("id", "Only events about the actor of this id, or of one that begins so (repeatable).")
            .query::<String>("network", "Only events about this network, its endpoints and peers (repeatable).")
            .query::<String>("sandbox", "Only events about this sandbox and its endpoints (repeatable).")
            .query::<String>("endpoint", "Only events about this endpoint (repeatable).")
            .query::<String>("peer", "Only events about the peer of this address (repeatable).")
            .header::<EventId>("Last-Event-ID", "Begins after this event, whatever `since` says.")
            .answers_as("text/event-stream", "Events, until one side ends the connection or the time that was asked for has come."),
    ]
}

/// Who listens, and until when.
#[derive(Debug)]
struct Listener {
    subscription: Subscription,
    end: Option<Instant>,
}

/// `GET /v1/events[?since=TIME][&until=TIME][&KEY=VALUE]…`
pub(crate) async fn stream(
    State(controller): State<Arc<Controller>>,
    headers: HeaderMap,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Refusal> {
    let mut filter = EventFilter::default();
    let mut beginning = Beginning::Now;
    let mut until = None;
    for (key, value) in &pairs {
        match key.as_str() {
            "since" => beginning = Beginning::Since(time(key, value)?),
            "until" => until = Some(time(key, value)?),
            _ => {
                let added = filter.add(key, value);
                added.map_err(|error| malformed(error.to_string()))?;
            }
        }
    }
    // Who has seen some events already knows better where to go on.
    if let Some(id) = headers.get(LAST_EVENT_ID) {
        let id = id.to_str().ok().and_then(|id| id.parse::<EventId>().ok());
        beginning = Beginning::After(
            id.ok_or_else(|| malformed("Last-Event-ID is not the id of an event".to_owned()))?,
        );
    }
    let mut listener = Listener {
        subscription: controller.events().subscribe(beginning, filter),
        end: None,
    };
    if let Some(until) = until {
        let left = until.saturating_sub(controller.unix_time());
        listener.subscription = listener.subscription.until(until);
        // What is too far away to be counted does not come.
        listener.end = Instant::now().checked_add(left);
    }
    let events = stream::unfold(listener, tell);
    Ok(Sse::new(events).keep_alive(sse::KeepAlive::new().interval(KEEP_ALIVE)))
}

async fn tell(mut listener: Listener) -> Option<(Result<sse::Event, Infallible>, Listener)> {
    let next = listener.subscription.next();
    let told = match listener.end {
        None => next.await,
        // What has happened already is told even if the time has come.
        Some(end) => timeout_at(end, next).await.ok()?,
    };
    let event = match told? {
        Told::Event(event) => written(event.id, event.kind.as_str(), &*event),
        Told::Lagged(id, lagged) => written(id, "lagged", &lagged),
    };
    Some((Ok(event), listener))
}

fn written(id: EventId, name: &str, data: &impl Serialize) -> sse::Event {
    // Texts and numbers can always be written, and JSON has no line breaks of its own.
    let data = serde_json::to_string(data).unwrap_or_default();
    sse::Event::default()
        .id(id.to_string())
        .event(name)
        .data(data)
}

fn time(key: &str, value: &str) -> Result<Duration, Refusal> {
    unix_time_of(value).ok_or_else(|| {
        malformed(format!(
            "{key} takes seconds since 1970 or a time such as 2026-01-31T12:00:00Z, not {value:?}"
        ))
    })
}

fn malformed(detail: String) -> Refusal {
    Refusal::from(Problem::malformed(400, detail))
}

//! What happens in a daemon, as a stream of events.
//!
//! An event names what happened to whom, in the manner of `docker events`: a type, an action, and an
//! actor with attributes, which are texts and can be filtered by.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its id. A stream that begins after it is had by the header `Last-Event-ID`.
    pub id: EventId,
    /// When it happened (RFC 3339).
    pub time: String,
    /// What kind of thing it happened to.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// What happened.
    pub action: EventAction,
    /// To whom.
    pub actor: EventActor,
}

/// Whom an event happened to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct EventActor {
    /// The id of a network, sandbox or endpoint; the address of a peer; the kind of an uplink.
    pub id: String,
    /// What else is known of it, by name.
    pub attributes: BTreeMap<String, String>,
}

impl EventActor {
    /// Returns an actor without attributes.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            attributes: BTreeMap::new(),
        }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.insert(name.to_owned(), value.to_string());
        self
    }
}

/// Events that a reader has missed, because more have happened than the daemon keeps, or because the
/// daemon was started anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Lagged {
    /// How many; none when that is not known.
    pub missed: Option<u64>,
}

/// Names an event: which run of the daemon, and which of its events. Written as `RUN-NUMBER`, RUN in
/// hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId {
    /// The run of the daemon.
    pub run: u64,
    /// The number of the event, from 1.
    pub number: u64,
}

/// A text that is no id of an event.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{text:?} is not the id of an event")]
pub struct EventIdError {
    text: String,
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let parts = text.split_once('-').and_then(|(run, number)| {
            Some(Self {
                run: u64::from_str_radix(run, 16).ok()?,
                number: number.parse().ok()?,
            })
        });
        // A sign is no digit, and there is one way to write an id.
        parts
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| EventIdError {
                text: text.to_owned(),
            })
    }
}

impl TryFrom<String> for EventId {
    type Error = EventIdError;

    fn try_from(text: String) -> Result<Self, EventIdError> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.run, self.number)
    }
}

/// What kind of thing something happened to.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A network.
    Network,
    /// A sandbox.
    Sandbox,
    /// A sandbox in a network.
    Endpoint,
    /// Another host in an overlay network.
    Peer,
    /// The way to the world.
    Uplink,
    /// What overlays travel over.
    Underlay,
    /// Something that was not as it was meant to be, and is again.
    Repair,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Network,
        Self::Sandbox,
        Self::Endpoint,
        Self::Peer,
        Self::Uplink,
        Self::Underlay,
        Self::Repair,
    ];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Sandbox => "sandbox",
            Self::Endpoint => "endpoint",
            Self::Peer => "peer",
            Self::Uplink => "uplink",
            Self::Underlay => "underlay",
            Self::Repair => "repair",
        }
    }
}

/// What happened.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventAction {
    /// A network was made.
    Created,
    /// A network was removed, or a peer.
    Removed,
    /// A sandbox got a name.
    Known,
    /// A sandbox's namespace has ended, or the sandbox was removed.
    Ended,
    /// A sandbox was connected to a network.
    Connected,
    /// A sandbox was disconnected from a network.
    Disconnected,
    /// The interface of an endpoint has gone by itself; that it is disconnected follows.
    Failed,
    /// After a restart, published ports do not lead to their endpoint: a program of the host has one of them.
    HeldUp,
    /// Published ports that were held up lead to their endpoint.
    Published,
    /// A peer was added, by request or because it was heard.
    Added,
    /// Something came from a peer that was not heard of in the last minute.
    Heard,
    /// Nothing has come from a peer for a minute.
    Lost,
    /// An uplink, or the underlay, is another one now, or the namespace of a sandbox has another path. Of an endpoint, the
    /// addresses of its interface were changed inside of the sandbox, which is seen when the interface is taken up from an
    /// earlier daemon.
    Changed,
    /// Something was repaired.
    Done,
}

impl EventAction {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Created,
        Self::Removed,
        Self::Known,
        Self::Ended,
        Self::Connected,
        Self::Disconnected,
        Self::Failed,
        Self::HeldUp,
        Self::Published,
        Self::Added,
        Self::Heard,
        Self::Lost,
        Self::Changed,
        Self::Done,
    ];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Removed => "removed",
            Self::Known => "known",
            Self::Ended => "ended",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::HeldUp => "held_up",
            Self::Published => "published",
            Self::Added => "added",
            Self::Heard => "heard",
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::Done => "done",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written_and_no_other_text_is() {
        let id = EventId {
            run: 0x18a_bcde,
            number: 42,
        };
        assert_eq!(id.to_string(), "18abcde-42");
        assert_eq!("18abcde-42".parse(), Ok(id));
        for text in [
            "", "-", "1-", "-1", "1-+1", "01-1", "1-01", "1-1-1", "x-1", "A-1",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn words_are_those_of_the_json() {
        for kind in EventType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
        }
        for action in EventAction::ALL {
            assert_eq!(
                serde_json::to_value(action).unwrap(),
                json!(action.as_str())
            );
        }
    }

    #[test]
    fn an_event_has_stable_keys() {
        let event = Event {
            id: EventId { run: 1, number: 2 },
            time: "2026-01-01T00:00:00.000000000Z".to_owned(),
            kind: EventType::Network,
            action: EventAction::Created,
            actor: EventActor::new("f00d").with("network", "blue"),
        };
        let expected: Value = json!({
            "id": "1-2", "time": "2026-01-01T00:00:00.000000000Z", "type": "network", "action": "created",
            "actor": {"id": "f00d", "attributes": {"network": "blue"}},
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Event>(expected).unwrap(), event);
    }
}

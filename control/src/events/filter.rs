//! Which events a reader wants.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::api::{Event, EventAction, EventType};

/// Fewest digits of an id that stand for it, as everywhere.
const PREFIX_MIN_LEN: usize = 4;

/// What an event must have: of each key that is named, one of the values. Without keys every event
/// passes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    wanted: BTreeMap<String, Vec<String>>,
}

/// A key or a value that no event has.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The key is none.
    #[error("events are not filtered by {key:?}, but by {}", EventFilter::KEYS.join(", "))]
    Key {
        /// What was given.
        key: String,
    },
    /// There are no events of that type or action.
    #[error("no event has the {key} {value:?}; there are {}", known.join(", "))]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What there is.
        known: Vec<&'static str>,
    },
}

impl EventFilter {
    /// What can be filtered by: `id` is that of the actor, the others after `action` are attributes.
    pub const KEYS: [&'static str; 7] = [
        "type", "action", "id", "network", "sandbox", "endpoint", "peer",
    ];

    /// Lets events pass too that have `value` under `key`. Networks, sandboxes and endpoints are named by
    /// name, id, or the beginning of an id.
    ///
    /// # Errors
    ///
    /// When no event can have it.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), FilterError> {
        let known = |key, known: Vec<&'static str>| {
            if known.contains(&value) {
                return Ok(());
            }
            Err(FilterError::Value {
                key,
                value: value.to_owned(),
                known,
            })
        };
        match key {
            "type" => known("type", EventType::ALL.map(EventType::as_str).to_vec())?,
            "action" => known("action", EventAction::ALL.map(EventAction::as_str).to_vec())?,
            _ if Self::KEYS.contains(&key) => {}
            _ => {
                return Err(FilterError::Key {
                    key: key.to_owned(),
                });
            }
        }
        let values = self.wanted.entry(key.to_owned()).or_default();
        values.push(value.to_owned());
        Ok(())
    }

    /// Returns keys and values, each pair once for each time that it was added.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.wanted.iter().flat_map(|(key, values)| {
            let values = values.iter();
            values.map(move |value| (key.as_str(), value.as_str()))
        })
    }

    /// Tells whether a reader wants `event`.
    pub(super) fn passes(&self, event: &Event) -> bool {
        let mut wanted = self.wanted.iter();
        wanted.all(|(key, values)| values.iter().any(|value| has(event, key, value)))
    }
}

fn has(event: &Event, key: &str, value: &str) -> bool {
    let actor = &event.actor;
    match key {
        "type" => event.kind.as_str() == value,
        "action" => event.action.as_str() == value,
        "id" => is_meant(&actor.id, value),
        _ => {
            let is_actor = event.kind.as_str() == key && is_meant(&actor.id, value);
            let attribute = |name: &str| actor.attributes.get(name);
            is_actor
                || attribute(key).is_some_and(|name| name == value)
                || attribute(&format!("{key}_id")).is_some_and(|id| is_meant(id, value))
        }
    }
}

fn is_meant(id: &str, reference: &str) -> bool {
    id == reference || (reference.len() >= PREFIX_MIN_LEN && id.starts_with(reference))
}

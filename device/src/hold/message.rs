//! What a daemon and its holder say to each other, each a message of [`crate::fd_message`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an entry is known by: what kind of thing it is, and which of these.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct HeldKey {
    /// What it is, such as `port`.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
}

impl HeldKey {
    /// Returns the key of the entry `name` of a kind.
    pub fn new(kind: &str, name: impl fmt::Display) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_string(),
        }
    }
}

impl fmt::Display for HeldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// What the daemon asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Keep the descriptors of this message, in the place of what has the key. Not answered.
    Put { key: HeldKey, note: String },
    /// Close what has the key. Answered by [`Reply::Done`], also if nothing has it.
    Remove { key: HeldKey },
    /// Give copies of everything: any number of [`Reply::Held`], then [`Reply::Done`].
    TakeAll,
    /// Close everything and end. The end is the answer.
    Quit,
}

/// What the holder answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// An entry, with its descriptors.
    Held { key: HeldKey, note: String },
    /// What was asked for is done.
    Done,
}

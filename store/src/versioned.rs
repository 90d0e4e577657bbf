//! Values as a store gives them.

use std::sync::Arc;

use crate::{Key, LeaseId, Revision};

/// A value with what the store knows about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned {
    /// What was put.
    pub value: Arc<[u8]>,
    /// When the key came to be. A key that was deleted and put again has come to be again.
    pub created: Revision,
    /// When the value was last put, even if it was the same.
    pub modified: Revision,
    /// The lease that the key ends with.
    pub lease: Option<LeaseId>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Versioned,
}

/// What was in a folder at one revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// The revision. A watch that starts after it misses nothing.
    pub revision: Revision,
    /// What there was, by key.
    pub entries: Vec<Entry>,
}

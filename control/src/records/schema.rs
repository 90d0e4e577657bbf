//! The version of the stored form as a whole, and how an older one becomes the present one.
//!
//! The version stands in a record of its own, which is written first and read first. A store without it
//! must be empty. One of a newer version is refused: what this program does not know it would lose. One of an older
//! version is brought up to date when it is opened (`journal/upgrade.rs`), by a [`Step`] for each version between.
//!
//! A step knows nothing of the types of records, which are those of the present: it changes JSON. It gets all
//! records, so that it may divide and join them and change their keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{Record, RecordError};

/// The version that this program reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The version of all records of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schema {
    /// Counts up with every change of the stored form.
    pub(crate) version: u32,
}

impl Schema {
    /// The key that it is stored under.
    pub(crate) const KEY: &str = "schema";
}

/// All records of a store but its version, by their keys.
pub(crate) type Records = BTreeMap<String, Value>;

/// Makes the records of a version those of the next one.
pub(crate) type Step = fn(&mut Records) -> Result<(), RecordError>;

/// The way from older versions to a later one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upgrades {
    /// The version that it leads to.
    pub(crate) to: u32,
    /// The last step leads to that version, the one before it to the version before, and so on.
    pub(crate) steps: &'static [Step],
}

impl Upgrades {
    /// The way to the version of this program.
    pub(crate) const PRESENT: Self = Self {
        to: SCHEMA_VERSION,
        steps: &[],
    };

    /// Returns the steps that are to be gone from a version.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Newer`] and [`SchemaError::Unknown`].
    pub(crate) fn steps_from(self, version: u32) -> Result<&'static [Step], SchemaError> {
        let Some(count) = self.to.checked_sub(version) else {
            return Err(SchemaError::Newer { version });
        };
        let count = usize::try_from(count).ok();
        let known = count.and_then(|count| self.steps.len().checked_sub(count));
        let steps = known.and_then(|first| self.steps.get(first..));
        steps.ok_or(SchemaError::Unknown { version })
    }
}

impl Record for Schema {
    const FOLDER: &'static str = Self::KEY;

    fn key(&self) -> String {
        Self::KEY.to_owned()
    }
}

/// Why the records of a store cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A newer program wrote them.
    #[error(
        "the state has version {version}, and this program reads up to {SCHEMA_VERSION}: \
         start the newer program, or this one with another state directory"
    )]
    Newer {
        /// Their version.
        version: u32,
    },
    /// No program wrote them.
    #[error("the state has version {version}, which no program has written")]
    Unknown {
        /// What is said to be their version.
        version: u32,
    },
    /// There are records, and nothing says of which version.
    #[error(
        "the state has no version, but records, such as {key}: it is not one of tapweave, or damaged; \
         move it away, or start with another state directory"
    )]
    Missing {
        /// The key of one of them.
        key: String,
    },
    /// The version itself cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

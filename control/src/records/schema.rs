//! The version of the stored form as a whole, and how an older one becomes the present one.
//!
//! The version stands in a record of its own, which is written first and read first. A store without it
//! must be empty. One of a newer version is refused: what this program does not know it would lose.

use serde::{Deserialize, Serialize};
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

    /// The one of this program.
    pub(crate) const PRESENT: Self = Self {
        version: SCHEMA_VERSION,
    };

    /// Checks that records of this version can be read as they are.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Newer`] and [`SchemaError::Unknown`].
    pub(crate) const fn check(self) -> Result<(), SchemaError> {
        match self.version {
            SCHEMA_VERSION => Ok(()),
            version if version > SCHEMA_VERSION => Err(SchemaError::Newer { version }),
            version => Err(SchemaError::Unknown { version }),
        }
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

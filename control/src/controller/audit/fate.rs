//! What became of a namespace while no daemon ran.
//!
//! It is asked of the place where the namespace was and of every other one where it may be now, and answered in the
//! same way. What follows from the answer is not decided here.

use crate::controller::Controller;
use crate::datapath::{DatapathError, DatapathErrorKind, NamespaceRef, OpenedNamespace, SandboxNo};

/// What is at the place of a namespace that was stored.
#[derive(Debug)]
pub(super) enum Fate {
    /// The namespace itself.
    There,
    /// Another namespace.
    Replaced,
    /// No namespace, as the packet path says.
    Ended(DatapathError),
    /// It cannot be told now.
    Unknown(DatapathError),
}

impl Fate {
    /// Returns whether the namespace is no more at its place.
    pub(super) const fn is_gone(&self) -> bool {
        match self {
            Self::Replaced | Self::Ended(_) => true,
            Self::There | Self::Unknown(_) => false,
        }
    }
}

impl Controller {
    /// Opens what is at the place of a namespace, and tells whether it is the one with this identity. A namespace
    /// that was found stays opened for the sandbox, whichever it is.
    pub(super) fn fate_of(
        &self,
        number: SandboxNo,
        place: &NamespaceRef,
        identity: OpenedNamespace,
    ) -> Fate {
        match self.datapath.add_sandbox(number, place) {
            Ok(found) if found == identity => Fate::There,
            Ok(_) => Fate::Replaced,
            Err(cause) if cause.kind() == DatapathErrorKind::Invalid => Fate::Ended(cause),
            Err(cause) => Fate::Unknown(cause),
        }
    }
}

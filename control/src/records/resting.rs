//! An address that rests: which sandbox had it last.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::{Id, Name};

/// A released address as it is stored. Which was released first follows from the revisions of the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestingIntent {
    /// The network.
    pub(crate) network: Id,
    /// The address.
    pub(crate) address: IpAddr,
    /// The name of the sandbox that had it.
    pub(crate) sandbox: Name,
}

impl RestingIntent {
    /// Returns the key of an address.
    pub(crate) fn key_of(network: &Id, address: IpAddr) -> String {
        format!("{}{network}/{address}", Self::FOLDER)
    }
}

impl Record for RestingIntent {
    const FOLDER: &'static str = "resting/";

    fn key(&self) -> String {
        Self::key_of(&self.network, self.address)
    }
}

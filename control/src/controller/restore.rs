//! Takes up what an earlier daemon was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapweave_ipam::DefaultPools;
use tapweave_store::{Entry, Store};
use thiserror::Error;
use tracing::{info, warn};

use super::Controller;
use crate::datapath::{Datapath, DatapathError};
use crate::journal::{Changes, Journal, OpenError};
use crate::model::Restored;
use crate::records::{
    self, DnsNameIntent, EndpointIntent, FdbIntent, LeaseIntent, NeighborIntent, NetworkIntent,
    PeerIntent, Record, RecordError, RestingIntent, SandboxIntent, StaticLeaseIntent,
};
use crate::{ControlError, Host};

/// Why what was stored cannot be taken up. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record contradicts the others, or asks for what this program does not do.
    #[error("the record {key} of the state cannot be taken up")]
    Refused {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: Box<ControlError>,
    },
    /// The machine does not tell which boot this is.
    #[error(transparent)]
    Host(#[from] DatapathError),
}

impl Controller {
    /// Returns a controller that knows all that `store` holds, and writes every change there.
    ///
    /// Networks are there when this returns; the rest is by its names and addresses, and is made by
    /// [`Controller::reconcile`]. Sandboxes of an earlier boot of the machine are gone.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or holds something that this program does not understand: what was not
    /// read must not be written over.
    pub fn open(
        datapath: Arc<dyn Datapath>,
        host: Arc<dyn Host>,
        pools: DefaultPools,
        store: Arc<dyn Store>,
    ) -> Result<Self, RestoreError> {
        let boot = host.boot_id()?;
        let (journal, entries) = Journal::open(store)?;
        let controller = Self::with(datapath, host, pools, journal, boot);
        controller.restore(&entries)?;
        let networks: Vec<_> = {
            let model = controller.model();
            model.networks().map(|network| network.id.clone()).collect()
        };
        for network in &networks {
            controller.publish_names(network);
            controller.publish_static_leases(network);
        }
        Ok(controller)
    }

    fn restore(&self, entries: &[Entry]) -> Result<(), RestoreError> {
        let mut leftovers = Changes::default();
        let mut left_count = 0_u64;
        let mut drop_record = |key: &str| {
            left_count += 1;
            leftovers.delete(key)
        };
        // In the order in which one thing needs another.
        for (_, intent) in of_kind::<NetworkIntent>(entries)? {
            let key = intent.key();
            let restored = self.restore_network(intent);
            restored.map_err(|source| refused(&key, source))?;
        }
        let mut ended = BTreeMap::new();
        for (key, intent) in of_kind::<SandboxIntent>(entries)? {
            if intent.boot == self.boot {
                let restored = self.model().restore_sandbox(intent);
                restored.map_err(|source| refused(key, source))?;
            } else {
                warn!(sandbox = %intent.name, "the sandbox has ended with an earlier boot of the machine");
                self.count("sandboxes_ended");
                drop_record(key)?;
                ended.insert(intent.id, intent.name);
            }
        }
        let mut released = Vec::new();
        for (key, intent) in of_kind::<EndpointIntent>(entries)? {
            let mut model = self.model();
            let network = model.network_by_id(intent.network.as_str());
            if let (Some(sandbox), Some(network)) = (ended.get(&intent.sandbox), network) {
                released.extend(network.resting_after(&intent.addresses, sandbox));
            }
            let restored = model.restore_endpoint(intent);
            if restored.map_err(|source| refused(key, source))? == Restored::Leftover {
                drop_record(key)?;
            }
        }
        for (key, intent) in of_kind::<LeaseIntent>(entries)? {
            if self.model().restore_lease(&intent) == Restored::Leftover {
                drop_record(key)?;
            }
        }
        for (key, intent) in of_kind::<StaticLeaseIntent>(entries)? {
            let restored = self.model().restore_static_lease(&intent);
            if restored.map_err(|source| refused(key, source))? == Restored::Leftover {
                drop_record(key)?;
            }
        }
        for (key, intent) in by_age::<RestingIntent>(entries)? {
            if self.model().restore_resting(&intent) == Restored::Leftover {
                drop_record(key)?;
            }
        }
        for (key, intent) in of_kind::<PeerIntent>(entries)? {
            let restored = self.model().restore_peer(intent);
            if restored.map_err(|source| refused(key, source))? == Restored::Leftover {
                drop_record(key)?;
            }
        }
        for (key, intent) in of_kind::<NeighborIntent>(entries)? {
            if self.model().restore_neighbor(&intent) == Restored::Leftover {
                drop_record(key)?;
            }
        }
        for (key, intent) in of_kind::<DnsNameIntent>(entries)? {
            if self.model().restore_name(intent) == Restored::Leftover {
                drop_record(key)?;
            }
        }
        for (key, intent) in of_kind::<FdbIntent>(entries)? {
            if self.model().restore_station(intent) == Restored::Leftover {
                drop_record(key)?;
            }
        }
        // Those that ended with the machine were released after all others.
        for intent in &released {
            if self.model().restore_resting(intent) == Restored::Yes {
                leftovers.put(intent)?;
            }
        }
        if left_count > 0 {
            info!(records = left_count, "records of what has gone are deleted");
            self.journal.note(leftovers);
        }
        Ok(())
    }
}

/// Returns the records of one kind, with their keys.
fn of_kind<R: Record>(entries: &[Entry]) -> Result<Vec<(&str, R)>, RecordError> {
    decoded(entries.iter())
}

/// As [`of_kind`], the record that was written first coming first.
fn by_age<R: Record>(entries: &[Entry]) -> Result<Vec<(&str, R)>, RecordError> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_by_key(|entry| entry.value.modified);
    decoded(entries.into_iter())
}

fn decoded<'e, R: Record>(
    entries: impl Iterator<Item = &'e Entry>,
) -> Result<Vec<(&'e str, R)>, RecordError> {
    let of_kind = entries.filter(|it| it.key.as_str().starts_with(R::FOLDER));
    of_kind
        .map(|entry| {
            let key = entry.key.as_str();
            Ok((key, records::decode(key, &entry.value.value)?))
        })
        .collect()
}

fn refused(key: &str, source: ControlError) -> RestoreError {
    RestoreError::Refused {
        key: key.to_owned(),
        source: Box::new(source),
    }
}

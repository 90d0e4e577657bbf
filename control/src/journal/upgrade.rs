//! Brings the records of an older version up to that of this program when a store is opened.
//!
//! # Theory of operation
//!
//! The steps from version to version ([`Upgrades`]) change all records together, in memory. What they have changed may be
//! more than a transaction takes, and must be in the store as a whole or not at all. So it is written twice:
//!
//! 1. The changes are written beside the records as a *log*, in as many transactions as it takes.
//! 2. The new version is written. This is the moment at which the store is upgraded.
//! 3. Each batch of the log is carried out and taken away, in one transaction.
//!
//! A daemon that ends before 2 leaves the old records as they were, and a log that is thrown away by whoever opens the
//! store next; an older program, which goes on with the records, does not see it. One that ends after 2 leaves the rest of a
//! log, which is carried out before anything else is done. The version of a batch tells the one from the other.
//!
//! There is no way back: an older program refuses what has a newer version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapweave_store::{Entry, Key, Prefix, Store, Transaction};
use tracing::info;

use super::{OpenError, key};
use crate::records::{self, RecordError, Records, Schema, SchemaError, Upgrades};

/// What the keys of the log begin with.
const LOG: &str = "upgrade/";

/// Octets of a batch that are neither keys nor values of its changes.
const OVERHEAD: usize = 1024;
/// Those of one change.
const CHANGE_OVERHEAD: usize = 8;

/// Some of the changes of an upgrade, as many as one transaction takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// The version that they lead to.
    to: u32,
    /// The records, none where one is deleted.
    changes: Vec<(String, Option<Value>)>,
}

/// Returns the records of a store, of the version that `upgrades` lead to. An empty store gets that version.
///
/// # Errors
///
/// When the store cannot be read or written, or holds what this program does not understand; then it is as it was.
pub(super) fn up_to_date(store: &dyn Store, upgrades: Upgrades) -> Result<Vec<Entry>, OpenError> {
    let mut entries = all(store)?;
    let Some(schema) = version_of(&entries)? else {
        if let Some(entry) = entries.first() {
            let key = entry.key.to_string();
            return Err(SchemaError::Missing { key }.into());
        }
        write_version(store, upgrades.to)?;
        return Ok(entries);
    };
    let steps = upgrades.steps_from(schema.version)?;
    if entries.iter().any(is_log) {
        settle(store, &entries, schema.version)?;
        entries = all(store)?;
    }
    if steps.is_empty() {
        return Ok(entries);
    }
    let old = records_of(&entries)?;
    let mut new = old.clone();
    for step in steps {
        step(&mut new).map_err(SchemaError::Record)?;
    }
    let changes = difference(&old, new);
    let change_count = changes.len();
    let batches = batches(changes, upgrades.to)?;
    let mut log = Vec::new();
    for (place, batch) in batches.into_iter().enumerate() {
        let log_key = key(&format!("{LOG}{place:08}")).map_err(SchemaError::Record)?;
        store.put(&log_key, written(log_key.as_str(), &batch)?.into())?;
        log.push((log_key, batch));
    }
    write_version(store, upgrades.to)?;
    for (log_key, batch) in log {
        carry_out(store, log_key, batch)?;
    }
    info!(
        from = schema.version,
        to = upgrades.to,
        records = change_count,
        "the state was brought up to date"
    );
    all(store)
}

fn all(store: &dyn Store) -> Result<Vec<Entry>, OpenError> {
    Ok(store.range(&Prefix::all())?.entries)
}

fn is_log(entry: &Entry) -> bool {
    entry.key.as_str().starts_with(LOG)
}

fn version_of(entries: &[Entry]) -> Result<Option<Schema>, OpenError> {
    let is_schema = |entry: &&Entry| entry.key.as_str() == Schema::KEY;
    let Some(entry) = entries.iter().find(is_schema) else {
        return Ok(None);
    };
    let schema = records::decode(Schema::KEY, &entry.value.value);
    Ok(Some(schema.map_err(SchemaError::Record)?))
}

fn write_version(store: &dyn Store, version: u32) -> Result<(), OpenError> {
    let schema_key = key(Schema::KEY).map_err(SchemaError::Record)?;
    let schema = records::encode(&Schema { version }).map_err(SchemaError::Record)?;
    Ok(store.put(&schema_key, schema.into())?)
}

/// Makes an end of the log that an earlier daemon has left.
fn settle(store: &dyn Store, entries: &[Entry], version: u32) -> Result<(), OpenError> {
    for entry in entries.iter().filter(|entry| is_log(entry)) {
        let batch: Batch = read(entry)?;
        if batch.to == version {
            carry_out(store, entry.key.clone(), batch)?;
        } else {
            store.delete(&entry.key)?;
        }
    }
    Ok(())
}

/// Makes the changes of a batch and takes it out of the log.
fn carry_out(store: &dyn Store, log_key: Key, batch: Batch) -> Result<(), OpenError> {
    let mut transaction = Transaction::new().delete(log_key);
    for (text, value) in batch.changes {
        let changed = key(&text).map_err(SchemaError::Record)?;
        transaction = match value {
            Some(value) => transaction.put(changed, written(&text, &value)?),
            None => transaction.delete(changed),
        };
    }
    // Without a comparison there is no conflict.
    let _done = store.commit(&transaction)?;
    Ok(())
}

fn records_of(entries: &[Entry]) -> Result<Records, OpenError> {
    let records = entries
        .iter()
        .filter(|entry| entry.key.as_str() != Schema::KEY && !is_log(entry));
    records
        .map(|entry| Ok((entry.key.to_string(), read(entry)?)))
        .collect()
}

fn difference(old: &Records, new: Records) -> Vec<(String, Option<Value>)> {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut changes: BTreeMap<_, _> = gone.map(|key| (key.clone(), None)).collect();
    let is_news = |(key, value): &(String, Value)| old.get(key) != Some(value);
    let changed = new.into_iter().filter(is_news);
    changes.extend(changed.map(|(key, value)| (key, Some(value))));
    changes.into_iter().collect()
}

fn batches(changes: Vec<(String, Option<Value>)>, to: u32) -> Result<Vec<Batch>, OpenError> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut room = 0_usize;
    for (key, value) in changes {
        let value_len = match &value {
            Some(value) => written(&key, value)?.len(),
            None => 0,
        };
        let len = key.len() + value_len + CHANGE_OVERHEAD;
        match batches.last_mut() {
            // One operation is that which takes it out of the log.
            Some(last) if len <= room && last.changes.len() < Transaction::MAX_OPERATIONS - 1 => {
                last.changes.push((key, value));
            }
            Some(_) | None => {
                room = Transaction::MAX_LEN - OVERHEAD;
                let changes = vec![(key, value)];
                batches.push(Batch { to, changes });
            }
        }
        room = room.saturating_sub(len);
    }
    Ok(batches)
}

fn read<T: for<'de> Deserialize<'de>>(entry: &Entry) -> Result<T, OpenError> {
    let value = serde_json::from_slice(&entry.value.value);
    value.map_err(|source| unreadable(entry.key.as_str(), source))
}

fn written(key: &str, value: &impl Serialize) -> Result<Vec<u8>, OpenError> {
    serde_json::to_vec(value).map_err(|source| unreadable(key, source))
}

fn unreadable(key: &str, source: serde_json::Error) -> OpenError {
    let key = key.to_owned();
    SchemaError::Record(RecordError::Unreadable { key, source }).into()
}

#[cfg(test)]
mod tests;

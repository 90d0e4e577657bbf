//! A version that never was, from which a step leads to version 1: networks had the name as their key and `title`, and the
//! hosts of an overlay stood in its record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tapweave_ipam::DefaultPools;
use tapweave_store::StoreError;

use super::*;
use crate::Controller;
use crate::memory::{MemoryDatapath, MemoryHost};
use crate::test_store::TestStore;

const FROM_0: Upgrades = Upgrades {
    to: 1,
    steps: &[hosts_get_records],
};

/// Enough for several batches.
const NETWORKS: usize = 150;

const OVERLAY: &str = include_str!("../../records/golden/v1/overlay.json");

const PEER: &str = "192.0.2.7";

fn hosts_get_records(records: &mut Records) -> Result<(), RecordError> {
    let nets = records.extract_if("net/".to_owned().."net0".to_owned(), |_, _| true);
    let nets: Vec<_> = nets.collect();
    for (old_key, mut network) in nets {
        let fields = network.as_object_mut().ok_or_else(|| {
            let source = serde::de::Error::custom("not an object");
            RecordError::Unreadable {
                key: old_key.clone(),
                source,
            }
        })?;
        let name = fields.remove("title").unwrap_or_default();
        fields.insert("name".to_owned(), name);
        let hosts = fields.remove("hosts").unwrap_or_default();
        let id = fields["id"].as_str().unwrap_or_default().to_owned();
        records.insert(format!("networks/{id}"), network);
        for host in hosts.as_array().into_iter().flatten() {
            let mut peer = host.clone();
            peer["network"] = json!(id);
            let address = host["address"].as_str().unwrap_or_default();
            records.insert(format!("peers/{id}/{address}"), peer);
        }
    }
    Ok(())
}

fn id(number: usize) -> String {
    format!("{number:064x}")
}

/// Returns the records of both versions.
fn both() -> (Records, Records) {
    let (mut old, mut new) = (Records::new(), Records::new());
    let unchanged = format!("names/{}/db.far/10.0.0.9", id(0));
    let name = json!({ "network": id(0), "name": "db.far", "address": "10.0.0.9" });
    for records in [&mut old, &mut new] {
        records.insert(unchanged.clone(), name.clone());
    }
    for number in 0..NETWORKS {
        let name = format!("net-{number}");
        let mut network: Value = serde_json::from_str(OVERLAY).unwrap();
        network["id"] = json!(id(number));
        network["vni"] = json!(number + 1);
        network["subnets"] = json!([{
            "subnet": format!("10.{number}.0.0/16"),
            "gateway": format!("10.{number}.0.1"),
        }]);
        let _name = network.as_object_mut().unwrap().remove("name");
        let peer = json!({ "address": PEER, "subnets": [] });
        let mut older = network.clone();
        older["title"] = json!(name);
        older["hosts"] = json!([peer]);
        old.insert(format!("net/{name}"), older);
        let mut newer = network;
        newer["name"] = json!(name);
        new.insert(format!("networks/{}", id(number)), newer);
        let mut peer = peer;
        peer["network"] = json!(id(number));
        new.insert(format!("peers/{}/{PEER}", id(number)), peer);
    }
    (old, new)
}

/// A store that is cut off from its daemon after some commits.
struct Dying {
    store: TestStore,
    commits_left: Arc<AtomicUsize>,
}

impl Dying {
    fn with(records: &Records, version: u32) -> Self {
        let commits_left = Arc::new(AtomicUsize::new(usize::MAX));
        let still = Arc::clone(&commits_left);
        let store = TestStore::new(move |inner, transaction| {
            let Some(left) = still.load(Ordering::SeqCst).checked_sub(1) else {
                let source = Arc::new(std::io::Error::other("killed"));
                return Err(StoreError::Unavailable { source });
            };
            still.store(left, Ordering::SeqCst);
            inner.commit(transaction)
        });
        write_version(&store, version).unwrap();
        for (text, value) in records {
            let value = serde_json::to_vec(value).unwrap();
            store.put(&Key::new(text).unwrap(), value.into()).unwrap();
        }
        Self {
            store,
            commits_left,
        }
    }

    fn live(&self, commits: usize) {
        self.commits_left.store(commits, Ordering::SeqCst);
    }

    fn up_to_date(&self) -> Result<Vec<Entry>, OpenError> {
        up_to_date(&self.store, FROM_0)
    }

    fn version(&self) -> u32 {
        version_of(&all(&self.store).unwrap())
            .unwrap()
            .unwrap()
            .version
    }

    fn records(&self) -> Records {
        records_of(&all(&self.store).unwrap()).unwrap()
    }

    fn has_log(&self) -> bool {
        all(&self.store).unwrap().iter().any(is_log)
    }
}

#[test]
fn an_older_state_is_brought_up_to_date_and_taken_up() {
    let (old, new) = both();
    let store = Dying::with(&old, 0);
    let entries = store.up_to_date().unwrap();
    assert_eq!(records_of(&entries).unwrap(), new);
    assert_eq!((store.version(), store.has_log()), (1, false));
    // What it has become is what this program reads.
    let controller = Controller::open(
        Arc::new(MemoryDatapath::default()),
        Arc::new(MemoryHost::new(Vec::new())),
        DefaultPools::default(),
        Arc::new(store.store),
    );
    let controller = controller.unwrap();
    assert_eq!(controller.networks().len(), NETWORKS);
    assert_eq!(controller.peers(Some("net-7")).unwrap().len(), 1);
}

#[test]
fn an_upgrade_that_is_killed_at_any_moment_leaves_the_old_or_becomes_the_new() {
    let (old, new) = both();
    let mut was_old = 0;
    let mut was_new = 0;
    for commits in 0.. {
        let store = Dying::with(&old, 0);
        store.live(commits);
        if store.up_to_date().is_ok() {
            break;
        }
        store.live(usize::MAX);
        if store.version() == 0 {
            assert_eq!(store.records(), old, "after {commits} commits");
            was_old += 1;
        } else {
            was_new += 1;
        }
        // It may be killed again, where it goes on or where it begins anew.
        store.live(1);
        let _cut = store.up_to_date();
        store.live(usize::MAX);
        store.up_to_date().unwrap();
        assert_eq!(store.records(), new, "after {commits} commits");
        assert_eq!((store.version(), store.has_log()), (1, false));
    }
    let batch_count = (3 * NETWORKS).div_ceil(Transaction::MAX_OPERATIONS - 1);
    assert_eq!((was_old, was_new), (batch_count + 1, batch_count));
}

#[test]
fn what_an_older_program_writes_after_an_upgrade_was_cut_short_is_not_lost() {
    let (old, mut new) = both();
    let store = Dying::with(&old, 0);
    store.live(3);
    store.up_to_date().unwrap_err();
    store.live(usize::MAX);
    assert!(store.has_log());
    // The older program knows no log.
    store.store.delete(&Key::new("net/net-0").unwrap()).unwrap();
    store.up_to_date().unwrap();
    new.remove(&format!("networks/{}", id(0)));
    new.remove(&format!("peers/{}/{PEER}", id(0)));
    assert_eq!(store.records(), new);
}

#[test]
fn what_cannot_be_brought_up_to_date_stays_as_it_was() {
    let (old, new) = both();
    let mut broken = old;
    broken.insert("net/net-9".to_owned(), json!(7));
    for (records, version) in [(&broken, 0), (&new, 2)] {
        let store = Dying::with(records, version);
        let error = store.up_to_date().unwrap_err().to_string();
        let expected = ["record net/net-9 of the state", "has version 2"];
        assert!(expected.iter().any(|it| error.contains(it)), "{error}");
        assert_eq!((&store.records(), store.version()), (records, version));
        assert!(!store.has_log());
    }
}

#[test]
fn a_change_is_never_too_long_for_its_batch() {
    let long = json!("x".repeat(100 * 1024));
    let changes: Vec<_> = (0..9).map(|n| (id(n), Some(long.clone()))).collect();
    let batches = batches(changes, 1).unwrap();
    assert_eq!(batches.len(), 5);
    for batch in batches {
        let written = written("log", &batch).unwrap();
        assert!(written.len() < Transaction::MAX_LEN);
    }
}

//! The store in a directory: what only it does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::conformance::Subject;
use crate::{ManualClock, StoppedClock};

crate::conformance!(suite, super::subject());

fn subject() -> Subject {
    let directory = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    let taken = StateDirectory::take(&directory.path().join("state")).unwrap();
    let store = FileStore::open(taken, Arc::<ManualClock>::clone(&clock)).unwrap();
    Subject {
        store: Arc::new(store),
        pass: Box::new(move |time| clock.advance(time)),
        runs: 8,
        keep: Box::new(directory),
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn open(path: &Path) -> Result<FileStore, OpenError> {
    FileStore::open(StateDirectory::take(path)?, Arc::new(StoppedClock))
}

#[test]
fn everything_is_there_again_with_its_revisions() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a/b/state");
    let store = open(&path).unwrap();
    let lease = store.grant(Duration::from_secs(10)).unwrap();
    for n in 0..100 {
        store.put(&key(&format!("r/{n}")), [n].into()).unwrap();
    }
    store.delete(&key("r/7")).unwrap();
    let leased = Transaction::new().put_leased(key("r/leased"), *b"l", lease.id.clone());
    let _ = store.commit(&leased).unwrap();
    let before = store.range(&Prefix::all()).unwrap();
    drop(store);

    let clock = Arc::new(ManualClock::default());
    let taken = StateDirectory::take(&path).unwrap();
    let store = FileStore::open(taken, Arc::<ManualClock>::clone(&clock)).unwrap();
    assert_eq!(store.range(&Prefix::all()).unwrap(), before);
    assert_ne!(store.grant(Duration::from_secs(1)).unwrap().id, lease.id);
    assert!(matches!(
        store.watch(&Prefix::all(), Revision::from_u64(1)),
        Err(StoreError::Compacted { .. })
    ));
    let mut watch = store.watch(&Prefix::all(), before.revision).unwrap();
    clock.advance(Duration::from_secs(9));
    store.keep_alive(&lease.id).unwrap();
    clock.advance(Duration::from_secs(10));
    assert_eq!(store.get(&key("r/leased")).unwrap(), None);
    assert_eq!(watch.next(Duration::ZERO).unwrap().events.len(), 1);
    let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode(""), mode("lock"), mode("store.redb")],
        [0o700, 0o600, 0o600]
    );
}

#[test]
fn a_directory_is_for_one_at_a_time_and_says_for_whom() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state");
    let store = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    let expected = format!(
        "{} is in use by process {}",
        path.display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    drop(store);
    open(&path).unwrap();
}

#[test]
fn a_directory_that_others_may_reach_into_is_refused() {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let error = open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("(mode 0750); run: chmod 700"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_whole_store_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state");
    let store = open(&path).unwrap();
    for n in 0..200 {
        let many = (0..5).fold(Transaction::new(), |it, m| {
            it.put(key(&format!("r/{n}-{m}")), vec![0x5a; 300])
        });
        let _ = store.commit(&many).unwrap();
    }
    let file = store.path().to_owned();
    drop(store);
    let whole = fs::read(&file).unwrap();
    let is_refused = |octets: &[u8], what: &str| {
        fs::write(&file, octets).unwrap();
        let error = open(&path).err();
        assert!(
            matches!(error, Some(OpenError::Damaged { .. })),
            "{what}: {error:?}"
        );
        assert!(fs::read(&file).unwrap() == octets, "{what}: was changed");
    };
    is_refused(b"", "empty");
    is_refused(b"no store", "another file");
    is_refused(&vec![0; whole.len()], "zeroes");
    is_refused(&whole[..whole.len() / 2], "half");
    let used = whole.windows(300).position(|it| it == [0x5a; 300]).unwrap();
    let mut rotten = whole.clone();
    // Every page with these records: whichever of them are in use.
    for octet in rotten[used..]
        .iter_mut()
        .filter(|it| **it == 0x5a)
        .step_by(100)
    {
        *octet ^= 1;
    }
    is_refused(&rotten, "rotten");
    fs::write(&file, whole).unwrap();
    assert_eq!(
        open(&path)
            .unwrap()
            .range(&Prefix::all())
            .unwrap()
            .entries
            .len(),
        1000
    );
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state");
    let file = open(&path).unwrap().path().to_owned();
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut meta = transaction.open_table(records::META).unwrap();
    meta.insert(records::META_FORMAT, records::FORMAT + 1)
        .unwrap();
    drop(meta);
    transaction.commit().unwrap();
    drop(database);
    let before = fs::read(&file).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.contains("has format 2, and this version knows up to 1"),
        "{error}"
    );
    assert!(fs::read(&file).unwrap() == before);
}

#[test]
fn a_store_that_was_being_made_is_made_again() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state");
    drop(StateDirectory::take(&path).unwrap());
    fs::write(path.join("store.redb.new"), b"half of a new store").unwrap();
    let store = open(&path).unwrap();
    store.put(&key("a"), (*b"1").into()).unwrap();
    assert!(!path.join("store.redb.new").exists());
}

#[test]
fn callers_share_the_wait_for_the_disk() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("state")).unwrap();
    thread::scope(|scope| {
        for thread in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..20_u8 {
                    store
                        .put(&key(&format!("{thread}/{n}")), [n].into())
                        .unwrap();
                }
            });
        }
    });
    let range = store.range(&Prefix::all()).unwrap();
    assert_eq!(
        (range.entries.len(), range.revision),
        (320, Revision::from_u64(320))
    );
}

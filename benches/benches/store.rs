//! The store: what a change costs until it is durable, and what reading costs, in memory and in a file.
//!
//! 10,000 records of 400 octets are there. *put*: one of them is written, by one caller who waits for each;
//! *put-16*: by 16 callers at a time, and the figure is that of one change among all. *swap*: read, then
//! written if unchanged. *create*: five records in one transaction, as for a network. The file is in the
//! directory for temporary files: where that is not on a disk, waiting for the disk costs nothing.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark ends where the store fails, and measures by the clock"
)]

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use tapweave_store::{
    FileStore, Key, MemoryStore, Prefix, StateDirectory, StoppedClock, Store, Swap, Transaction,
};
use tempfile::TempDir;

const RECORDS: usize = 10_000;
const RECORD: [u8; 400] = [0x5a; 400];
const CALLERS: u64 = 16;

fn key(number: usize) -> Key {
    let number = number * 7919 % RECORDS;
    Key::new(&format!("endpoints/{:04x}/{number:08x}", number % 1000)).expect("a proper key")
}

fn fill(store: &dyn Store) {
    let numbers: Vec<_> = (0..RECORDS).collect();
    for numbers in numbers.chunks(50) {
        let put = numbers
            .iter()
            .fold(Transaction::new(), |it, n| it.put(key(*n), RECORD));
        commit(store, &put);
    }
}

fn commit(store: &dyn Store, transaction: &Transaction) {
    let commit = store.commit(transaction).expect("the store works");
    assert!(commit.done().is_some());
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, store: &dyn Store) {
    let mut next = 0;
    let mut number = || {
        next += 1;
        next
    };
    group.bench_function(format!("put/{name}"), |bencher| {
        bencher.iter(|| {
            store
                .put(&key(number()), RECORD.into())
                .expect("the store works");
        });
    });
    group.bench_function(format!("put-16/{name}"), |bencher| {
        bencher.iter_custom(|count| {
            let start = Instant::now();
            thread::scope(|scope| {
                for caller in 0..CALLERS {
                    scope.spawn(move || {
                        for n in (caller..count).step_by(16) {
                            let n = usize::try_from(n).unwrap_or(0);
                            store.put(&key(n), RECORD.into()).expect("the store works");
                        }
                    });
                }
            });
            start.elapsed()
        });
    });
    group.bench_function(format!("swap/{name}"), |bencher| {
        bencher.iter(|| {
            let key = key(number());
            let found = store.get(&key).expect("the store works");
            store.compare_and_swap(Swap {
                key: &key,
                expected: found.map(|it| it.modified),
                value: Some(RECORD.into()),
            })
        });
    });
    group.bench_function(format!("create/{name}"), |bencher| {
        bencher.iter(|| {
            let create = (0..5).fold(Transaction::new(), |it, _| it.put(key(number()), RECORD));
            commit(store, &create);
        });
    });
    group.bench_function(format!("get/{name}"), |bencher| {
        bencher.iter(|| store.get(&key(number())));
    });
    group.bench_function(format!("range-10k/{name}"), |bencher| {
        bencher.iter(|| {
            let range = store.range(&Prefix::all()).expect("the store works");
            assert_eq!(range.entries.len(), RECORDS);
        });
    });
}

fn store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    let memory = MemoryStore::new(Arc::new(StoppedClock));
    fill(&memory);
    bench(&mut group, "memory", &memory);

    let folder = TempDir::new().expect("a folder for temporary files");
    let open = || {
        let directory = StateDirectory::take(&folder.path().join("state"));
        let directory = directory.expect("the folder is ours");
        FileStore::open(directory, Arc::new(StoppedClock)).expect("the file is whole")
    };
    let file = open();
    fill(&file);
    bench(&mut group, "file", &file);
    drop(file);
    group.bench_function("open-10k/file", |bencher| bencher.iter(open));
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);

//! Random transactions beside a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Subject, below, key, see, seen};
use crate::{Commit, Prefix, Revision, Store, StoreError, Transaction};

/// Keys that the transactions are about.
const KEYS: usize = 6;
/// Transactions of one run.
const STEPS: usize = 12;

/// One transaction, in numbers of keys.
#[derive(Clone, PartialEq, Debug)]
struct Step {
    comparisons: Vec<(usize, Demand)>,
    /// New values; none deletes.
    changes: BTreeMap<usize, Option<u8>>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Demand {
    Absent,
    Present,
    /// As it is.
    Unchanged,
    /// As it was before something came between.
    Outdated,
}

/// A value of the model, and when it was created and modified.
type Model = BTreeMap<usize, (u8, Revision, Revision)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let demand = prop_oneof![
        1 => Just(Demand::Absent),
        1 => Just(Demand::Present),
        3 => Just(Demand::Unchanged),
        1 => Just(Demand::Outdated),
    ];
    let step = (
        prop::collection::vec((0..KEYS, demand), 0..2),
        prop::collection::btree_map(0..KEYS, prop::option::weighted(0.7, any::<u8>()), 0..4),
    );
    let step = step.prop_map(|(comparisons, changes)| Step {
        comparisons,
        changes,
    });
    prop::collection::vec(step, 1..=STEPS)
}

/// Random transactions have the outcomes that they have on a map, and a watch from the beginning leads
/// to the same.
///
/// # Errors
///
/// When the store does not do what every store can.
///
/// # Panics
///
/// When the store fails the check.
pub fn random_transactions_do_what_a_map_does(subject: &Subject) -> Result<(), StoreError> {
    let store = &*subject.store;
    let config = Config {
        cases: subject.runs,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        run(store, &steps).map_err(|error| TestCaseError::fail(format!("{error:?}")))
    });
    assert_eq!(outcome, Ok(()));
    Ok(())
}

fn run(store: &dyn Store, steps: &[Step]) -> Result<(), StoreError> {
    for entry in store.range(&Prefix::all())?.entries {
        store.delete(&entry.key)?;
    }
    let beginning = store.range(&below("m"))?;
    let mut watch = store.watch(&below("m"), beginning.revision)?;
    let mut followed = seen(beginning);
    let mut model = Model::new();
    for step in steps {
        let (transaction, conflict) = transaction(&model, step);
        match store.commit(&transaction)? {
            Commit::Conflict { key } => assert_eq!(Some(key), conflict, "{step:?}"),
            Commit::Done(revision) => {
                assert_eq!(conflict, None, "{step:?}");
                change(&mut model, &step.changes, revision);
            }
        }
        let range = store.range(&below("m"))?;
        let found = range.entries.iter().map(|it| {
            let value = &it.value;
            (
                it.key.clone(),
                value.value.to_vec(),
                value.created,
                value.modified,
            )
        });
        let expected = model.iter().map(|(number, &(value, created, modified))| {
            (key_of(*number), vec![value], created, modified)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    let end = store.range(&below("m"))?;
    while let batch = watch.next(std::time::Duration::ZERO)?
        && !batch.events.is_empty()
    {
        see(&mut followed, batch);
    }
    assert_eq!(followed, seen(end));
    Ok(())
}

fn key_of(number: usize) -> crate::Key {
    key(&format!("m/{number}"))
}

/// Returns the transaction of a step, and the key of its first comparison that does not hold.
fn transaction(model: &Model, step: &Step) -> (Transaction, Option<crate::Key>) {
    let mut transaction = Transaction::new();
    let mut conflict = None;
    for &(number, demand) in &step.comparisons {
        let key = key_of(number);
        let found = model.get(&number).map(|(_, _, modified)| *modified);
        let (next, holds) = match (demand, found) {
            (Demand::Absent, _) => (transaction.if_absent(key.clone()), found.is_none()),
            (Demand::Present, _) => (transaction.if_present(key.clone()), found.is_some()),
            (Demand::Unchanged, Some(modified)) => {
                (transaction.if_unchanged(key.clone(), modified), true)
            }
            (Demand::Unchanged | Demand::Outdated, _) => {
                let modified = found.map_or(1, |it| it.as_u64() - 1);
                let outdated = Revision::from_u64(modified);
                (transaction.if_unchanged(key.clone(), outdated), false)
            }
        };
        transaction = next;
        if !holds && conflict.is_none() {
            conflict = Some(key);
        }
    }
    for (&number, change) in &step.changes {
        transaction = match change {
            Some(value) => transaction.put(key_of(number), [*value]),
            None => transaction.delete(key_of(number)),
        };
    }
    (transaction, conflict)
}

fn change(model: &mut Model, changes: &BTreeMap<usize, Option<u8>>, revision: Revision) {
    for (&number, change) in changes {
        match change {
            Some(value) => {
                let created = model.get(&number).map_or(revision, |it| it.1);
                model.insert(number, (*value, created, revision));
            }
            None => {
                model.remove(&number);
            }
        }
    }
}

//! How many flows use a record that is there for them: a mapping, or what is counted of a sandbox.
//!
//! The count is in the record's state, so that it changes in one step with the record's life: a record
//! that is used is [kept](Entry::KEPT), one that nothing uses may be removed only while that is still
//! so, and a share in one that is gone cannot be had.

use crate::table::{Entry, NotUpdated, Record};

/// The count's bits in the state.
const COUNT: u32 = (1 << 24) - 1;

/// The state of a record with one share.
pub(crate) const ONE: u32 = Entry::KEPT | 1;

/// Why there is no share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoShare {
    /// The record is gone.
    Gone,
    /// As many shares as there may be are taken.
    Limit,
}

/// Returns the shares in a state.
pub(crate) const fn count(state: u32) -> u32 {
    state & COUNT
}

/// Takes a share, if fewer than `limit` are taken.
pub(crate) fn take(record: &mut Record<'_>, limit: u32) -> Result<(), NoShare> {
    let limit = limit.min(COUNT);
    let taken = record.update(|state| (count(state) < limit).then_some((state + 1) | Entry::KEPT));
    match taken {
        Ok(_) => Ok(()),
        Err(NotUpdated::Gone) => Err(NoShare::Gone),
        Err(NotUpdated::Refused) => Err(NoShare::Limit),
    }
}

/// Gives a share back; tells whether it was the last one. The record is not kept any longer then.
pub(crate) fn give_back(record: &mut Record<'_>) -> bool {
    let left = record.update(|state| match count(state) {
        0 => None,
        1 => Some((state - 1) & !Entry::KEPT),
        _ => Some(state - 1),
    });
    left.is_ok_and(|state| count(state) == 0)
}

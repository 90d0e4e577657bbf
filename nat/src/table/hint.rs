//! What was found out about a key ahead of the lookup that needs it.

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::Direction;
use super::hash::Key;
use super::index::Link;
use super::record::Record;
use super::tuple::Tuple;

/// Which record may have a key, and under which of its keys: [`PairTable::find_by`] looks there first. It
/// may be wrong or out of date, which costs time only.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Hint(Option<Link>);

impl Hint {
    /// Nothing is known.
    pub const NONE: Self = Self(None);

    #[inline]
    pub(super) const fn new(link: Option<Link>) -> Self {
        Self(link)
    }
}

impl PairTable {
    /// As [`PairTable::find`], but looks first where `hint` says.
    #[inline(always)]
    pub fn find_by(
        &self,
        hint: Hint,
        key: &Tuple,
        now: Timestamp,
    ) -> Option<(Record<'_>, Direction)> {
        match self.find_there(hint, &Key::from(key)) {
            // No other record has the key.
            Some((record, direction)) => {
                (!record.slot.is_expired(record.life, now)).then_some((record, direction))
            }
            None => self.find(key, now),
        }
    }

    /// Returns the record that a hint names, if it has the key.
    #[inline(always)]
    fn find_there(&self, Hint(link): Hint, key: &Key) -> Option<(Record<'_>, Direction)> {
        let link = link?;
        let (record, direction) = (self.live(link.slot())?, link.direction());
        let found = record.slot.has_key(direction, key) && record.is_present();
        found.then_some((record, direction))
    }
}

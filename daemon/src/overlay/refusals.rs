//! How many datagrams were refused, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use tapweave_encap::Refusal;

/// A counter for each reason, shared by all workers: what is refused is rare, or an attack.
#[derive(Debug)]
pub(crate) struct RefusalCounters([AtomicU64; Refusal::COUNT]);

impl Default for RefusalCounters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Refusal::COUNT])
    }
}

impl RefusalCounters {
    /// Counts one datagram.
    #[cold]
    pub(crate) fn count(&self, reason: Refusal) {
        if let Some(counter) = self.0.get(reason.index()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the reasons that occurred, with their counts.
    pub(crate) fn nonzero(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let counts = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        let reasons = Refusal::ALL.into_iter().zip(counts);
        reasons.filter(|(_, count)| *count > 0)
    }
}

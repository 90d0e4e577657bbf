//! How much is kept, and how much each client may have done for it.

use core::time::Duration;
use std::collections::HashMap;

use tapweave_net::Timestamp;

/// Whom a query is counted for: the port that it came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientNo(pub u64);

/// The bounds of a resolver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Answers of others that are kept, about 500 bytes each.
    pub cache: usize,
    /// Questions to others under way.
    pub asked: usize,
    /// Queries of one client that wait for others.
    pub waiting_of_client: usize,
    /// Queries of one client a second that others may be asked for; as many at once after a quiet second.
    pub rate_of_client: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cache: 2048,
            asked: 512,
            waiting_of_client: 128,
            rate_of_client: 1000,
        }
    }
}

/// What clients use of their shares.
#[derive(Debug, Default)]
pub(crate) struct Shares(HashMap<ClientNo, Share>);

#[derive(Debug)]
struct Share {
    waiting: usize,
    /// When all that was admitted would have been at the rate of the limit (as ITU-T I.371 annex A).
    admitted_until: Timestamp,
}

/// Clients that are remembered although nothing of theirs waits.
const IDLE_MAX: usize = 4096;

impl Shares {
    /// Admits a query that waits for others; tells whether it is within the client's share.
    pub(crate) fn admit(&mut self, client: ClientNo, limits: &Limits, now: Timestamp) -> bool {
        if self.0.len() >= IDLE_MAX && !self.0.contains_key(&client) {
            self.0
                .retain(|_, share| share.waiting > 0 || share.admitted_until > now);
        }
        let share = self.0.entry(client).or_insert(Share {
            waiting: 0,
            admitted_until: now,
        });
        let interval = Duration::from_secs(1) / limits.rate_of_client.max(1);
        let until = share.admitted_until.max(now) + interval;
        if share.waiting >= limits.waiting_of_client || until.since(now) > Duration::from_secs(1) {
            return false;
        }
        share.admitted_until = until;
        share.waiting += 1;
        true
    }

    /// Takes note that a query of the client waits no longer.
    pub(crate) fn release(&mut self, client: ClientNo) {
        if let Some(share) = self.0.get_mut(&client) {
            share.waiting = share.waiting.saturating_sub(1);
        }
    }
}

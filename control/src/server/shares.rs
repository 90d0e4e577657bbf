//! What one client may have of the daemon, so that it cannot keep the others from it.
//!
//! A client is a process, known by the credentials of its socket. However many connections it opens, it
//! has at most [`CONNECTIONS_EACH`] of them, and at most [`REQUESTS_EACH`] of its requests run at a time: the
//! others wait for their turn, behind those of the same client only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most connections of all clients. Each costs a descriptor, and some 20 KiB while it is busy.
pub(super) const CONNECTIONS: usize = 1024;
/// Most connections of one client.
pub(super) const CONNECTIONS_EACH: usize = 256;
/// Most requests of one client that run at a time: half of the threads that there are for requests.
const REQUESTS_EACH: usize = 8;

/// Who has how much.
#[derive(Debug, Default)]
pub(super) struct Shares {
    clients: Mutex<BTreeMap<i32, Client>>,
}

#[derive(Debug)]
struct Client {
    connection_count: usize,
    requests: Arc<Semaphore>,
}

/// The place of one connection, given back when dropped: by the connection, or by the last of its requests that runs
/// on without it.
#[derive(Debug)]
pub(super) struct Place {
    shares: Arc<Shares>,
    pid: i32,
    requests: Arc<Semaphore>,
}

impl Shares {
    /// Takes a place for a connection of process `pid`; `None` when it, or everybody together, has too many.
    pub(super) fn take(self: &Arc<Self>, pid: i32) -> Option<Place> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = clients.values().map(|client| client.connection_count).sum();
        if all >= CONNECTIONS {
            return None;
        }
        let client = clients.entry(pid).or_insert_with(|| Client {
            connection_count: 0,
            requests: Arc::new(Semaphore::new(REQUESTS_EACH)),
        });
        if client.connection_count >= CONNECTIONS_EACH {
            return None;
        }
        client.connection_count += 1;
        Some(Place {
            shares: Arc::clone(self),
            pid,
            requests: Arc::clone(&client.requests),
        })
    }
}

#[cfg(test)]
impl Shares {
    /// Tells whether somebody has a place.
    pub(super) fn are_taken(&self) -> bool {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        !clients.is_empty()
    }
}

impl Place {
    /// Waits until the client may run one more request.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.requests).acquire_owned().await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let clients = self.shares.clients.lock();
        let mut clients = clients.unwrap_or_else(PoisonError::into_inner);
        let Some(client) = clients.get_mut(&self.pid) else {
            return;
        };
        client.connection_count -= 1;
        if client.connection_count == 0 {
            clients.remove(&self.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_leaves_places_to_the_others_and_gives_its_own_back() {
        let shares = Arc::new(Shares::default());
        let mut own: Vec<_> = (0..CONNECTIONS_EACH)
            .filter_map(|_| shares.take(7))
            .collect();
        assert_eq!(own.len(), CONNECTIONS_EACH);
        assert!(shares.take(7).is_none());
        let other = shares.take(8);
        assert!(other.is_some());
        own.pop();
        assert!(shares.take(7).is_some());
        own.clear();
        drop(other);
        assert!(!shares.are_taken());
    }

    #[test]
    fn all_clients_together_are_limited_too() {
        let shares = Arc::new(Shares::default());
        let mut all = Vec::new();
        while let Some(place) = shares.take(i32::try_from(all.len() / 100).unwrap()) {
            all.push(place);
        }
        assert_eq!(all.len(), CONNECTIONS);
    }
}

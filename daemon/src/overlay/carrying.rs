//! What is known of peers, as it outlives the daemon.

use tapweave_carry::peers::LearnedPeer;
use tapweave_net::PortNo;

use super::Overlay;
use super::probes::PathProbe;

impl Overlay {
    /// Returns what is known of the peers.
    pub(crate) fn learned_peers(&self) -> Vec<LearnedPeer> {
        let state = self.state();
        let peers = state.peers.iter();
        let learned = peers.map(|(&port, entry)| LearnedPeer {
            port,
            heard: entry.peer.last_heard(),
            path: entry.probe.as_ref().and_then(PathProbe::found),
        });
        learned
            .filter(|peer| peer.heard.is_some() || peer.path.is_some())
            .collect()
    }

    /// Goes on with what an earlier daemon knew of the peer that is behind `port` now.
    pub(crate) fn restore_peer(&self, port: PortNo, known: &LearnedPeer) {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(entry) = state.peers.get_mut(&port) else {
            return;
        };
        if let Some(heard) = known.heard {
            entry.peer.handle_heard(heard.min(now));
        }
        if let (Some(probe), Some(path)) = (&mut entry.probe, known.path) {
            probe.resume(path, now);
        }
    }
}

//! Who serves what at the gateways: the control side.

use std::sync::Arc;

use tapweave_net::{NetworkNo, PortNo};

use super::Switch;
use crate::{Service, ServiceQueue};

impl Switch {
    /// Gives what is for a service of a network's gateway to `queue`, or to nobody: then the sender is told that nobody
    /// listens, and who asks everybody for a server asks everybody. Unknown networks are ignored.
    pub fn serve(
        &self,
        network: NetworkNo,
        service: Service,
        queue: Option<Arc<dyn ServiceQueue>>,
    ) {
        let mut control = self.control();
        if let Some(known) = control.networks.get_mut(&network) {
            known.services.set(service, queue);
            self.publish(&control);
        }
    }

    /// Tells whether what is for a service of a network's gateway goes to a queue.
    pub fn is_served(&self, network: NetworkNo, service: Service) -> bool {
        let control = self.control();
        let known = control.networks.get(&network);
        known.is_some_and(|known| known.services.has(service))
    }

    /// Counts a frame by which a service answers that was given to the device of its port. From any thread.
    pub fn count_service_frame_sent(&self, port: PortNo, byte_count: usize) {
        if let Some(counters) = self.snapshot().counters(port) {
            let shard = counters.service_shard();
            shard.tx_frames.add_shared(1);
            shard.tx_bytes.add_shared(byte_count as u64);
        }
    }
}

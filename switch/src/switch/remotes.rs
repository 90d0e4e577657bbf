//! Hosts across tunnels, to which gateways route: the control side.

use std::sync::Arc;

use tapweave_net::{NetworkNo, PortNo};

use super::control::ControlRemote;
use super::{AddPortError, Switch, UnknownPort};
use crate::RemoteConfig;
use crate::counters::PortCounters;

impl Switch {
    /// Makes the way to a host that has subnets of a network, and returns its number. The network has a
    /// gateway; of what comes from the host, only packets are given to the switch whose source is in
    /// these subnets.
    ///
    /// # Errors
    ///
    /// [`AddPortError::UnknownNetwork`], [`AddPortError::Exhausted`].
    pub fn add_remote(
        &self,
        network: NetworkNo,
        config: RemoteConfig,
    ) -> Result<PortNo, AddPortError> {
        let mut control = self.control();
        if !control.networks.contains_key(&network) {
            return Err(AddPortError::UnknownNetwork(network));
        }
        let no = control.pool.take().ok_or(AddPortError::Exhausted)?;
        let remote = ControlRemote {
            network,
            config: Arc::new(config),
            counters: Arc::new(PortCounters::new(self.worker_count)),
        };
        control.remotes.insert(no, remote);
        self.publish(&control);
        Ok(no)
    }

    /// Removes the way to a host. As for a port, [`Switch::purge_port`] is due once all workers have
    /// refreshed.
    ///
    /// # Errors
    ///
    /// [`UnknownPort`] when there is none, or it was removed before.
    pub fn remove_remote(&self, remote: PortNo) -> Result<(), UnknownPort> {
        let mut control = self.control();
        control.remotes.remove(&remote).ok_or(UnknownPort(remote))?;
        control.retired_routed.insert(remote);
        self.publish(&control);
        Ok(())
    }
}

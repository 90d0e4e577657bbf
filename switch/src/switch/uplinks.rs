//! The ways out: the control side.

use std::sync::Arc;

use tapweave_net::PortNo;

use super::{AddPortError, Switch, UnknownPort};
use crate::UplinkConfig;
use crate::counters::PortCounters;
use crate::gateway::Uplink;

impl Switch {
    /// Makes an uplink and returns its number. Its frames go to the gateways and nowhere else.
    ///
    /// # Errors
    ///
    /// [`AddPortError::Exhausted`].
    pub fn add_uplink(&self, config: UplinkConfig) -> Result<PortNo, AddPortError> {
        let mut control = self.control();
        let no = control.pool.take().ok_or(AddPortError::Exhausted)?;
        let seed = self.seed.wrapping_sub(u64::from(no.to_u32()));
        let counters = Arc::new(PortCounters::new(self.worker_count));
        let uplink = Uplink::new(no, config, counters, seed);
        control.uplinks.insert(no, uplink);
        self.publish(&control);
        Ok(no)
    }

    /// Gives an uplink another configuration: its addresses have changed, or what is there on the LAN.
    ///
    /// # Errors
    ///
    /// [`UnknownPort`] when there is none.
    pub fn change_uplink(&self, uplink: PortNo, config: UplinkConfig) -> Result<(), UnknownPort> {
        let mut control = self.control();
        let known = control
            .uplinks
            .get_mut(&uplink)
            .ok_or(UnknownPort(uplink))?;
        known.config = Arc::new(config);
        self.publish(&control);
        Ok(())
    }

    /// Removes an uplink. As for a port, [`Switch::purge_port`] is due once all workers have refreshed.
    ///
    /// # Errors
    ///
    /// [`UnknownPort`] when there is none, or it was removed before.
    pub fn remove_uplink(&self, uplink: PortNo) -> Result<(), UnknownPort> {
        let mut control = self.control();
        control.uplinks.remove(&uplink).ok_or(UnknownPort(uplink))?;
        control.retired_routed.insert(uplink);
        self.publish(&control);
        Ok(())
    }
}

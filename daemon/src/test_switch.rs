//! The switch that tests of forwarding, of workers and of services begin with.

use std::sync::Arc;
use std::time::Duration;

use tapweave_net::NetworkNo;
use tapweave_switch::{NetworkConfig, StormLimits, Suppression, Switch, SwitchConfig};

/// A network without a gateway, which limits nothing.
pub(crate) const NETWORK: NetworkConfig = NetworkConfig {
    mtu: 1500,
    ageing: Duration::from_mins(5),
    fdb_limit: 64,
    snooping: None,
    storm: StormLimits::NONE,
    gateway: None,
    suppression: Suppression::Off,
};

/// Returns a switch for some workers and a [`NETWORK`] of it.
pub(crate) fn with_network(worker_count: usize) -> (Arc<Switch>, NetworkNo) {
    let switch = Arc::new(Switch::new(SwitchConfig {
        worker_count,
        seed: 1,
    }));
    let network = switch.add_network(NETWORK);
    (switch, network)
}

//! What the packet path knows of the outside: the uplink, and the ports that programs of the host
//! listen on.

use std::net::IpAddr;
use std::sync::{MutexGuard, PoisonError};

use ipnet::IpNet;
use tapweave_control::datapath::{
    DatapathError, DatapathErrorKind as Kind, ReservedPort, Transport, UplinkState,
};
use tapweave_device::{ListeningPort, PortTable, holders, listening_ports};
use tapweave_net::PortNo;
use tapweave_switch::UplinkConfig;
use tracing::warn;

use super::{Port, SwitchDatapath};
use crate::port_queues::PortQueues;

/// The present state.
#[derive(Debug)]
pub(super) struct Outside {
    uplink: UplinkState,
    listening: Vec<ListeningPort>,
}

impl Outside {
    pub(super) fn new() -> Self {
        Self {
            uplink: UplinkState::none("the daemon has not opened it yet"),
            listening: Vec::new(),
        }
    }

    /// Returns what listens on an address of the uplink itself. What listens on every address of the
    /// host is not in the way: the uplink's addresses are not the host's.
    fn in_use(&self) -> Vec<ListeningPort> {
        let is_ours = |ip: IpAddr| {
            let mut addresses = self.uplink.addresses.iter();
            addresses.any(|own| own.addr() == ip.to_canonical())
        };
        let listening = self.listening.iter();
        listening
            .filter(|port| is_ours(port.address.ip()))
            .copied()
            .collect()
    }
}

impl SwitchDatapath {
    /// Makes a port that leads out, which every worker may write to and one reads.
    ///
    /// # Errors
    ///
    /// When there is no port number or a worker cannot add a queue; then nothing is left of it.
    pub(crate) fn open_uplink(
        &self,
        config: UplinkConfig,
        queues: PortQueues,
    ) -> Result<PortNo, DatapathError> {
        let port = self
            .switch
            .add_uplink(config)
            .map_err(|error| DatapathError::new(Kind::Exhausted, error))?;
        match self.workers.add_port(port, &queues) {
            Ok(readers) => {
                let known = Port {
                    owner: None,
                    addresses: Vec::new(),
                    readers,
                    queues,
                    sight: None,
                };
                self.ports().insert(port, known);
                Ok(port)
            }
            Err(error) => {
                // It is known: it was added above. No worker knows it.
                let _ignored = self.switch.remove_uplink(port);
                self.switch.purge_port(port);
                Err(DatapathError::new(Kind::Internal, error))
            }
        }
    }

    /// Gives the uplink of this port other addresses or next hops.
    pub(crate) fn change_uplink(&self, port: PortNo, config: UplinkConfig) {
        // Unknown when it is being closed.
        let _closed = self.switch.change_uplink(port, config);
    }

    /// Closes the uplink of this port. Its device goes when the caller's queues are gone too.
    pub(crate) fn close_uplink(&self, port: PortNo) {
        let Some(Port {
            readers, queues, ..
        }) = self.ports().remove(&port)
        else {
            return;
        };
        // It is known: whoever takes it out of `ports` first is the only one to come here.
        let _ignored = self.switch.remove_uplink(port);
        self.workers.remove_port(port, &readers);
        self.switch.purge_port(port);
        drop(queues);
    }

    /// Takes note of how the networks reach the world now.
    pub(crate) fn set_uplink_state(&self, state: UplinkState) {
        self.outside().uplink = state;
        self.refresh_translation();
    }

    /// Takes note of the ports that programs of the host listen on.
    pub(crate) fn set_listening_ports(&self, ports: Vec<ListeningPort>) {
        self.outside().listening = ports;
        self.refresh_translation();
    }

    pub(super) fn uplink_state(&self) -> UplinkState {
        self.outside().uplink.clone()
    }

    /// Returns what listens on an address of the uplink itself at this moment, and who.
    pub(super) fn ports_in_use(&self) -> Vec<ReservedPort> {
        match listening_ports() {
            Ok(ports) => self.set_listening_ports(ports),
            Err(error) => {
                warn!(%error, "the ports of the host's programs are those of a while ago");
            }
        }
        let found = self.outside().in_use();
        if found.is_empty() {
            return Vec::new();
        }
        let inodes: Vec<u64> = found.iter().map(|port| port.inode).collect();
        let holders = holders(&inodes);
        let reserved = |port: &ListeningPort| ReservedPort {
            transport: transport(port.table),
            address: port.address,
            holder: holders.get(&port.inode).cloned(),
        };
        found.iter().map(reserved).collect()
    }

    /// Lets the gateways translate to the addresses that there are now.
    fn refresh_translation(&self) {
        let (external, reserved) = {
            let outside = self.outside();
            let external = outside.uplink.addresses.iter().map(IpNet::addr).collect();
            let in_use = outside.in_use();
            let reserved = in_use.iter();
            let reserved = reserved.map(|port| (transport(port.table), port.address.port()));
            (external, reserved.collect())
        };
        self.translation.set_outside(external, reserved);
    }

    fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn transport(table: PortTable) -> Transport {
    match table {
        PortTable::Tcp => Transport::Tcp,
        PortTable::Udp => Transport::Udp,
    }
}

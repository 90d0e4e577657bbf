//! Networks that are part of the LAN of an interface of the host.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use tapweave_control::datapath::{DatapathError, DatapathErrorKind as Kind};
use tapweave_device::PortQueue;
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::PortConfig;

use super::{Port, SwitchDatapath};
use crate::port_queues::PortQueues;
use crate::uplink::{Keeper, ParentLine};

/// Who keeps the port of each interface that is a parent, by its name.
#[derive(Debug, Default)]
pub(super) struct Parents(BTreeMap<String, Parent>);

#[derive(Debug)]
struct Parent {
    network: NetworkNo,
    /// None while it is being opened.
    keeper: Option<Keeper>,
}

impl SwitchDatapath {
    pub(super) fn keep_parent(
        &self,
        network: NetworkNo,
        ifname: &str,
    ) -> Result<(), DatapathError> {
        match self.parents().0.entry(ifname.to_owned()) {
            Entry::Vacant(entry) => {
                let keeper = None;
                entry.insert(Parent { network, keeper });
            }
            Entry::Occupied(_) => {
                return Err(DatapathError::new(
                    Kind::Conflict,
                    format!("interface {ifname} is the parent of another network"),
                ));
            }
        }
        let opened = ParentLine::new(network, ifname).and_then(|line| {
            Keeper::start(line, Weak::clone(&self.this))
                .map_err(|error| DatapathError::new(Kind::Internal, error))
        });
        let mut parents = self.parents();
        match opened {
            Ok(keeper) => {
                if let Some(parent) = parents.0.get_mut(ifname) {
                    parent.keeper = Some(keeper);
                }
                Ok(())
            }
            Err(error) => {
                parents.0.remove(ifname);
                Err(error)
            }
        }
    }

    /// Returns the interface whose LAN a network is part of.
    pub(super) fn parent_of(&self, network: NetworkNo) -> Option<String> {
        let parents = self.parents();
        let mut parents = parents.0.iter();
        let found = parents.find(|(_, parent)| parent.network == network);
        found.map(|(ifname, _)| ifname.clone())
    }

    /// Takes a network off its LAN, or every network.
    pub(super) fn drop_parents(&self, network: Option<NetworkNo>) {
        let mut ended = Vec::new();
        self.parents().0.retain(|_, parent| {
            let stays = network.is_some_and(|network| parent.network != network);
            if !stays {
                ended.extend(parent.keeper.take());
            }
            stays
        });
        // Joins threads that may want what was locked above.
        drop(ended);
    }

    /// Makes a packet socket a port of a network.
    ///
    /// # Errors
    ///
    /// When there is no port number or a worker cannot add the queue; then nothing is left of it.
    pub(crate) fn open_parent(
        &self,
        network: NetworkNo,
        queue: Arc<dyn PortQueue>,
    ) -> Result<PortNo, DatapathError> {
        let port = self
            .switch
            .add_port(network, PortConfig::OPEN)
            .map_err(|error| DatapathError::new(Kind::Exhausted, error))?;
        let queues = PortQueues::one(queue);
        match self.workers.add_port(port, &queues) {
            Ok(readers) => {
                let addresses = Vec::new();
                let port_of_lan = Port {
                    owner: None,
                    addresses,
                    readers,
                    queues,
                    sight: None,
                };
                self.ports().insert(port, port_of_lan);
                Ok(port)
            }
            Err(error) => {
                // It is known: it was added above. No worker knows it.
                let _ignored = self.switch.remove_port(port);
                self.switch.purge_port(port);
                Err(DatapathError::new(Kind::Internal, error))
            }
        }
    }

    /// Returns the networks that are part of a LAN, whether its interface is there or not.
    pub(super) fn networks_with_parents(&self) -> Vec<NetworkNo> {
        let parents = self.parents();
        let kept = parents.0.values().filter(|it| it.keeper.is_some());
        kept.map(|parent| parent.network).collect()
    }

    fn parents(&self) -> MutexGuard<'_, Parents> {
        self.parents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

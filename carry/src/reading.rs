//! Reading a file as a whole: what it says, and what of it is refused.

use std::collections::BTreeMap;

use tapweave_net::{NetworkNo, Timestamp};
use tapweave_switch::{
    LearnedGroupPort, LearnedMember, LearnedNeighbor, LearnedQuerier, LearnedStation,
};
use thiserror::Error;

use crate::container::{End, HeaderError, Section, Sections};
use crate::flows::Flows;
use crate::names::Networks;
use crate::peers::LearnedPeer;
use crate::ports::Ports;
use crate::{BootId, Table, flows, groups, names, neighbors, peers, ports, stations, stopped};

/// What an earlier daemon left.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// The networks that it had.
    pub networks: Networks,
    /// The flows that it translated.
    pub flows: Flows,
    /// The ports that it had.
    pub ports: Ports,
    /// The stations that its FDBs had learned.
    pub stations: Vec<LearnedStation>,
    /// The neighbours that its gateways had found.
    pub neighbors: Vec<(NetworkNo, LearnedNeighbor)>,
    /// Who listened to which group.
    pub members: Vec<LearnedMember>,
    /// Which ports got all groups.
    pub group_ports: Vec<LearnedGroupPort>,
    /// Who asked who listens; nothing where not all is known of members.
    pub queriers: Vec<(NetworkNo, LearnedQuerier)>,
    /// What it knew of the hosts of overlays.
    pub peers: Vec<LearnedPeer>,
    /// When it stopped to forward, if it did so for another daemon.
    pub stopped: Option<Timestamp>,
    /// The tables of which there is nothing, although something was there, by what the log calls them.
    pub refused: BTreeMap<&'static str, Refusal>,
}

/// Why nothing is taken of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another version of tapweave wrote it.
    #[error("they are of version {found}, and this tapweave reads version {known}")]
    Version {
        /// The version that it has.
        found: u16,
        /// The version that would be read.
        known: u16,
    },
    /// What was read is not what was written.
    #[error("they are damaged")]
    Damaged,
    /// What it names is not known.
    #[error("the names that they use are missing")]
    Unnamed,
}

/// Reads a file that was written since the machine was started as `boot` says. What cannot be read of a table costs all
/// of that table and nothing of the others, but that without names nothing can be read. Tables that are not known are
/// left out: nothing here would use them.
///
/// # Errors
///
/// When nothing can be read at all.
pub fn read(file: &[u8], boot: BootId) -> Result<Carried, HeaderError> {
    read_so_far(file, boot).map(|(carried, _)| carried)
}

/// As [`read`], of a journal that may still be written; returns also how many bytes were read. What is added behind
/// them is for [`flows::changes`].
///
/// # Errors
///
/// As [`read`].
pub fn read_so_far(file: &[u8], boot: BootId) -> Result<(Carried, usize), HeaderError> {
    let mut sections = Sections::new(file, boot)?;
    let mut carried = Carried::default();
    for section in sections.by_ref() {
        carried.take(section);
    }
    if sections.end() == End::Damaged {
        // Whose records follow is not known.
        for table in Table::ALL {
            carried.refuse(table, Refusal::Damaged);
        }
    }
    carried.settle();
    Ok((carried, sections.read_len()))
}

impl Carried {
    fn take(&mut self, section: Section<'_>) {
        let (number, records) = match section {
            Section::Records {
                table,
                version,
                bytes,
            } => (table, Some((version, bytes))),
            Section::Damaged { table } => (table, None),
        };
        let Some(table) = Table::from_number(number) else {
            return;
        };
        let Some((found, bytes)) = records else {
            return self.refuse(table, Refusal::Damaged);
        };
        let known = table.version();
        if found != known {
            return self.refuse(table, Refusal::Version { found, known });
        }
        let read = match table {
            Table::Networks => names::read(bytes, &mut self.networks),
            Table::Flows => flows::read(bytes, |place, flow| {
                self.flows.insert(place, flow);
            }),
            Table::FlowsGone => flows::read_gone(bytes, |place| {
                self.flows.remove(&place);
            }),
            Table::Ports => ports::read(bytes, &mut self.ports),
            Table::Stations => stations::read(bytes, &mut self.stations),
            Table::Neighbors => neighbors::read(bytes, &mut self.neighbors),
            Table::Members => groups::read_members(bytes, &mut self.members),
            Table::GroupPorts => groups::read_ports(bytes, &mut self.group_ports),
            Table::Queriers => groups::read_queriers(bytes, &mut self.queriers),
            Table::Peers => peers::read(bytes, &mut self.peers),
            Table::Stopped => stopped::read(bytes, &mut self.stopped),
        };
        if read.is_none() {
            self.refuse(table, Refusal::Damaged);
        }
    }

    /// The first reason is the one that is told.
    fn refuse(&mut self, table: Table, reason: Refusal) {
        self.refused.entry(table.as_str()).or_insert(reason);
    }

    /// Forgets what was read of tables that are refused, before or after.
    fn settle(&mut self) {
        // Who names others comes before them.
        for table in Table::ALL {
            let is_refused = |table: Table| self.refused.contains_key(table.as_str());
            if table.names().is_some_and(is_refused) {
                self.refuse(table, Refusal::Unnamed);
            }
        }
        for table in Table::ALL {
            if self.refused.contains_key(table.as_str()) {
                self.clear(table);
            }
        }
    }

    fn clear(&mut self, table: Table) {
        match table {
            Table::Networks => self.networks.clear(),
            Table::Flows | Table::FlowsGone => self.flows.clear(),
            Table::Ports => self.ports.clear(),
            Table::Stations => self.stations.clear(),
            Table::Neighbors => self.neighbors.clear(),
            Table::Members => self.members.clear(),
            Table::GroupPorts => self.group_ports.clear(),
            Table::Queriers => self.queriers.clear(),
            Table::Peers => self.peers.clear(),
            Table::Stopped => self.stopped = None,
        }
    }
}

#[cfg(test)]
mod tests;

//! Which tables there are, and in which version.

use core::fmt;

/// A table, or a part of one, that a section holds records of.
///
/// The version of a table changes when its records change in length, order or meaning. A daemon reads the present
/// version and no other: it refuses the table then, and starts without it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    /// The numbers of networks: [`names::Networks`](crate::names::Networks). Without it no other can be read.
    Networks,
    /// Flows that are translated, with the places that they stand in: [`flows::Flows`](crate::flows::Flows).
    Flows,
    /// Places whose flow is gone.
    FlowsGone,
    /// The numbers of ports: [`ports::Ports`](crate::ports::Ports). Without it nothing can be read that names ports.
    Ports,
    /// Stations that FDBs have learned.
    Stations,
    /// Neighbours that gateways have found.
    Neighbors,
    /// Who listens to which group.
    Members,
    /// Ports that get all groups.
    GroupPorts,
    /// Who asks who listens.
    Queriers,
    /// What is known of the hosts of overlays.
    Peers,
    /// When the daemon stopped to forward for another one.
    Stopped,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Networks,
        Self::Flows,
        Self::FlowsGone,
        Self::Ports,
        Self::Stations,
        Self::Neighbors,
        Self::Members,
        Self::GroupPorts,
        Self::Queriers,
        Self::Peers,
        Self::Stopped,
    ];

    /// Returns the number that sections have for it. A number is never used for another table.
    pub const fn number(self) -> u16 {
        match self {
            Self::Networks => 1,
            Self::Flows => 2,
            Self::FlowsGone => 3,
            Self::Ports => 4,
            Self::Stations => 5,
            Self::Neighbors => 6,
            Self::Members => 7,
            Self::GroupPorts => 8,
            Self::Queriers => 9,
            Self::Peers => 10,
            Self::Stopped => 11,
        }
    }

    /// Returns the table with a number, if there is one.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.number() == number)
    }

    /// Returns the version that is written and read.
    pub const fn version(self) -> u16 {
        match self {
            Self::Networks
            | Self::Flows
            | Self::FlowsGone
            | Self::Ports
            | Self::Stations
            | Self::Neighbors
            | Self::Members
            | Self::GroupPorts
            | Self::Queriers
            | Self::Peers
            | Self::Stopped => 1,
        }
    }

    /// Returns what the log calls it. What is refused of one table is refused of all that are called so.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Networks => "names of networks",
            Self::Flows | Self::FlowsGone => "translated flows",
            Self::Ports => "names of ports",
            Self::Stations => "learned stations",
            Self::Neighbors => "neighbours of gateways",
            // Together: what is limited by those who ask would be limited wrongly without members.
            Self::Members | Self::GroupPorts | Self::Queriers => "members of groups",
            Self::Peers => "paths to peers",
            Self::Stopped => "times",
        }
    }

    /// Returns the table without whose names this one says nothing.
    pub(crate) const fn names(self) -> Option<Self> {
        match self {
            Self::Networks | Self::Stopped => None,
            Self::Flows | Self::FlowsGone | Self::Ports | Self::Neighbors => Some(Self::Networks),
            Self::Stations | Self::Members | Self::GroupPorts | Self::Queriers | Self::Peers => {
                Some(Self::Ports)
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! How a decision came about, for people.

use core::fmt;

use tapweave_net::{MacAddr, NetworkNo, PortNo, Vid, VlanTag};

use crate::fdb::Assessment;
use crate::{
    DropReason, EgressPort, GatewayStep, Isolation, PortVlans, Reach, StormClass, Verdict,
};

/// What would happen to a frame, stage by stage.
///
/// `Display` prints a line a stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The stages that the frame would pass, the last one deciding.
    pub stages: Vec<Stage>,
    /// What would become of it.
    pub verdict: Verdict,
    /// What the FDB would learn from it.
    pub learning: Learning,
    /// The ports that it would be sent to, and in which form.
    pub egress: Vec<EgressPort>,
}

/// One step of a decision with what it found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// Where the frame came in.
    Ingress {
        /// The port.
        port: PortNo,
        /// Its network; none when the port does not exist.
        network: Option<NetworkNo>,
    },
    /// Whether it has a head and fits the network.
    Size {
        /// Bytes of the frame.
        frame_len: usize,
        /// Bytes of the largest packet in it; none when its headers are not all there.
        packet_len: Option<usize>,
        /// Largest packet of the network.
        mtu: u16,
    },
    /// Which VLAN it is in.
    Vlan {
        /// How the ingress port takes part in VLANs.
        port: PortVlans,
        /// The frame's 802.1Q tag.
        tag: Option<VlanTag>,
        /// The VLAN, if any, or why the port does not take the frame.
        vid: Result<Option<Vid>, DropReason>,
    },
    /// Whether the endpoint may send it.
    Guard {
        /// What the guard says; `None` when the port has none.
        outcome: Option<Result<(), DropReason>>,
    },
    /// Who sent it.
    Source {
        /// The source address.
        mac: MacAddr,
        /// What the FDB makes of it.
        learning: Learning,
    },
    /// Who listens, for a frame to an IP group.
    Group {
        /// Who is to get it, and why.
        reach: Reach,
        /// The ports that it is limited to, none for no limit.
        ports: Option<Vec<PortNo>>,
    },
    /// For whom it is.
    Destination {
        /// The destination address.
        mac: MacAddr,
        /// Where that is.
        destination: Destination,
    },
    /// What the gateway does with it.
    Gateway {
        /// One step of that.
        step: GatewayStep,
    },
    /// Whether it is one too many of those that are flooded.
    Storm {
        /// In which class it is.
        class: StormClass,
        /// Whether it is within the limit.
        outcome: Result<(), DropReason>,
    },
}

/// What an FDB makes of the source of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learning {
    /// Nothing: the frame was dropped before.
    NotReached,
    /// Nothing: the address is not one that a station may have.
    NoStation,
    /// Nothing: the network does not learn.
    Off,
    /// Nothing: the station is known on this port and was seen just now.
    Known,
    /// The station was seen again.
    Refresh,
    /// The station gets an entry, if the FDB has a place for it.
    Add,
    /// The station's entry is moved to this port.
    Move {
        /// The port on which it was.
        from: PortNo,
    },
    /// Nothing: the port may not have the station, and the frame is dropped.
    Refused(DropReason),
    /// Nothing: a static entry says that the station is on another port.
    Held {
        /// That port.
        at: PortNo,
    },
}

/// Where the destination of a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// Nowhere: a bridge does not forward frames to this address.
    Reserved,
    /// At the sender: source and destination are the same.
    Sender,
    /// At the gateway, or for it to answer.
    Gateway,
    /// Everywhere: a group or broadcast address.
    Group,
    /// Everywhere: it asks for a neighbour that is not known.
    Question,
    /// Nowhere: it asks for a neighbour that is known.
    Answered {
        /// The MAC address of the neighbour.
        mac: MacAddr,
    },
    /// Nobody knows.
    Unknown,
    /// On a port.
    Port {
        /// The port.
        port: PortNo,
        /// Whether it is kept from other isolated ports.
        isolation: Isolation,
    },
}

impl Stage {
    /// Returns the short name of the stage, in small letters.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ingress { .. } => "ingress",
            Self::Size { .. } => "size",
            Self::Vlan { .. } => "vlan",
            Self::Guard { .. } => "guard",
            Self::Source { .. } => "source",
            Self::Destination { .. } => "destination",
            Self::Group { .. } => "group",
            Self::Gateway { .. } => "gateway",
            Self::Storm { .. } => "storm",
        }
    }
}

impl From<Assessment<'_>> for Learning {
    fn from(assessment: Assessment<'_>) -> Self {
        match assessment {
            Assessment::Off => Self::Off,
            Assessment::Known => Self::Known,
            Assessment::Refresh(_) => Self::Refresh,
            Assessment::Revive(_) | Assessment::New => Self::Add,
            Assessment::Move(entry) => Self::Move { from: entry.port() },
            Assessment::Held(entry) => Self::Held { at: entry.port() },
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in &self.stages {
            writeln!(f, "{:<12} {stage}", stage.name())?;
        }
        write!(f, "{:<12} {}", "verdict", self.verdict)?;
        if matches!(self.verdict, Verdict::Flood(_) | Verdict::Multicast(..)) {
            f.write_str(" to")?;
            if self.egress.is_empty() {
                f.write_str(" nobody")?;
            }
            for (count, port) in self.egress.iter().enumerate() {
                f.write_str(if count == 0 { " " } else { ", " })?;
                write!(f, "{port}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingress {
                port,
                network: Some(NetworkNo(network)),
            } => write!(f, "port {port} of network {network}"),
            Self::Ingress {
                port,
                network: None,
            } => write!(f, "port {port} does not exist"),
            Self::Size {
                frame_len,
                packet_len: Some(packet_len),
                mtu,
            } => write!(
                f,
                "frame of {frame_len} bytes, packet of {packet_len} bytes, MTU {mtu}"
            ),
            Self::Size {
                frame_len,
                packet_len: None,
                ..
            } => write!(f, "frame of {frame_len} bytes, headers incomplete"),
            Self::Vlan { port, tag, vid } => {
                match tag {
                    None => f.write_str("untagged")?,
                    Some(tag) if tag.is_priority_only() => write!(f, "priority tag ({tag})")?,
                    Some(tag) => write!(f, "tagged ({tag})")?,
                }
                write!(f, ", {port}: ")?;
                match vid {
                    Ok(None) => f.write_str("no VLAN"),
                    Ok(Some(vid)) => write!(f, "VLAN {vid}"),
                    Err(_the_verdict_says_why) => f.write_str("not taken"),
                }
            }
            Self::Guard { outcome: None } => f.write_str("none on this port"),
            Self::Guard {
                outcome: Some(Ok(())),
            } => f.write_str("the endpoint may send this"),
            Self::Guard {
                outcome: Some(Err(reason)),
            } => write!(f, "the endpoint may not send this: {reason}"),
            Self::Source { mac, learning } => write!(f, "{mac}: {learning}"),
            Self::Destination { mac, destination } => write!(f, "{mac}: {destination}"),
            Self::Group { reach, ports } => {
                write!(f, "{reach}")?;
                match ports.as_deref() {
                    None => f.write_str(", everywhere"),
                    Some([]) => f.write_str(", no ports"),
                    Some(ports) => ports.iter().enumerate().try_for_each(|(count, port)| {
                        let comma = if count == 0 { ": " } else { ", " };
                        write!(f, "{comma}port {port}")
                    }),
                }
            }
            Self::Gateway { step } => write!(f, "{step}"),
            Self::Storm { class, outcome } => {
                let side = if outcome.is_ok() { "below" } else { "above" };
                write!(f, "{class}, {side} the limit of the port")
            }
        }
    }
}

impl fmt::Display for Learning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached => f.write_str("not looked at"),
            Self::NoStation => f.write_str("not the address of a station"),
            Self::Off => f.write_str("the network does not learn"),
            Self::Known => f.write_str("known here"),
            Self::Refresh => f.write_str("known here, would be refreshed"),
            Self::Add => f.write_str("new, would be learned"),
            Self::Move { from } => write!(f, "would move here from port {from}"),
            Self::Refused(reason) => write!(f, "not learned: {reason}"),
            Self::Held { at } => write!(f, "not learned, a static entry says port {at}"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved => f.write_str("reserved, bridges do not forward it"),
            Self::Sender => f.write_str("the sender itself"),
            Self::Gateway => f.write_str("the gateway"),
            Self::Group => f.write_str("a group"),
            Self::Question => f.write_str("a group, asked for a neighbour that is not known"),
            Self::Answered { mac } => write!(f, "a group, asked for a neighbour that is at {mac}"),
            Self::Unknown => f.write_str("unknown"),
            Self::Port { port, isolation } => {
                write!(f, "on port {port}")?;
                match isolation {
                    Isolation::Open => Ok(()),
                    Isolation::Isolated => f.write_str(", which is isolated"),
                    Isolation::Tunnel => f.write_str(", which leads to another host"),
                }
            }
        }
    }
}

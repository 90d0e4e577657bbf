//! Flows and mappings as users see them.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tapweave_net::{IpProtocol, NetworkNo};

use crate::TcpState;
use crate::table::Endpoint;

/// Which flows are meant; every field that is set must fit. [`FlowFilter::default`] means all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowFilter {
    /// Flows that one end has in this network.
    pub network: Option<NetworkNo>,
    /// Flows of this protocol.
    pub protocol: Option<IpProtocol>,
    /// Flows that have this address in either tuple.
    pub address: Option<IpAddr>,
}

impl FlowFilter {
    /// Tells whether `flow` is meant.
    pub fn fits(&self, flow: &FlowEntry) -> bool {
        let ends = [
            flow.original.src,
            flow.original.dst,
            flow.reply.src,
            flow.reply.dst,
        ];
        self.network
            .is_none_or(|network| [flow.opened_in, flow.answered_in].contains(&Some(network)))
            && self
                .protocol
                .is_none_or(|protocol| flow.protocol == protocol)
            && self
                .address
                .is_none_or(|address| ends.iter().any(|end| end.ip() == address))
    }
}

/// Where a packet comes from and goes to. The port of an ICMP query is its identifier, on the side of
/// the one who asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Endpoints {
    /// Where it comes from.
    pub src: SocketAddr,
    /// Where it goes to.
    pub dst: SocketAddr,
}

impl Endpoints {
    pub(crate) fn between(src: Endpoint, dst: Endpoint) -> Self {
        let [src, dst] = [src, dst].map(|end| SocketAddr::new(end.ip(), end.port()));
        Self { src, dst }
    }
}

/// A flow or a mapping at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowEntry {
    /// What it is.
    pub kind: FlowKind,
    /// What it carries.
    pub protocol: IpProtocol,
    /// The network of the one who opened it, `None` for the outside.
    pub opened_in: Option<NetworkNo>,
    /// The network of the other end, `None` for the outside.
    pub answered_in: Option<NetworkNo>,
    /// Packets of the one who opened it, as they were before translation.
    pub original: Endpoints,
    /// Answers, as they are before translation.
    pub reply: Endpoints,
    /// What is known of its state.
    pub state: FlowState,
    /// After which time without packets it ends. Zero for a mapping, which lives as long as its flows.
    pub expires_in: Duration,
    /// Packets in the original direction. A super-frame counts once.
    pub original_packets: u64,
    /// Bytes of those packets, from the IP header on.
    pub original_bytes: u64,
    /// Packets in the reply direction. A super-frame counts once.
    pub reply_packets: u64,
    /// Bytes of those packets, from the IP header on.
    pub reply_bytes: u64,
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FlowKind {
    /// An external port that belongs to a sandbox's port, whoever the other end is. Remote ends are
    /// unspecified addresses with port 0.
    Mapping,
    /// A flow that a sandbox opened to the outside.
    Masqueraded,
    /// A flow to a published port, opened from the outside.
    Published,
    /// A TCP connection to a mapping, opened from the outside.
    Admitted,
    /// A flow from a sandbox to a sandbox by an external address.
    Hairpin,
}

/// The state of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FlowState {
    /// Packets were seen in the original direction only.
    Unreplied,
    /// Packets were seen in both directions, or it is a mapping.
    Replied,
    /// A TCP connection.
    Tcp(TcpState),
}

impl FlowKind {
    /// Returns the word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mapping => "mapping",
            Self::Masqueraded => "masqueraded",
            Self::Published => "published",
            Self::Admitted => "admitted",
            Self::Hairpin => "hairpin",
        }
    }
}

impl FlowState {
    /// Returns the word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreplied => "unreplied",
            Self::Replied => "replied",
            Self::Tcp(state) => state.as_str(),
        }
    }
}

impl fmt::Display for FlowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for FlowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.src, self.dst)
    }
}

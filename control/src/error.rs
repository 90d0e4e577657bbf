//! Why a request is refused.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use tapweave_dhcp::ClientIdError;
use tapweave_ipam::{LeaseError, OverlapError, PoolsExhausted, SubnetError};
use tapweave_net::{MacAddr, Vid};
use tapweave_store::StoreError;
use tapweave_switch::PortVlans;
use thiserror::Error;

use crate::datapath::{DatapathError, DatapathErrorKind};
use crate::records::RecordError;
use crate::{Name, NameError, OptionError, PublishError};

/// A request that was refused; nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// A text is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A name that means something else.
    #[error("a network cannot be called {name}: the word is reserved")]
    ReservedName {
        /// The name.
        name: Name,
    },
    /// Nothing has that name or id.
    #[error("there is no {what} {reference:?}{}", hint(nearest.as_deref()))]
    NoSuch {
        /// What was looked for.
        what: Thing,
        /// By which words.
        reference: String,
        /// The name that is nearest to these, if one is near.
        nearest: Option<String>,
    },
    /// Several things have an id that begins so.
    #[error("{reference} is the beginning of the ids of several {what}s; give more of it")]
    Ambiguous {
        /// What was looked for.
        what: Thing,
        /// By which words.
        reference: String,
    },
    /// The name is taken.
    #[error("there is a network called {name} already")]
    NetworkExists {
        /// The name.
        name: Name,
    },
    /// A driver, option or number.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A subnet cannot be had.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// Two subnets of one request overlap.
    #[error(transparent)]
    SubnetOverlap(#[from] OverlapError),
    /// A subnet overlaps that of another network.
    #[error("subnet {subnet} overlaps {other} of network {network}")]
    NetworkOverlap {
        /// The subnet.
        subnet: IpNet,
        /// The other subnet.
        other: IpNet,
        /// The network that has it.
        network: Name,
    },
    /// No subnet is left to choose.
    #[error(transparent)]
    Pools(#[from] PoolsExhausted),
    /// A subnet of which only the size was given, where the addresses have to be known.
    #[error(
        "{given} asks for any subnet of that size: on a LAN, in an overlay, and with --ip-range, --gateway or --aux-address the subnet itself has to be given"
    )]
    SubnetMustBeKnown {
        /// What was given.
        given: IpNet,
    },
    /// Addresses for a network that is to have none.
    #[error("a pure L2 network has no subnets and no IPv6 addresses")]
    L2WithAddresses,
    /// A network that has endpoints is not removed.
    #[error("network {network} is in use by {}", ports.join(", "))]
    NetworkInUse {
        /// The network.
        network: Name,
        /// Its ports.
        ports: Vec<String>,
    },
    /// Another request is removing the network.
    #[error("network {network} is being removed")]
    BeingRemoved {
        /// The network.
        network: Name,
    },
    /// No namespace was given for a sandbox that is new.
    #[error(
        "sandbox {sandbox:?} is not known{}; give its namespace by --netns PATH or --pid PID",
        hint(nearest.as_deref())
    )]
    SandboxUnknown {
        /// The sandbox.
        sandbox: String,
        /// The name that is nearest to this, if one is near.
        nearest: Option<String>,
    },
    /// Something that is being done in the sandbox does not come to its end.
    #[error("sandbox {sandbox} is busy: what is being done in it takes long; try again")]
    SandboxBusy {
        /// The sandbox.
        sandbox: Name,
    },
    /// The name belongs to another namespace.
    #[error("sandbox {sandbox} is known already and has another namespace")]
    SandboxElsewhere {
        /// The sandbox.
        sandbox: Name,
    },
    /// The namespace belongs to another name.
    #[error("the namespace is known already, as sandbox {sandbox}")]
    NamespaceKnown {
        /// The sandbox that has it.
        sandbox: Name,
    },
    /// A sandbox is in a network once.
    #[error("sandbox {sandbox} is connected to network {network} already")]
    AlreadyConnected {
        /// The sandbox.
        sandbox: Name,
        /// The network.
        network: Name,
    },
    /// There is nothing to disconnect.
    #[error("sandbox {sandbox} is not connected to network {network}")]
    NotConnected {
        /// The sandbox.
        sandbox: String,
        /// The network.
        network: Name,
    },
    /// An address cannot be had.
    #[error("network {network} has no such address to give")]
    Address {
        /// The network.
        network: Name,
        /// Why.
        source: LeaseError,
    },
    /// Something that is no endpoint has the address that was asked for.
    #[error("{address} is in use in network {network} by {mac}, which is no endpoint")]
    AddressAnswered {
        /// The address.
        address: IpAddr,
        /// Who has it.
        mac: MacAddr,
        /// The network.
        network: Name,
    },
    /// Something that is no endpoint has every address that was tried.
    #[error(
        "network {network} has no address to give: {count} were tried and are in use by stations that are no endpoints, the last, {address}, by {mac}; keep addresses for sandboxes by --ip-range"
    )]
    AddressesAnswered {
        /// How many were tried.
        count: usize,
        /// The last of them.
        address: IpAddr,
        /// Who has that.
        mac: MacAddr,
        /// The network.
        network: Name,
    },
    /// The MAC is that of another endpoint of the network.
    #[error("{mac} is in use by {port}")]
    MacTaken {
        /// The address.
        mac: MacAddr,
        /// Who has it.
        port: String,
    },
    /// No station can have that MAC.
    #[error("{mac} cannot be the address of an interface: it is zero or a group address")]
    MacUnusable {
        /// The address.
        mac: MacAddr,
    },
    /// The sandbox has such an interface.
    #[error("interface {ifname} of sandbox {sandbox} is in use by {port}")]
    IfNameTaken {
        /// The interface.
        ifname: String,
        /// The sandbox.
        sandbox: Name,
        /// The port that it belongs to.
        port: String,
    },
    /// A TAP cannot have as many queues.
    #[error("{queues} queues are outside of 1..=16")]
    Queues {
        /// What was given.
        queues: u16,
    },
    /// Addresses are allowed to a sandbox that may use any.
    #[error(
        "without the guard every address is allowed: leave out --allow-address or --guard=false"
    )]
    AllowedWithoutGuard,
    /// A prefix with bits that belong to no prefix.
    #[error("allowed address {given} has host bits: give {} or one host", given.trunc())]
    AllowedHostBits {
        /// What was given.
        given: IpNet,
    },
    /// A limit that lets nobody send.
    #[error("a MAC limit of 0 lets nobody send; for known stations only there is --locked")]
    MacLimitZero,
    /// A limit that lets no connection through.
    #[error("a connection limit of 0 lets nothing out; a network without a way out is --internal")]
    ConnectionLimitZero,
    /// Ports cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A locked port learns nothing.
    #[error("a locked port learns no stations, so it takes neither --sticky nor --mac-limit")]
    LockedLearnsNothing,
    /// A text is not a port.
    #[error("{text:?} is not a port: it should be NETWORK/SANDBOX or NETWORK/SANDBOX:IFNAME")]
    PortSyntax {
        /// The text.
        text: String,
    },
    /// The port is in another network.
    #[error("port {port} is not in network {network}")]
    PortElsewhere {
        /// The port.
        port: String,
        /// The network.
        network: Name,
    },
    /// A VLAN is to be untagged and tagged at one port.
    #[error("VLAN {vid} cannot be both the untagged one (--vlan) and in the trunk (--trunk)")]
    VlanTwice {
        /// The VLAN.
        vid: Vid,
    },
    /// The port has no part in the VLAN.
    #[error("port {port} does not carry {} ({vlans})", carried(*.vlan))]
    PortNotInVlan {
        /// The port.
        port: String,
        /// The VLAN; none for frames that are in no VLAN.
        vlan: Option<Vid>,
        /// What it carries.
        vlans: PortVlans,
    },
    /// The table has no such entry.
    #[error("network {network} has no FDB entry for {mac}{}", absence(*.vlan, .others))]
    NoFdbEntry {
        /// The network.
        network: Name,
        /// The station.
        mac: MacAddr,
        /// The VLAN; none for frames that are in no VLAN.
        vlan: Option<Vid>,
        /// Where it has entries.
        others: Vec<Option<Vid>>,
    },
    /// Questions for neighbours travel in the network.
    #[error(
        "network {network} answers for no neighbours: that is for overlay networks with tapweave.suppression=true"
    )]
    NoSuppression {
        /// The network.
        network: Name,
    },
    /// A sandbox of this host has the address.
    #[error("{address} is the address of {port}")]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// The port of the sandbox.
        port: String,
    },
    /// Nothing was stated of the neighbour.
    #[error("nothing was stated of {address} in network {network}")]
    NoNeighbor {
        /// The network.
        network: Name,
        /// The address.
        address: IpAddr,
    },
    /// Names are not answered in the network.
    #[error(
        "network {network} has no resolver: it has no gateway here, or was made with -o tapweave.dns=false"
    )]
    NoResolver {
        /// The network.
        network: Name,
    },
    /// The network's gateway is no DHCP server.
    #[error(
        "network {network} has no DHCP server: it has no gateway here, or was made with -o tapweave.dhcp=false"
    )]
    NoDhcp {
        /// The network.
        network: Name,
    },
    /// An address is fixed for the client.
    #[error("{client} has the static lease of {address} in network {network}")]
    ClientLeased {
        /// The client.
        client: String,
        /// The address.
        address: Ipv4Addr,
        /// The network.
        network: Name,
    },
    /// The address is fixed for nobody.
    #[error("{address} is no static lease of network {network}; see `tapweave lease ls`")]
    NoStaticLease {
        /// The network.
        network: Name,
        /// The address.
        address: Ipv4Addr,
    },
    /// As many addresses were fixed as there may be.
    #[error("network {network} has {limit} static leases, which is the most")]
    TooManyLeases {
        /// The network.
        network: Name,
        /// How many there may be.
        limit: usize,
    },
    /// A text names no client of DHCP.
    #[error("{text:?} is no client of DHCP: it should be a MAC address, or `id` and octets")]
    ClientSyntax {
        /// The text.
        text: String,
    },
    /// No client can have that identifier.
    #[error(transparent)]
    ClientId(#[from] ClientIdError),
    /// Nothing was stated of the name.
    #[error("nothing like that was stated of {name} in network {network}; see `tapweave dns ls`")]
    NoDnsName {
        /// The network.
        network: String,
        /// The name.
        name: Name,
    },
    /// As many names were stated as there may be.
    #[error("{limit} addresses are stated for names of network {network}, which is the most")]
    TooManyNames {
        /// The network.
        network: String,
        /// How many there may be.
        limit: usize,
    },
    /// No resolver can be asked that.
    #[error(transparent)]
    Unaskable {
        /// What is wrong with it.
        source: tapweave_dns::AskError,
    },
    /// Only an overlay has peers.
    #[error("network {network} is no overlay: it has no peers")]
    NoOverlay {
        /// The network.
        network: Name,
    },
    /// Hosts route to each other, and it is not said what is behind this one.
    #[error(
        "hosts of network {network} route to each other: say by --subnet what is behind the peer"
    )]
    PeerNeedsSubnet {
        /// The network.
        network: Name,
    },
    /// A subnet is written as an address in it.
    #[error("{subnet} is not a subnet; should be {}", subnet.trunc())]
    PeerHostBits {
        /// What was given.
        subnet: IpNet,
    },
    /// All hosts are on one link.
    #[error("hosts of network {network} are on one link: no subnets are behind a peer")]
    PeerWithSubnet {
        /// The network.
        network: Name,
    },
    /// The host takes part already.
    #[error("{address} is a peer of network {network} already")]
    PeerExists {
        /// The network.
        network: Name,
        /// The host.
        address: IpAddr,
    },
    /// The host does not take part.
    #[error("{address} is no peer of network {network}; add it with `tapweave peer add`")]
    NoPeer {
        /// The network.
        network: Name,
        /// The host.
        address: IpAddr,
    },
    /// The group of a network is chosen when it is made.
    #[error("{address} is the multicast group of network {network} and goes with it")]
    PeerIsGroup {
        /// The network.
        network: Name,
        /// The group.
        address: IpAddr,
    },
    /// A station is in one place.
    #[error("an FDB entry needs either a port or a VTEP")]
    PortOrVtep,
    /// It could not be stored, and so was not done.
    #[error("the change could not be stored and was not made")]
    Store(#[from] StoreError),
    /// It cannot be stored, and so was not done.
    #[error("the change cannot be stored and was not made")]
    Record(#[from] RecordError),
    /// The packet path, or the machine, refused.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
}

/// What a reference names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Thing {
    /// A network.
    Network,
    /// A sandbox.
    Sandbox,
    /// An endpoint.
    Endpoint,
    /// A port.
    Port,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network",
            Self::Sandbox => "sandbox",
            Self::Endpoint => "endpoint",
            Self::Port => "port",
        })
    }
}

/// What kind of refusal it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request can never be carried out as it is.
    Invalid,
    /// It names something that does not exist.
    NotFound,
    /// Something that exists is in the way.
    Conflict,
    /// The kernel refused.
    Denied,
    /// A limit was reached.
    Exhausted,
    /// The daemon failed.
    Internal,
}

/// Returns the end of a sentence that names what may have been meant.
fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |it| format!("; did you mean {it:?}?"))
}

impl ControlError {
    /// Says that there is no `what` by the words `reference`.
    pub(crate) fn no_such(what: Thing, reference: impl Into<String>) -> Self {
        Self::NoSuch {
            what,
            reference: reference.into(),
            nearest: None,
        }
    }

    /// Adds to "no such thing" which of the `known` names may have been meant.
    pub(crate) fn or_meant<'k>(mut self, known: impl IntoIterator<Item = &'k str>) -> Self {
        if let Self::NoSuch {
            reference, nearest, ..
        } = &mut self
        {
            *nearest = crate::nearest(reference, known).map(str::to_owned);
        }
        self
    }

    /// Returns the kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Name(_)
            | Self::Record(_)
            | Self::ReservedName { .. }
            | Self::Option(_)
            | Self::Subnet(_)
            | Self::SubnetOverlap(_)
            | Self::L2WithAddresses
            | Self::SubnetMustBeKnown { .. }
            | Self::MacUnusable { .. }
            | Self::Queues { .. }
            | Self::AllowedWithoutGuard
            | Self::AllowedHostBits { .. }
            | Self::MacLimitZero
            | Self::ConnectionLimitZero
            | Self::LockedLearnsNothing
            | Self::PortSyntax { .. }
            | Self::PortElsewhere { .. }
            | Self::VlanTwice { .. }
            | Self::PortNotInVlan { .. }
            | Self::NoOverlay { .. }
            | Self::NoSuppression { .. }
            | Self::NoResolver { .. }
            | Self::NoDhcp { .. }
            | Self::ClientSyntax { .. }
            | Self::ClientId(_)
            | Self::Unaskable { .. }
            | Self::PeerNeedsSubnet { .. }
            | Self::PeerHostBits { .. }
            | Self::PeerWithSubnet { .. }
            | Self::PortOrVtep => ErrorKind::Invalid,
            Self::NoSuch { .. }
            | Self::SandboxUnknown { .. }
            | Self::NotConnected { .. }
            | Self::NoFdbEntry { .. }
            | Self::NoPeer { .. }
            | Self::NoNeighbor { .. }
            | Self::NoStaticLease { .. }
            | Self::NoDnsName { .. } => ErrorKind::NotFound,
            Self::Ambiguous { .. }
            | Self::NetworkExists { .. }
            | Self::NetworkOverlap { .. }
            | Self::NetworkInUse { .. }
            | Self::BeingRemoved { .. }
            | Self::PeerIsGroup { .. }
            | Self::SandboxBusy { .. }
            | Self::SandboxElsewhere { .. }
            | Self::NamespaceKnown { .. }
            | Self::AlreadyConnected { .. }
            | Self::MacTaken { .. }
            | Self::IfNameTaken { .. }
            | Self::AddressInUse { .. }
            | Self::ClientLeased { .. }
            | Self::AddressAnswered { .. }
            | Self::PeerExists { .. } => ErrorKind::Conflict,
            Self::Pools(_)
            | Self::AddressesAnswered { .. }
            | Self::TooManyLeases { .. }
            | Self::TooManyNames { .. } => ErrorKind::Exhausted,
            Self::Address { source, .. } => match source {
                LeaseError::Taken { .. } => ErrorKind::Conflict,
                LeaseError::Exhausted { .. } => ErrorKind::Exhausted,
                LeaseError::Outside { .. }
                | LeaseError::Reserved { .. }
                | LeaseError::NoSubnet { .. }
                | _ => ErrorKind::Invalid,
            },
            Self::Publish(error) => match error {
                PublishError::Taken { .. } => ErrorKind::Conflict,
                PublishError::Exhausted { .. } => ErrorKind::Exhausted,
                PublishError::NoUplink { .. }
                | PublishError::Internal { .. }
                | PublishError::OnLan { .. }
                | PublishError::NotOnUplink { .. }
                | PublishError::NoCommonFamily { .. } => ErrorKind::Invalid,
            },
            Self::Store(_) => ErrorKind::Internal,
            Self::Datapath(error) => match error.kind() {
                DatapathErrorKind::Invalid => ErrorKind::Invalid,
                DatapathErrorKind::Denied => ErrorKind::Denied,
                DatapathErrorKind::Conflict => ErrorKind::Conflict,
                DatapathErrorKind::Exhausted => ErrorKind::Exhausted,
                DatapathErrorKind::Internal => ErrorKind::Internal,
            },
        }
    }

    /// Returns the message with those of its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

fn carried(vlan: Option<Vid>) -> String {
    vlan.map_or_else(
        || "frames that are in no VLAN".to_owned(),
        |vid| format!("VLAN {vid}"),
    )
}

/// Says where an entry is not, and where there are others of the station.
fn absence(vlan: Option<Vid>, others: &[Option<Vid>]) -> String {
    let place = |vlan: Option<Vid>| {
        vlan.map_or_else(
            || "outside of VLANs".to_owned(),
            |vid| format!("in VLAN {vid}"),
        )
    };
    if others.is_empty() {
        return vlan.map_or_else(String::new, |vid| format!(" in VLAN {vid}"));
    }
    let others: Vec<_> = others.iter().copied().map(place).collect();
    format!(" {}, only {}", place(vlan), others.join(" and "))
}

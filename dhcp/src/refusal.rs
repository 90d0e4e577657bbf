//! Why a message is not answered.

/// Why a message was dropped. Each is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no message of DHCP, or is cut short.
    Malformed,
    /// It asks for what is not done: BOOTP, leases of others, addresses over IPv6.
    Unsupported,
    /// A relay agent passed it on, and there are none here.
    Relayed,
    /// It is said to come from another station than it came from.
    ForeignMac,
    /// The address of the port is fixed, and its interface has it.
    Fixed,
    /// The port is none of a sandbox, or not any more.
    UnknownPort,
    /// It is for another server.
    OtherServer,
    /// The port has all the leases that it may have.
    PortLimit,
    /// No address is free.
    Exhausted,
    /// The lease could not be stored.
    NotStored,
    /// It gives back, or refuses, what its sender does not have.
    NoLease,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Unsupported,
        Self::Relayed,
        Self::ForeignMac,
        Self::Fixed,
        Self::UnknownPort,
        Self::OtherServer,
        Self::PortLimit,
        Self::Exhausted,
        Self::NotStored,
        Self::NoLease,
    ];

    /// Returns its name, as counters are named.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Relayed => "relayed",
            Self::ForeignMac => "foreign_mac",
            Self::Fixed => "fixed",
            Self::UnknownPort => "unknown_port",
            Self::OtherServer => "other_server",
            Self::PortLimit => "port_limit",
            Self::Exhausted => "exhausted",
            Self::NotStored => "not_stored",
            Self::NoLease => "no_lease",
        }
    }
}

//! The states of a TCP connection as a NAT sees them.

use core::fmt;

/// The state of a TCP connection as far as both of its ends can be overheard (RFC 7857 §2, RFC 6146
/// §3.5.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum TcpState {
    /// A SYN was seen in the original direction.
    SynSent,
    /// Both ends have sent a SYN, with or without ACK; the opener has not acknowledged yet.
    SynReceived,
    /// Open in both directions.
    Established,
    /// One end has sent FIN.
    FinSeen,
    /// Both ends have sent FIN.
    TimeWait,
    /// A RST was seen that the connection cannot but obey.
    Reset,
}

impl TcpState {
    /// Returns the word that users see; it does not change between releases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SynSent => "syn_sent",
            Self::SynReceived => "syn_received",
            Self::Established => "established",
            Self::FinSeen => "fin_seen",
            Self::TimeWait => "time_wait",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

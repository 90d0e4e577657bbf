//! How long state is kept without traffic.
//!
//! Every field names the requirement that bounds it. [`Timeouts::default`] keeps all of them; shorter
//! times are for those who know that their traffic allows it, and for tests.

use core::time::Duration;

/// How long a flow is kept after its last packet that counts, by what is known of it.
///
/// A flow may live up to [`Timeouts::GRANULARITY`] longer, never shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP, open in both directions: at least 2 h 4 min (RFC 5382 REQ-5).
    pub tcp_established: Duration,
    /// TCP, opening or closing: at least 4 min (RFC 5382 REQ-5). Also how long both FINs are remembered
    /// (`TIME_WAIT` of RFC 9293 is 2 MSL, 4 min).
    pub tcp_transitory: Duration,
    /// TCP after a SYN that nobody has answered. RFC 5382 REQ-5 counts this as transitory too; it has a
    /// field of its own, because a flood of SYNs is bounded by it.
    pub tcp_syn: Duration,
    /// TCP after a RST that was in window: 4 min, and other packets of the connection do not prolong it
    /// (RFC 7857 §2.2).
    pub tcp_reset: Duration,
    /// UDP in use: at least 2 min, 5 min recommended (RFC 4787 REQ-5). In use is what the opener has sent to
    /// again after an answer.
    pub udp: Duration,
    /// UDP that went back and forth at most once, such as a query for a name: at least 2 min (RFC 4787
    /// REQ-5).
    pub udp_brief: Duration,
    /// ICMP queries: at least 60 s (RFC 5508 REQ-2).
    pub icmp_query: Duration,
}

impl Timeouts {
    /// How exactly times are kept: a packet that would prolong a flow by less writes nothing.
    pub const GRANULARITY: Duration = Duration::from_secs(1);
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_established: Duration::from_mins(124),
            tcp_transitory: Duration::from_mins(4),
            tcp_syn: Duration::from_mins(4),
            tcp_reset: Duration::from_mins(4),
            udp: Duration::from_mins(5),
            udp_brief: Duration::from_mins(2),
            icmp_query: Duration::from_mins(1),
        }
    }
}

//! IPv6: whose packets a sandbox sends, and what stands behind the extension headers.
//!
//! The order of the questions: can the header chain be followed, is the source the endpoint's, and is
//! what is carried something that only a router, a DHCP server or a neighbour may send. The
//! unspecified address is a source for [`nd::check_from_nobody`] to judge.

use tapweave_net::{Fragment, IpProtocol, Ipv6View, UdpView};

use super::ethernet::Unread;
use super::{Guard, dhcp, nd};
use crate::DropReason;

/// The first of the numbers from here to 255 that are unassigned, experimental or reserved (IANA,
/// *Assigned Internet Protocol Numbers*): what stands behind them only their inventor knows.
const FIRST_UNASSIGNED: u8 = 148;

/// Bytes of the UDP header that hold the ports.
const UDP_PORTS_LEN: usize = 4;

/// Checks an IPv6 packet.
#[inline]
pub(super) fn check(guard: &Guard, packet: &[u8]) -> Result<Unread, DropReason> {
    let malformed = DropReason::GuardMalformed;
    let ip = Ipv6View::parse(packet).map_err(|_bad| malformed)?;
    let upper = ip.upper_layer().map_err(|_bad_chain| malformed)?;
    if !guard.owned.has_v6(ip.src()) {
        nd::check_from_nobody(&ip, &upper)?;
    }
    let l4 = Ipv6View::LEN + upper.extensions_len;
    if upper.fragment() == Fragment::Later {
        return Ok(Unread::From(l4));
    }
    match upper.protocol {
        IpProtocol::UDP => {
            let udp = UdpView::parse_cut(upper.bytes).map_err(|_bad| malformed)?;
            dhcp::check_v6(&udp)?;
            Ok(Unread::From(l4 + UDP_PORTS_LEN))
        }
        IpProtocol::ICMPV6 => {
            nd::check(guard, &ip, &upper)?;
            Ok(Unread::Nothing)
        }
        IpProtocol(FIRST_UNASSIGNED..) => Err(malformed),
        _ => Ok(Unread::From(l4)),
    }
}

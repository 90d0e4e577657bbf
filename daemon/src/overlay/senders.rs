//! What sends from the underlay's address of one family: UDP, and for IP in IP raw sockets.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tapweave_device::{IpFields, RawSender, TransmitError, UnderlaySender};
use tapweave_encap::Outer;
use tapweave_net::IpProtocol;

/// The senders of one family; none while the underlay has no address of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Senders {
    pub(crate) udp: Arc<ArcSwapOption<UnderlaySender>>,
    /// There while a network travels as IP in IP.
    pub(crate) raw: Arc<ArcSwapOption<RawSender>>,
}

/// How the payloads of one frame are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transmitter<'s> {
    /// As datagrams.
    Udp(&'s UnderlaySender),
    /// As packets of this protocol.
    Raw(&'s RawSender, IpProtocol),
}

impl Transmitter<'_> {
    /// Sends one payload, which is `parts` one after the other.
    #[inline]
    pub(crate) fn send(self, outer: &Outer, parts: &[IoSlice<'_>]) -> Result<(), TransmitError> {
        let fields = fields(outer);
        match self {
            Self::Udp(sender) => sender.send(outer.src_port, to(outer), fields, parts),
            Self::Raw(sender, protocol) => sender.send(protocol, outer.to.addr(), fields, parts),
        }
    }

    /// Sends several payloads of which each is two of `parts`, as [`UnderlaySender::send_run`] does.
    pub(crate) fn send_run(
        self,
        outer: &Outer,
        segment_len: u16,
        parts: &[IoSlice<'_>],
    ) -> Result<(), TransmitError> {
        match self {
            Self::Udp(sender) => {
                let (to, fields) = (to(outer), fields(outer));
                sender.send_run(outer.src_port, to, fields, segment_len, parts)
            }
            Self::Raw(sender, protocol) => {
                sender.send_each(protocol, outer.to.addr(), fields(outer), parts)
            }
        }
    }
}

const fn fields(outer: &Outer) -> IpFields {
    IpFields {
        class: outer.class.to_u8(),
        hop_limit: outer.hop_limit,
    }
}

const fn to(outer: &Outer) -> SocketAddr {
    SocketAddr::new(outer.to.addr(), outer.to.port())
}

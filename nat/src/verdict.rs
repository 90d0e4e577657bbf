//! What the gateway is told to do with a packet.

use core::net::IpAddr;

use tapweave_net::NetworkNo;

/// What becomes of a packet that a sandbox sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Out {
    /// It has an external source now and goes to an uplink. Its destination is unchanged, or that of
    /// the client of a published port.
    ToUplink,
    /// It was for an external address that leads back inside (RFC 4787 REQ-9): both of its ends are
    /// translated, and it is to be delivered to `dst` in `network`.
    Hairpin {
        /// The network of the sandbox that it is for.
        network: NetworkNo,
        /// Its destination address now.
        dst: IpAddr,
    },
    /// Its network is not masqueraded: it goes on as it is, and nothing is remembered of it.
    Untranslated,
    /// It is for an external address itself, such as an echo request to it. The gateway may answer.
    Local,
    /// It is a fragment that waits for the first part of its packet. NAT has copied it and hands it out
    /// when that comes; the caller must not forward it.
    Held,
}

/// What becomes of a packet that came from an uplink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum In {
    /// It is translated, and to be delivered to `dst` in `network`.
    To {
        /// The network of the sandbox that it is for.
        network: NetworkNo,
        /// Its destination address now.
        dst: IpAddr,
    },
    /// It is for an external address itself, such as an echo request to it. The gateway may answer.
    Local,
    /// It is not for an external address, and nothing is remembered of it: it is routed as it is, or
    /// not at all.
    Untranslated,
    /// It is a fragment that waits for the first part of its packet. NAT has copied it and hands it out
    /// when that comes; the caller must not forward it.
    Held,
}

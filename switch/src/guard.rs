//! What a sandbox may claim to be: the guard of a port.
//!
//! A guard knows one endpoint, its MAC and its addresses, and looks at the frames that come in from
//! its port before anything is learned from them. It knows nothing of networks, FDBs or time and has
//! no state: the answer depends on the frame alone, so it can be asked by any worker, by `explain`
//! and by a fuzzer. The pipeline asks it for ports that have one; the others pay a branch.
//!
//! # Theory of operation
//!
//! A guard protects the *other* sandboxes: nobody shall take over a neighbour's address, answer for
//! it, or pass for the router or the DHCP server. What a sandbox does to itself is its own affair. So
//! the question is always what a receiver would believe, and a frame passes only if that can be told
//! from the frame alone:
//!
//! - *Closed by default.* ARP, IPv4 and IPv6 are understood and pass if they are in order; no other
//!   EtherType does, nor does IP behind LLC/SNAP, which some receivers take for the real thing. This is
//!   what libvirt's `clean-traffic` and the port security of Open vSwitch firewalls do.
//! - *No guessing.* Up to two VLAN tags are looked behind; a third one is an unknown EtherType. IPv6
//!   header chains are walked to their end, and one that cannot be is refused: cut short, too long, out
//!   of order, a number that IANA has not assigned (RFC 7113 §3), or a first fragment without all of
//!   it (RFC 7112 §5). IP lengths that reach beyond the frame are refused, and bytes behind the end of
//!   the packet are padding.
//! - *Fragments* are checked one by one, without reassembly. Every fragment carries its source
//!   address. The first carries the ports and types, and no later one can change them: overlapping
//!   fragments are discarded by receivers (RFC 5722, RFC 8200 §4.5), and one that starts at the same
//!   place is a first fragment as well. Neighbor Discovery is never fragmented, not even into one
//!   (RFC 6980).
//! - *Offloads.* A partial checksum asks whoever completes it to write two bytes at a place that the
//!   sender names. The place has to lie behind all that the guard has read, or it would rewrite the
//!   frame after it was checked.
//!
//! Not looked into: tunnels (IP in IP, GRE, VXLAN), since a receiver must have been set up to open
//! them, and ESP, which nobody but the receiver can. Checksums are not verified: a receiver does.
//!
//! Work is bounded: at most two tags, eight extension headers, and options that take eight octets
//! or more each. Nothing allocates.

mod arp;
mod dhcp;
mod ethernet;
mod ipv4;
mod ipv6;
mod nd;
mod owned;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use ipnet::IpNet;
use tapweave_net::{Frame, MacAddr};

use crate::DropReason;

use self::owned::Owned;

/// What one endpoint may send. Made once, shared by all workers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guard {
    mac: MacAddr,
    owned: Owned,
}

impl Guard {
    /// Returns the guard of the endpoint with this MAC and these addresses. A prefix shorter than an
    /// address stands for every address in it: give `/32` and `/128` for one.
    pub fn new(mac: MacAddr, addresses: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            mac,
            owned: Owned::new(mac, addresses),
        }
    }

    /// Tells whether a frame may pass. Takes a few nanoseconds for TCP and UDP.
    ///
    /// # Errors
    ///
    /// One of the `Guard…` reasons of [`DropReason`].
    #[inline]
    pub fn check(&self, frame: &Frame<'_>) -> Result<(), DropReason> {
        ethernet::check(self, frame)
    }

    /// Returns the MAC of the endpoint.
    pub const fn mac(&self) -> MacAddr {
        self.mac
    }
}

//! The outer headers, as a value: what a socket is told beside the payload.
//!
//! The kernel makes the outer IP and UDP headers. [`Outer`] says what they shall be: destination
//! address and port, source port, and as ancillary data TOS or traffic class, TTL or hop limit,
//! flow label. Whoever has to write the IP header itself (a raw socket with `IP_HDRINCL`, a test)
//! takes [`Outer::write_ip_header`].
//!
//! Outer packets are never fragmented: over IPv4 DF is set (RFC 7348 §4.3; RFC 2003 §3.1 demands it
//! for inner packets with DF, and reassembly at the far end helps nobody, RFC 8900 §3), over IPv6
//! there is no Fragment header.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapweave_net::checksum::Sum;
use tapweave_net::{IpProtocol, Ipv4View, Ipv6View};

use crate::TrafficClass;

/// A tunnel's end on another host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Vtep {
    addr: IpAddr,
    port: u16,
}

impl Vtep {
    /// Returns the VTEP at this address and UDP port. The port means nothing to IP in IP. An
    /// IPv4-mapped IPv6 address is taken as the IPv4 address.
    pub const fn new(addr: IpAddr, port: u16) -> Self {
        Self {
            addr: addr.to_canonical(),
            port,
        }
    }

    /// Returns the address, never an IPv4-mapped one.
    pub const fn addr(self) -> IpAddr {
        self.addr
    }

    /// Returns the UDP port that it listens on.
    pub const fn port(self) -> u16 {
        self.port
    }

    /// Tells whether a VTEP can have this address: that of one host on the underlay.
    pub const fn is_possible(addr: IpAddr) -> bool {
        match addr.to_canonical() {
            IpAddr::V4(addr) => {
                let [first, ..] = addr.octets();
                // 0/8, 224/4 and 240/4. Loopback is allowed: two daemons on one host.
                first != 0 && first < 224
            }
            IpAddr::V6(addr) => !addr.is_unspecified() && !addr.is_multicast(),
        }
    }
}

/// The outer headers of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Outer {
    /// Where it goes.
    pub to: Vtep,
    /// UDP source port, 49152 to 65535; means nothing to IP in IP.
    pub src_port: u16,
    /// TOS or Traffic Class.
    pub class: TrafficClass,
    /// TTL or Hop Limit.
    pub hop_limit: u8,
    /// Flow Label, of 20 bits; means nothing over IPv4.
    pub flow_label: u32,
}

impl Outer {
    /// Bytes of the longest IP header.
    pub const MAX_IP_HEADER_LEN: usize = Ipv6View::LEN;

    /// Writes the IP header of a packet from `src` with `payload_len` bytes of `protocol` behind it
    /// to the start of `out`, and returns its length. `None` when `src` is of another family than
    /// the destination, the packet would be too long, or `out` too short.
    pub fn write_ip_header(
        &self,
        src: IpAddr,
        protocol: IpProtocol,
        payload_len: usize,
        out: &mut [u8],
    ) -> Option<usize> {
        match (src.to_canonical(), self.to.addr()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let header = self.ipv4_header(src, dst, protocol, payload_len)?;
                out.get_mut(..header.len())?.copy_from_slice(&header);
                Some(header.len())
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let header = self.ipv6_header(src, dst, protocol, payload_len)?;
                out.get_mut(..header.len())?.copy_from_slice(&header);
                Some(header.len())
            }
            _ => None,
        }
    }

    fn ipv4_header(
        &self,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        protocol: IpProtocol,
        payload_len: usize,
    ) -> Option<[u8; Ipv4View::LEN]> {
        const DONT_FRAGMENT: u8 = 0x40;
        let total_len = u16::try_from(payload_len.checked_add(Ipv4View::LEN)?).ok()?;
        let [long, short] = total_len.to_be_bytes();
        let [s0, s1, s2, s3] = src.octets();
        let [d0, d1, d2, d3] = dst.octets();
        let (class, hops) = (self.class.to_u8(), self.hop_limit);
        // An atomic datagram: the Identification means nothing (RFC 6864 §4.1).
        let header = |c0, c1| {
            [
                0x45,
                class,
                long,
                short,
                0,
                0,
                DONT_FRAGMENT,
                0,
                hops,
                protocol.0,
                c0,
                c1,
                s0,
                s1,
                s2,
                s3,
                d0,
                d1,
                d2,
                d3,
            ]
        };
        let [c0, c1] = Sum::of(&header(0, 0)).checksum().to_be_bytes();
        Some(header(c0, c1))
    }

    fn ipv6_header(
        &self,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        protocol: IpProtocol,
        payload_len: usize,
    ) -> Option<[u8; Ipv6View::LEN]> {
        let payload_len = u16::try_from(payload_len).ok()?;
        let class = u32::from(self.class.to_u8());
        let word = 6 << 28 | class << 20 | (self.flow_label & 0x000f_ffff);
        let mut header = [0; Ipv6View::LEN];
        let fields = word
            .to_be_bytes()
            .into_iter()
            .chain(payload_len.to_be_bytes())
            .chain([protocol.0, self.hop_limit])
            .chain(src.octets())
            .chain(dst.octets());
        for (to, from) in header.iter_mut().zip(fields) {
            *to = from;
        }
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    fn outer(to: IpAddr) -> Outer {
        Outer {
            to: Vtep::new(to, 4789),
            src_port: 50_000,
            class: TrafficClass::from_u8(0xb9),
            hop_limit: 64,
            flow_label: 0x12345,
        }
    }

    #[test]
    fn an_ipv4_header_has_df_and_a_right_checksum() {
        let mut out = [0xa5; 22];
        let written = outer(V4).write_ip_header(V4, IpProtocol::IPV4, 1480, &mut out);
        assert_eq!(written, Some(20));
        assert_eq!(out[..10], [0x45, 0xb9, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 4]);
        assert_eq!(out[12..], [192, 0, 2, 1, 192, 0, 2, 1, 0xa5, 0xa5]);
        assert!(
            Ipv4View::parse_quoted(&out[..20])
                .unwrap()
                .verify_checksum()
        );
    }

    #[test]
    fn an_ipv6_header_has_the_class_and_the_flow_label() {
        let mut out = [0xa5; 41];
        let written = outer(V6).write_ip_header(V6, IpProtocol::IPV6, 1460, &mut out);
        assert_eq!(written, Some(40));
        assert_eq!(out[..8], [0x6b, 0x91, 0x23, 0x45, 0x05, 0xb4, 41, 64]);
        assert_eq!((&out[8..24], &out[24..40]), (&out[24..40], &out[8..24]));
        assert_eq!(out[40], 0xa5);
    }

    #[test]
    fn headers_that_cannot_be_are_not_written() {
        let mut out = [0xa5; 40];
        let mut write = |to, from, len, space| {
            outer(to).write_ip_header(from, IpProtocol::IPV4, len, &mut out[..space])
        };
        assert_eq!(write(V4, V6, 0, 40), None);
        assert_eq!(write(V4, V4, 65_516, 40), None);
        assert_eq!(write(V4, V4, 65_515, 20), Some(20));
        assert_eq!(write(V4, V4, 0, 19), None);
        assert_eq!(write(V6, V6, 65_536, 40), None);
        assert_eq!(write(V6, V6, 65_535, 39), None);
    }

    #[test]
    fn a_vtep_is_one_host() {
        for (text, want) in [
            ("192.0.2.1", true),
            ("127.0.0.1", true),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::ffff:224.0.0.1", false),
            ("::1", true),
            ("::", false),
            ("ff02::1", false),
        ] {
            assert_eq!(Vtep::is_possible(text.parse().unwrap()), want, "{text}");
        }
        let mapped = Vtep::new("::ffff:192.0.2.1".parse().unwrap(), 1);
        assert_eq!(mapped, Vtep::new(V4, 1));
    }
}

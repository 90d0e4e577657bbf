//! Taking the tunnel's header off what a socket received.

use tapweave_net::{Fragment, IpProtocol, Ipv4View, Ipv6View};

use crate::{EncapKind, Refusal, TrafficClass, Vni, VxlanHeader};

/// What came out of a datagram.
#[derive(PartialEq, Eq, Debug)]
pub struct Popped<'a> {
    /// The VXLAN segment that it belongs to, `None` for encapsulations that have none.
    pub vni: Option<Vni>,
    /// The inner frame, or the inner packet without what follows its length.
    pub inner: &'a mut [u8],
}

/// Takes the tunnel's header off `datagram`: the payload of UDP, or for IP in IP of the outer IP
/// header ([`pop_outer`]). Whether the sender may send this, and whether the network takes it, is
/// to be asked next.
///
/// # Errors
///
/// [`Refusal::Truncated`], [`Refusal::VxlanFlag`], [`Refusal::GueVariant`]; for encapsulations that
/// carry IP [`Refusal::InnerVersion`], [`Refusal::InnerMalformed`].
#[inline]
pub fn pop(kind: EncapKind, datagram: &mut [u8]) -> Result<Popped<'_>, Refusal> {
    let inner = match kind {
        EncapKind::Vxlan => {
            let (header, inner) = VxlanHeader::parse_mut(datagram)?;
            return Ok(Popped {
                vni: Some(header.vni),
                inner,
            });
        }
        EncapKind::Gue => {
            // draft-ietf-intarea-gue §3: the variant is in the two high bits. Variant 1 is chosen
            // so that they are those of both versions of IP.
            let first = *datagram.first().ok_or(Refusal::Truncated)?;
            if first >> 6 != 1 {
                return Err(Refusal::GueVariant);
            }
            datagram
        }
        EncapKind::Fou | EncapKind::Ipip => datagram,
    };
    let len = packet_len(inner)?;
    let inner = inner.get_mut(..len).ok_or(Refusal::InnerMalformed)?;
    Ok(Popped { vni: None, inner })
}

/// Returns the length of the IP packet at `packet[0]`, which is there in full.
fn packet_len(packet: &[u8]) -> Result<usize, Refusal> {
    let version = packet.first().ok_or(Refusal::Truncated)? >> 4;
    let len = match version {
        4 => Ipv4View::parse(packet).map(|ip| usize::from(ip.total_len())),
        6 => Ipv6View::parse(packet).map(|ip| Ipv6View::LEN + ip.payload().len()),
        _ => return Err(Refusal::InnerVersion),
    };
    len.map_err(|_error| Refusal::InnerMalformed)
}

/// What an outer IP header told.
#[derive(PartialEq, Eq, Debug)]
pub struct PoppedOuter<'a> {
    /// The traffic class.
    pub class: TrafficClass,
    /// The packet's source.
    pub source: core::net::IpAddr,
    /// Bytes of the header, options or extension headers included.
    pub header_len: usize,
    /// What the header carries, to be given to [`pop`].
    pub payload: &'a mut [u8],
}

/// Takes the outer IP header off a packet of IP in IP, for receivers that see it: a raw socket for
/// IPv4 does, one for IPv6 does not.
///
/// # Errors
///
/// [`Refusal::OuterMalformed`] when it is no whole IP packet, carries something else than IP
/// (protocol 4 and 41), or says other than its payload which IP it carries.
pub fn pop_outer(packet: &mut [u8]) -> Result<PoppedOuter<'_>, Refusal> {
    let malformed = |_error| Refusal::OuterMalformed;
    let (class, source, protocol, start, end) = match packet.first().map(|octet| octet >> 4) {
        Some(4) => {
            let ip = Ipv4View::parse(packet).map_err(malformed)?;
            if ip.fragment() != Fragment::Whole {
                return Err(Refusal::OuterMalformed);
            }
            let start = ip.header_len();
            let end = start + ip.payload().len();
            let class = ip.traffic_class();
            (class, ip.src().into(), ip.protocol(), start, end)
        }
        Some(6) => {
            let ip = Ipv6View::parse(packet).map_err(malformed)?;
            let upper = ip.upper_layer().map_err(malformed)?;
            if upper.fragment() != Fragment::Whole {
                return Err(Refusal::OuterMalformed);
            }
            let start = Ipv6View::LEN + upper.extensions_len;
            let end = Ipv6View::LEN + ip.payload().len();
            let class = ip.traffic_class();
            (class, ip.src().into(), upper.protocol, start, end)
        }
        _ => return Err(Refusal::OuterMalformed),
    };
    let payload = packet.get_mut(start..end).ok_or(Refusal::OuterMalformed)?;
    match (protocol, payload.first().map(|octet| octet >> 4)) {
        (IpProtocol::IPV4, Some(4)) | (IpProtocol::IPV6, Some(6)) => Ok(PoppedOuter {
            class: TrafficClass::from_u8(class),
            source,
            header_len: start,
            payload,
        }),
        _ => Err(Refusal::OuterMalformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: [u8; 24] = [
        0x45, 0, 0, 22, 0, 1, 0x40, 0, 64, 59, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3, 1, 2, 0xa5, 0xa5,
    ];

    fn v6() -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 2, 59, 64];
        packet.extend([0xfd; 32]);
        packet.extend([1, 2, 0xa5, 0xa5]);
        packet
    }

    #[test]
    fn what_ip_carries_ends_at_its_length() {
        for kind in [EncapKind::Fou, EncapKind::Gue, EncapKind::Ipip] {
            for (mut datagram, len) in [(V4.to_vec(), 22), (v6(), 42)] {
                let popped = pop(kind, &mut datagram).unwrap();
                assert_eq!((popped.vni, popped.inner.len()), (None, len));
            }
        }
    }

    #[test]
    fn only_variant_1_of_gue_is_taken_and_only_ip_in_it() {
        for first in 0..=u8::MAX {
            let mut datagram = V4;
            datagram[0] = first;
            let want = match first >> 4 {
                4 if first == 0x45 => None,
                4 | 6 => Some(Refusal::InnerMalformed),
                5 | 7 => Some(Refusal::InnerVersion),
                _ => Some(Refusal::GueVariant),
            };
            assert_eq!(pop(EncapKind::Gue, &mut datagram).err(), want, "{first:#x}");
        }
    }

    #[test]
    fn datagrams_cut_at_every_length_are_refused() {
        for kind in EncapKind::ALL {
            assert_eq!(pop(kind, &mut []).err(), Some(Refusal::Truncated));
        }
        for (whole, end) in [(V4.to_vec(), 22), (v6(), 42)] {
            for len in 1..end {
                for kind in [EncapKind::Fou, EncapKind::Gue, EncapKind::Ipip] {
                    let mut cut = whole[..len].to_vec();
                    let refused = pop(kind, &mut cut).err();
                    assert_eq!(refused, Some(Refusal::InnerMalformed), "{kind} {len}");
                }
            }
        }
    }

    /// An outer IPv4 packet with this protocol and fragment field around `inner`.
    fn in_v4(protocol: u8, fragment: u8, inner: &[u8]) -> Vec<u8> {
        let len = u8::try_from(20 + inner.len()).unwrap();
        let mut packet = vec![0x45, 0x03, 0, len, 0, 1, fragment, 0, 64, protocol, 0, 0];
        packet.extend([192, 0, 2, 2, 192, 0, 2, 1]);
        packet.extend(inner);
        packet
    }

    #[test]
    fn outer_headers_are_taken_off_ip_in_ip() {
        for (protocol, inner) in [(4, V4.to_vec()), (41, v6())] {
            let mut packet = in_v4(protocol, 0x40, &inner);
            packet.extend([0xa5; 3]);
            let popped = pop_outer(&mut packet).unwrap();
            assert_eq!(popped.class.to_u8(), 3);
            assert_eq!(popped.source.to_string(), "192.0.2.2");
            assert_eq!(popped.payload, inner);
        }
        // With the Tunnel Encapsulation Limit that the kernel's ip6tnl adds (RFC 2473 §4.1.1).
        let mut packet = vec![0x61, 0x20, 0, 0, 0, 32, 60, 64];
        packet.extend([0xfd; 32]);
        packet.extend([4, 0, 4, 1, 4, 1, 1, 0]);
        packet.extend(V4);
        let popped = pop_outer(&mut packet).unwrap();
        assert_eq!(popped.class.to_u8(), 0x12);
        assert_eq!(popped.payload, V4);
    }

    #[test]
    fn an_outer_packet_that_is_not_what_it_says_is_refused() {
        let v6 = v6();
        for mut packet in [
            vec![],
            in_v4(4, 0x20, &V4),
            in_v4(4, 0x40, &v6),
            in_v4(41, 0x40, &V4),
            in_v4(17, 0x40, &V4),
            in_v4(4, 0x40, &[]),
            in_v4(4, 0x40, &V4)[..43].to_vec(),
            vec![0xa5; 60],
        ] {
            assert_eq!(pop_outer(&mut packet).err(), Some(Refusal::OuterMalformed));
        }
    }
}

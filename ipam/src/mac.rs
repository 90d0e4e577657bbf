//! The MAC addresses that endpoints and gateways get when none was asked for.

use core::net::IpAddr;

use tapweave_net::MacAddr;

/// Returns the MAC address derived from `address`: the same for the same address, on every host, so
/// that a neighbour's ARP entry stays true when an endpoint comes back.
///
/// IPv4 gives `02:00:` and the four octets, which is unique in a network. IPv6 gives `06:` and 40 bits
/// of an FNV-1a hash of the 16 octets, which two addresses may share. Both are locally administered
/// unicast addresses and never equal each other.
pub fn derived_mac(address: IpAddr) -> MacAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            MacAddr::new([0x02, 0x00, a, b, c, d])
        }
        IpAddr::V6(v6) => hashed(0x06, &v6.octets()),
    }
}

/// Returns the MAC address of the gateway at `address` in the segment `vni` of an overlay. Every host has
/// that gateway, and they all get the same address without talking about it; a sandbox that moves finds
/// it again.
///
/// `0e:` and 40 bits of an FNV-1a hash of the VNI's three octets and those of the address: locally
/// administered, and never one of [`derived_mac`].
pub fn overlay_gateway_mac(vni: [u8; 3], address: IpAddr) -> MacAddr {
    let mut bytes = vni.to_vec();
    match address {
        IpAddr::V4(v4) => bytes.extend(v4.octets()),
        IpAddr::V6(v6) => bytes.extend(v6.octets()),
    }
    hashed(0x0e, &bytes)
}

/// Returns the MAC address of an endpoint that has no address to derive one from, or whose derived one is
/// taken: the same whenever the endpoint called `owner` is in that network. Two of them may clash, which the
/// caller finds out.
///
/// `12:` and 40 bits of an FNV-1a hash of the name: locally administered, and never one of [`derived_mac`]
/// or [`overlay_gateway_mac`].
pub fn owner_mac(owner: &str) -> MacAddr {
    hashed(0x12, owner.as_bytes())
}

/// Returns the address that begins with `first` and goes on with a hash of `bytes`.
fn hashed(first: u8, bytes: &[u8]) -> MacAddr {
    let mut octets = [first; 6];
    let hash = fnv_1a(bytes).to_be_bytes();
    octets[1..].copy_from_slice(&hash[3..]);
    MacAddr::new(octets)
}

/// FNV-1a, 64 bits. Not against attackers: whoever chooses addresses can choose the MAC as well.
pub(crate) fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_legible_in_its_mac() {
        let mac = derived_mac("10.192.0.2".parse().unwrap());
        assert_eq!(mac.to_string(), "02:00:0a:c0:00:02");
    }

    #[test]
    fn an_ipv6_address_gives_a_local_station_address_that_does_not_change() {
        let mac = derived_mac("fd00::2".parse().unwrap());
        assert!(mac.is_locally_administered() && mac.is_station());
        assert_eq!(mac, derived_mac("fd00::2".parse().unwrap()));
        assert_ne!(mac, derived_mac("fd00::3".parse().unwrap()));
    }

    #[test]
    fn the_gateway_of_a_segment_has_the_same_address_everywhere_and_another_in_other_segments() {
        let at = |vni, address: &str| overlay_gateway_mac([0, 0, vni], address.parse().unwrap());
        // Other hosts may run another version: it must never change.
        assert_eq!(at(42, "10.0.0.1").to_string(), "0e:19:7a:d6:fb:ec");
        assert_eq!(at(42, "fd00::1").to_string(), "0e:1b:8a:ff:27:8b");
        assert_ne!(at(42, "10.0.0.1"), at(43, "10.0.0.1"));
        assert_ne!(at(42, "10.0.0.1"), at(42, "10.0.1.1"));
        let mac = at(42, "10.0.0.1");
        assert!(mac.is_locally_administered() && mac.is_station());
    }

    #[test]
    fn an_endpoint_without_addresses_keeps_its_mac_by_its_name() {
        let mac = owner_mac("net/web");
        assert!(mac.is_locally_administered() && mac.is_station());
        assert_eq!(mac, owner_mac("net/web"));
        assert_ne!(mac, owner_mac("net/db"));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // Test vectors of draft-eastlake-fnv, appendix C.
        assert_eq!(fnv_1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}

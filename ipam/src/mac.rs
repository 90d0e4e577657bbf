//! The MAC address that an endpoint gets when none was asked for.

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
        IpAddr::V6(v6) => {
            let mut octets = [0x06; 6];
            let hash = fnv_1a(&v6.octets()).to_be_bytes();
            octets[1..].copy_from_slice(&hash[3..]);
            MacAddr::new(octets)
        }
    }
}

/// FNV-1a, 64 bits. Not against attackers: whoever chooses addresses can choose the MAC as well.
fn fnv_1a(bytes: &[u8]) -> u64 {
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
    fn the_hash_is_fnv_1a() {
        // Test vectors of draft-eastlake-fnv, appendix C.
        assert_eq!(fnv_1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}

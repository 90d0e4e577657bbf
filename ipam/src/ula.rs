//! Unique local IPv6 prefixes (RFC 4193).

use core::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};

/// Returns the /64 with subnet id 0 under the /48 whose 40-bit global id is `global_id`.
///
/// The global id has to be random (RFC 4193 §3.2), or two sites that meet will clash.
pub fn ula_prefix(global_id: [u8; 5]) -> IpNet {
    let mut octets = [0; 16];
    // fc00::/7 with the L bit set: assigned locally (RFC 4193 §3.1).
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&global_id);
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(octets), 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_local_and_carries_the_global_id() {
        let prefix = ula_prefix([0x12, 0x34, 0x56, 0x78, 0x9a]);
        assert_eq!(prefix.to_string(), "fd12:3456:789a::/64");
    }
}

//! Blocks that no network can have (RFC 6890).

use ipnet::IpNet;

use crate::number::overlap;

/// This host, loopback, multicast, reserved, and for IPv6 link-local, each with what it is for.
const UNUSABLE_BLOCKS: [(&str, &str); 9] = [
    ("0.0.0.0/8", "this network"),
    ("127.0.0.0/8", "loopback"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "the unspecified address"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
];

/// Returns the block that `prefix` overlaps, and what it is for.
pub(crate) fn block_in(prefix: &IpNet) -> Option<(&'static str, &'static str)> {
    let overlaps = |block: &str| {
        block
            .parse()
            .is_ok_and(|block: IpNet| overlap(&block, prefix))
    };
    UNUSABLE_BLOCKS
        .into_iter()
        .find(|(block, _)| overlaps(block))
}

//! Ports that no mapping may take, a bit each.
//!
//! A port that is blocked on one external address is blocked on all of them: it costs a port or two,
//! and whoever talks to port 80 of any of our addresses never meets a mapping there.

use core::ops::RangeInclusive;

use super::PortProtocol;

const WORDS: usize = 65536 / 64;

/// The blocked ports of each protocol; 8 KiB each once there is one.
#[derive(Clone, Default)]
pub(super) struct BlockedPorts {
    tcp: Option<Box<[u64; WORDS]>>,
    udp: Option<Box<[u64; WORDS]>>,
}

impl BlockedPorts {
    /// Blocks `ports`.
    pub(super) fn block(&mut self, protocol: PortProtocol, ports: RangeInclusive<u16>) {
        let words = match protocol {
            PortProtocol::Tcp => &mut self.tcp,
            PortProtocol::Udp => &mut self.udp,
        };
        let words = words.get_or_insert_with(|| Box::new([0; WORDS]));
        for port in ports {
            words[usize::from(port / 64)] |= 1 << (port % 64);
        }
    }

    /// Tells whether `port` is blocked.
    pub(super) fn contains(&self, protocol: PortProtocol, port: u16) -> bool {
        let words = match protocol {
            PortProtocol::Tcp => &self.tcp,
            PortProtocol::Udp => &self.udp,
        };
        words
            .as_ref()
            .is_some_and(|words| words[usize::from(port / 64)] >> (port % 64) & 1 == 1)
    }
}

impl core::fmt::Debug for BlockedPorts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let count = |words: &Option<Box<[u64; WORDS]>>| -> u32 {
            words
                .iter()
                .flat_map(|words| words.iter())
                .map(|word| word.count_ones())
                .sum()
        };
        f.debug_struct("BlockedPorts")
            .field("tcp_count", &count(&self.tcp))
            .field("udp_count", &count(&self.udp))
            .finish()
    }
}

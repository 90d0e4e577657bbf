//! What is sent: lengths of frames, and over how many flows.

use std::net::Ipv4Addr;

use anyhow::Result;
use clap::ValueEnum;
use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, UdpHeader};
use serde::Serialize;

/// The UDP port that all flows go to.
pub const SINK_L4_PORT: u16 = 9999;

/// The UDP port that the first flow comes from.
const FIRST_L4_PORT: u16 = 10_000;

/// Flows of a mix that has many.
const MAX_FLOW_COUNT: u16 = 64;

/// Bytes of a frame check sequence: lengths count it, as is usual, but no interface here carries it.
pub const CHECK_SEQUENCE_LEN: usize = 4;

/// Bytes of the headers of a frame: Ethernet, IPv4, UDP.
pub const HEADER_LEN: usize = 14 + IP_HEADER_LEN;

/// Bytes of the headers in front of the payload that IP counts: IPv4, UDP.
pub const IP_HEADER_LEN: usize = 20 + 8;

/// The simple IMIX: of 12 frames 7 with 64, 4 with 594 and 1 with 1,518 bytes; in an order in which
/// neighbours mostly differ.
const IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64];

/// The same where a tunnel leaves less room.
const TUNNEL_IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1400, 64, 594, 64, 594, 64];

/// Frames that are sent over and over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mix {
    /// Frames of 64 bytes, all of one flow.
    OneFlow,
    /// Frames of 64 bytes of 64 flows in turn.
    ManyFlows,
    /// The simple IMIX (7 : 4 : 1 of 64, 594 and 1,518 bytes), 64 flows in turn.
    Imix,
    /// The same with 1,400 bytes for the longest, which every tunnel takes.
    TunnelImix,
}

/// Where the frames come from and where they go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// MAC address of the sender.
    pub source_mac: [u8; 6],
    /// MAC address of the receiver.
    pub destination_mac: [u8; 6],
    /// IPv4 address of the sender.
    pub source_ip: Ipv4Addr,
    /// IPv4 address of the receiver.
    pub destination_ip: Ipv4Addr,
}

impl Mix {
    /// Returns one period of the frames, without check sequences: UDP over IPv4 with complete
    /// checksums and "don't fragment", as every sender of today sets them.
    ///
    /// # Errors
    ///
    /// None in practice: every length here fits into its header.
    pub fn frames(self, route: Route) -> Result<Vec<Vec<u8>>> {
        let flow_count = self.flow_count();
        // 64 times the pattern: every flow has had its turn, and a system call has enough to take.
        let numbers = 0..u16::try_from(self.lens().len())? * MAX_FLOW_COUNT;
        let flows = numbers.map(|number| FIRST_L4_PORT + number % flow_count);
        let lens = self.lens().iter().cycle();
        flows
            .zip(lens)
            .map(|(l4_port, len)| frame(route, l4_port, *len))
            .collect()
    }

    /// Returns the lengths of the frames in their order, check sequences included.
    pub const fn lens(self) -> &'static [usize] {
        match self {
            Self::OneFlow | Self::ManyFlows => &[64],
            Self::Imix => &IMIX,
            Self::TunnelImix => &TUNNEL_IMIX,
        }
    }

    const fn flow_count(self) -> u16 {
        match self {
            Self::OneFlow => 1,
            Self::ManyFlows | Self::Imix | Self::TunnelImix => MAX_FLOW_COUNT,
        }
    }
}

fn frame(route: Route, l4_port: u16, len: usize) -> Result<Vec<u8>> {
    let payload = vec![0xa5; len - CHECK_SEQUENCE_LEN - HEADER_LEN];
    let ethernet = Ethernet2Header {
        source: route.source_mac,
        destination: route.destination_mac,
        ether_type: EtherType::IPV4,
    };
    let ip_payload_len = u16::try_from(UdpHeader::LEN + payload.len())?;
    let (source, destination) = (route.source_ip.octets(), route.destination_ip.octets());
    let mut ip = Ipv4Header::new(ip_payload_len, 64, IpNumber::UDP, source, destination)?;
    ip.dont_fragment = true;
    ip.header_checksum = ip.calc_header_checksum();
    let udp = UdpHeader::with_ipv4_checksum(l4_port, SINK_L4_PORT, &ip, &payload)?;
    let mut frame = Vec::with_capacity(len);
    frame.extend_from_slice(&ethernet.to_bytes());
    frame.extend_from_slice(&ip.to_bytes());
    frame.extend_from_slice(&udp.to_bytes());
    frame.extend_from_slice(&payload);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tapweave_net::ParsedFrame;
    use tapweave_net::checksum::{Verification, verify_transport};

    use super::*;

    const ROUTE: Route = Route {
        source_mac: [2, 0, 0, 0, 0, 1],
        destination_mac: [2, 0, 0, 0, 0, 2],
        source_ip: Ipv4Addr::new(10, 0, 0, 1),
        destination_ip: Ipv4Addr::new(10, 0, 0, 2),
    };

    #[test]
    fn every_frame_has_its_length_a_true_checksum_and_the_flag_df() {
        for mix in [Mix::OneFlow, Mix::ManyFlows, Mix::Imix] {
            let frames = mix.frames(ROUTE).unwrap();
            for (frame, len) in frames.iter().zip(mix.lens().iter().cycle()) {
                assert_eq!(frame.len() + CHECK_SEQUENCE_LEN, *len);
                let parsed = ParsedFrame::parse(frame).unwrap();
                assert_eq!(verify_transport(frame, &parsed), Verification::Right);
                assert_eq!(frame[20], 0x40);
            }
        }
    }

    #[test]
    fn a_period_holds_all_flows_and_the_whole_pattern() {
        let flow_count = |mix: Mix| {
            let frames = mix.frames(ROUTE).unwrap();
            let l4_ports: BTreeSet<_> = frames.iter().map(|frame| frame[34..36].to_vec()).collect();
            (frames.len(), l4_ports.len())
        };
        assert_eq!(flow_count(Mix::OneFlow), (64, 1));
        assert_eq!(flow_count(Mix::ManyFlows), (64, 64));
        assert_eq!(flow_count(Mix::Imix), (12 * 64, 64));
    }
}

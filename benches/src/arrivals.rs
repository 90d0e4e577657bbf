//! What has arrived in a namespace: datagrams, by the count of its own IP stack.
//!
//! The interface's `rx_packets` would not do: a switch may hand over a run of datagrams as one
//! super-frame, and the interface counts that as one packet. The namespace's UDP counts every datagram
//! after such a super-frame was taken apart, on every datapath alike: those that the socket took
//! (`InDatagrams`, counted when they are read) and those for which it had no room (`RcvbufErrors`,
//! `MemErrors`). The receiver here reads nothing and has next to no room, so that almost all are of the
//! second kind.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::mix::{CHECK_SEQUENCE_LEN, HEADER_LEN, IP_HEADER_LEN};

/// Counters of a namespace since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Arrivals {
    /// UDP datagrams for the socket.
    datagram_count: u64,
    /// UDP datagrams that were wrong or that nobody wanted.
    bad_count: u64,
    /// IP packets, of which a super-frame is one.
    packet_count: u64,
    /// Bytes of those packets from their IP header on.
    packet_len: u64,
}

impl Arrivals {
    /// Reads the counters of the namespace that a process is in.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn of_process(pid: u32) -> Result<Self> {
        let snmp = fs::read_to_string(format!("/proc/{pid}/net/snmp"))?;
        let netstat = fs::read_to_string(format!("/proc/{pid}/net/netstat"))?;
        Self::parse(&snmp, &netstat)
    }

    /// Returns what has arrived since `earlier`.
    ///
    /// # Errors
    ///
    /// When datagrams were wrong or went to no socket.
    pub fn since(self, earlier: Self) -> Result<Self> {
        let new = Self {
            datagram_count: self.datagram_count - earlier.datagram_count,
            bad_count: self.bad_count - earlier.bad_count,
            packet_count: self.packet_count - earlier.packet_count,
            packet_len: self.packet_len - earlier.packet_len,
        };
        ensure!(
            new.bad_count == 0,
            "{} datagrams had a wrong checksum or no socket",
            new.bad_count
        );
        Ok(new)
    }

    /// Returns how many datagrams arrived: as many as frames were sent for them.
    pub const fn datagram_count(self) -> u64 {
        self.datagram_count
    }

    /// Returns the bytes of their payload.
    pub const fn payload_len(self) -> u64 {
        // A super-frame has its headers once.
        self.packet_len
            .saturating_sub(self.packet_count * IP_HEADER_LEN as u64)
    }

    /// Returns the bytes of the frames that were sent for them, with their check sequences.
    pub const fn frame_len(self) -> u64 {
        self.payload_len() + self.datagram_count * (HEADER_LEN + CHECK_SEQUENCE_LEN) as u64
    }

    /// Returns how many IP packets arrived, of which a super-frame is one.
    pub const fn packet_count(self) -> u64 {
        self.packet_count
    }

    fn parse(snmp: &str, netstat: &str) -> Result<Self> {
        let udp = |name| value(snmp, "Udp:", name);
        Ok(Self {
            datagram_count: udp("InDatagrams")? + udp("RcvbufErrors")? + udp("MemErrors")?,
            bad_count: udp("NoPorts")? + udp("InCsumErrors")?,
            packet_count: value(snmp, "Ip:", "InReceives")?,
            packet_len: value(netstat, "IpExt:", "InOctets")?,
        })
    }
}

/// Finds a counter in a file of line pairs, the first with names and the second with values
/// (`man 5 proc_net`).
fn value(file: &str, group: &str, name: &str) -> Result<u64> {
    let mut lines = file.lines().filter_map(|line| line.strip_prefix(group));
    let mut find = || {
        let place = lines.next()?.split_whitespace().position(|it| it == name)?;
        lines.next()?.split_whitespace().nth(place)
    };
    let value = find().with_context(|| format!("the kernel does not count {group} {name}"))?;
    Ok(value.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNMP: &str = "\
Ip: Forwarding DefaultTTL InReceives InHdrErrors
Ip: 1 64 1000 0
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
UdpLite: 9 9 9 9 9 9 9 9 9
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 3 0 2995 7 2990 0 0 0 7
";
    const NETSTAT: &str = "\
TcpExt: SyncookiesSent SyncookiesRecv
TcpExt: 1 2
IpExt: InNoRoutes InTruncatedPkts InOctets OutOctets
IpExt: 0 0 82000 0
";

    #[test]
    fn datagrams_count_and_not_the_super_frames_they_came_in() {
        let arrivals = Arrivals::parse(SNMP, NETSTAT).unwrap();
        assert_eq!(arrivals.datagram_count(), 3000);
        assert_eq!(arrivals.packet_count(), 1000);
        // 54,000 bytes of payload in 3,000 frames of 64 bytes.
        assert_eq!(arrivals.frame_len(), 3000 * 64);
    }

    #[test]
    fn a_datagram_that_nobody_wants_fails_the_run() {
        let before = Arrivals::parse(SNMP, NETSTAT).unwrap();
        let refused = SNMP.replace("Udp: 3 0 2995", "Udp: 3 4 2995");
        let after = Arrivals::parse(&refused, NETSTAT).unwrap();
        assert_eq!(before.since(before).unwrap(), Arrivals::default());
        after.since(before).unwrap_err();
        Arrivals::parse("Udp: A\nUdp: 1", NETSTAT).unwrap_err();
    }
}

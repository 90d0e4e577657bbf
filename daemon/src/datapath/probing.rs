//! Asks on a network who has an address, before an endpoint gets it.
//!
//! What is asked where, and what counts as an answer, is the switch's to know ([`tapweave_switch::AddressProbe`]);
//! here is when. RFC 5227 §1.1 lets a host take up to seven seconds, RFC 4862 §5.1 one second. Somebody waits for each of
//! these here, on links that take milliseconds: so both families are asked three times, a tenth of a second
//! apart, and a hundredth where only endpoints of this host are asked, whose kernel answers before the frame is
//! written. A holder is found as soon as it answers; who is farther away than that, or loses three frames in a row,
//! is not found.
//!
//! The host's own addresses are looked up: what a network sends to its LAN does not reach the host itself.
//!
//! Runs on the thread of the request, which may block. Nobody is waited for who could not be asked.

use std::net::IpAddr;
use std::thread::park_timeout;
use std::time::Duration;

use tapweave_device::{HostLink, host_addresses};
use tapweave_net::{NetworkNo, Vid};
use tapweave_switch::AddressHolder;

use super::SwitchDatapath;

/// `PROBE_NUM` (RFC 5227 §1.1), for IPv6 too.
const PROBE_COUNT: u32 = 3;
/// Between two probes, and after the last.
const INTERVAL: Duration = Duration::from_millis(100);
/// The same where only endpoints of this host are asked.
const INTERVAL_HERE: Duration = Duration::from_millis(10);
/// Between two looks for an answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

impl SwitchDatapath {
    /// Looks for a station that has one of `addresses`.
    pub(super) fn probe(
        &self,
        network: NetworkNo,
        vlan: Option<Vid>,
        addresses: &[IpAddr],
    ) -> Option<AddressHolder> {
        if let Some(holder) = self.host_itself(network, addresses) {
            return Some(holder);
        }
        let probe = self.switch.probe_addresses(network, vlan, addresses)?;
        let interval = if probe.is_far() {
            INTERVAL
        } else {
            INTERVAL_HERE
        };
        for _ in 0..PROBE_COUNT {
            if let Some(holder) = probe.holder() {
                return Some(holder);
            }
            let mut is_asked = false;
            for asked in self.switch.poll_probe(&probe) {
                if self.send(asked.port, &asked.frame) {
                    is_asked = true;
                    self.switch
                        .count_gateway_frame_sent(asked.port, asked.frame.len());
                }
            }
            if !is_asked {
                return None;
            }
            let end = self.clock.now() + interval;
            while self.clock.now() < end && probe.holder().is_none() {
                park_timeout(LOOK_INTERVAL);
            }
        }
        probe.holder()
    }

    /// Finds one of `addresses` on an interface of the host, if the network is part of a LAN of the host's.
    fn host_itself(&self, network: NetworkNo, addresses: &[IpAddr]) -> Option<AddressHolder> {
        let ifname = self.parent_of(network)?;
        // A kernel that tells nothing leaves the question to the LAN.
        let own = host_addresses().ok()?;
        let address = own
            .iter()
            .map(|(_, own)| own.addr())
            .find(|own| addresses.contains(own))?;
        let link = HostLink::by_name(&ifname).ok().flatten()?;
        Some(AddressHolder {
            address,
            mac: link.mac,
        })
    }
}

//! An uplink whose state is shown: to the packet path, to the log, and to whoever asks.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use tapweave_control::datapath::UplinkState;
use tapweave_device::listening_ports;
use tracing::{info, warn};

use super::keeper::Line;
use crate::datapath::SwitchDatapath;

/// A line that is an uplink.
pub(super) trait UplinkLine: Line {
    /// Returns what the uplink is now.
    fn state(&self) -> UplinkState;
}

/// An uplink and what of it has been shown.
#[derive(Debug)]
pub(super) struct Shown<L> {
    line: L,
    shown: Option<UplinkState>,
}

impl<L: UplinkLine> Shown<L> {
    pub(super) const fn new(line: L) -> Self {
        Self { line, shown: None }
    }
}

impl<L: UplinkLine> Line for Shown<L> {
    fn tend(&mut self, datapath: &SwitchDatapath) -> Option<Duration> {
        match listening_ports() {
            Ok(ports) => datapath.set_listening_ports(ports),
            Err(error) => warn!(%error, "cannot tell which ports the host's programs listen on"),
        }
        let due = self.line.tend(datapath);
        let state = self.line.state();
        if self.shown.as_ref() != Some(&state) {
            tell(&state, self.shown.as_ref());
            datapath.set_uplink_state(state.clone());
            self.shown = Some(state);
        }
        due
    }

    fn is_settled(&self) -> bool {
        self.line.is_settled()
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.line.readiness()
    }

    fn close(&mut self, datapath: &SwitchDatapath) {
        self.line.close(datapath);
    }
}

/// Logs what is new.
fn tell(state: &UplinkState, before: Option<&UplinkState>) {
    let is_same = before.is_some_and(|before| {
        (before.kind, &before.ifname, &before.addresses)
            == (state.kind, &state.ifname, &state.addresses)
    });
    if !is_same {
        let addresses: Vec<_> = state.addresses.iter().map(ToString::to_string).collect();
        info!(
            kind = %state.kind,
            interface = state.ifname.as_deref().unwrap_or("none"),
            addresses = addresses.join(" "),
            reason = state.reason,
            "uplink"
        );
    }
    let known = before.map_or(&[][..], |before| &before.missing);
    for step in state.missing.iter().filter(|step| !known.contains(step)) {
        warn!("uplink: {step}");
    }
    for step in known.iter().filter(|step| !state.missing.contains(step)) {
        info!("uplink: no longer so: {step}");
    }
}

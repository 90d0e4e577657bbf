//! Counting, exact to the frame, where a frame goes in a segment of several stations.
//!
//! A switch keeps the order of what comes in at one port. So a *marker*, a broadcast that the sender
//! sends last, arrives at every receiver behind all that was sent before; and one that a receiver
//! sends arrives at the sender. When the markers are there, what was not seen will not come.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail, ensure};
use tapweave_net::MacAddr;

use crate::capture::{Capture, Wanted};
use crate::frame;
use crate::lab::Lab;
use crate::sandbox::Sandbox;
use crate::traffic;

/// Gives every marker a text of its own.
static NEXT_MARKER: AtomicU32 = AtomicU32::new(1);

/// A sandbox's interface, and its captures of the test frames that come in.
#[derive(Debug)]
pub struct Station<'s> {
    sandbox: &'s Sandbox,
    ifname: String,
    mac: MacAddr,
    capture: Capture,
}

impl<'s> Station<'s> {
    /// Starts to record the test frames that come in at `ifname`, which has the address `mac`.
    ///
    /// # Errors
    ///
    /// When the recorder does not start.
    pub fn new(lab: &Lab, sandbox: &'s Sandbox, ifname: &str, mac: MacAddr) -> Result<Self> {
        Ok(Self {
            sandbox,
            ifname: ifname.to_owned(),
            mac,
            capture: lab.capture(sandbox, ifname, Wanted::TestFrames)?,
        })
    }

    /// As [`Station::new`], but records all frames.
    ///
    /// # Errors
    ///
    /// When the recorder does not start.
    pub fn of_everything(
        lab: &Lab,
        sandbox: &'s Sandbox,
        ifname: &str,
        mac: MacAddr,
    ) -> Result<Self> {
        Ok(Self {
            sandbox,
            ifname: ifname.to_owned(),
            mac,
            capture: lab.capture(sandbox, ifname, Wanted::Everything)?,
        })
    }

    /// Returns the address of the interface.
    pub const fn mac(&self) -> MacAddr {
        self.mac
    }

    /// Returns the record of what came in.
    pub const fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Sends frames as they are, each `count` times.
    ///
    /// # Errors
    ///
    /// When the kernel does not take them.
    pub fn send(&self, count: usize, frames: &[Vec<u8>]) -> Result<()> {
        traffic::send_raw(self.sandbox, &self.ifname, count, frames)
    }
}

/// Who gets a frame that is sent once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receivers<'r> {
    /// Every station but the sender.
    AllOthers,
    /// These, by their place in the list of stations.
    Only(&'r [usize]),
    /// Nobody.
    Nobody,
}

/// Lets a station send `frame` `count` times and requires that each receiver gets it exactly so often,
/// unchanged, and everybody else, the sender included, not at all.
///
/// # Errors
///
/// When a count is not exact, or the markers do not arrive.
pub fn expect_delivery(
    stations: &[Station<'_>],
    sender: usize,
    frame: &[u8],
    count: usize,
    receivers: Receivers<'_>,
) -> Result<()> {
    ensure!(sender < stations.len() && stations.len() > 1);
    for station in stations {
        station.capture.checker()?.equal_to(frame).none()?;
    }
    for (index, station) in stations.iter().enumerate() {
        if index == sender {
            station.send(count, &[frame.to_vec()])?;
        }
    }
    settle(stations, sender)?;
    for (index, station) in stations.iter().enumerate() {
        let gets = match receivers {
            Receivers::AllOthers => index != sender,
            Receivers::Only(some) => some.contains(&index),
            Receivers::Nobody => false,
        };
        let expected = if gets { count } else { 0 };
        station
            .capture
            .checker()?
            .equal_to(frame)
            .exactly(expected)?;
    }
    Ok(())
}

/// How often a station sends each frame in [`expect_every_kind`].
pub const COPIES: usize = 20;

/// Lets a station send a broadcast, a frame to a group, one to nobody who is there and one to the next station, each
/// [`COPIES`] times, and requires that all others get the first three and only that station the last.
///
/// # Errors
///
/// As [`expect_delivery`].
pub fn expect_every_kind(stations: &[Station<'_>], sender: usize) -> Result<()> {
    let next = (sender + 1) % stations.len().max(1);
    let (Some(from), Some(to)) = (stations.get(sender), stations.get(next)) else {
        bail!("no station {sender}");
    };
    let group = MacAddr::new([0x01, 0x00, 0x5e, 1, 2, 3]);
    for (destination, kind, receivers) in [
        (MacAddr::BROADCAST, "broadcast", Receivers::AllOthers),
        (group, "group", Receivers::AllOthers),
        (frame::mac(99), "unknown", Receivers::AllOthers),
        (to.mac, "next", Receivers::Only(&[next])),
    ] {
        let frame = frame::tagged(destination, from.mac, &format!("{kind} of {sender}"));
        expect_delivery(stations, sender, &frame, COPIES, receivers)?;
    }
    Ok(())
}

/// Waits until all that `sender` sent before has arrived wherever it goes.
///
/// # Errors
///
/// When a marker does not arrive soon.
pub fn settle(stations: &[Station<'_>], sender: usize) -> Result<()> {
    let reached = |from: &Station<'_>, to: &Station<'_>, tag: &str| {
        to.capture
            .wait_for(|seen| seen.tagged(tag).from(from.mac).exactly(1))
    };
    let Some(from) = stations.get(sender) else {
        return Ok(());
    };
    let tag = marker();
    from.send(1, &[frame::tagged(MacAddr::BROADCAST, from.mac, &tag)])?;
    let mut last = None;
    for (index, to) in stations.iter().enumerate() {
        if index != sender {
            reached(from, to, &tag)?;
            last = Some(to);
        }
    }
    // What the switch would wrongly give back to the sender has come before this.
    if let Some(back) = last {
        let tag = marker();
        back.send(1, &[frame::tagged(MacAddr::BROADCAST, back.mac, &tag)])?;
        reached(back, from, &tag)?;
    }
    Ok(())
}

fn marker() -> String {
    format!("marker {}", NEXT_MARKER.fetch_add(1, Ordering::Relaxed))
}

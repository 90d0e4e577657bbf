//! What outlives the daemon of what it has learned: the flows that gateways translate; stations, neighbours and members of
//! groups.
//!
//! # Theory of operation
//!
//! *While a daemon runs*, the [`Journal`] writes every [`journal::INTERVAL`] what has become of flows into memory that
//! another process keeps, and [`Snapshots`] write every [`snapshot::INTERVAL`] what else was learned, if anything was.
//! So after `kill -9`, which leaves no time to do anything, all is there but what happened since the last time. A daemon
//! from which another one takes over writes both once more when it has stopped to forward.
//!
//! *When the next one starts*, it reads that. A flow comes into the table when its networks are
//! there, known by their ids ([`Waiting`]), and before any port is: no packet of it can be taken for the first one of
//! another flow, and get another port outside. What else was learned comes with the network or the port that it is
//! about ([`Legacy`]), before frames of that port are forwarded. When all that was asked for is there again, what still waits is given
//! up, and the flows that rules would not allow any more end.
//!
//! *When one takes over from another*, it has its networks and the flows in its table while the other one still forwards, and
//! when that one has stopped only what became of flows since ([`LeftFlows`]).
//!
//! What is refused costs what it is about, never the start: who has no journal starts as every daemon did.

pub(crate) mod journal;
mod left_flows;
mod legacy;
mod shelf;
pub(crate) mod snapshot;
mod tally;
#[cfg(test)]
mod test_place;
mod waiting;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use tapweave_carry::{BootId, Carried};
use tapweave_nat::Nat;
use tracing::{info, warn};

pub(crate) use self::journal::Journal;
pub(crate) use self::left_flows::{FlowNews, LeftFlows};
pub(crate) use self::legacy::{Legacy, name_of};
use self::shelf::{Kept, Shelf};
pub(crate) use self::snapshot::{Contents, Moment, Snapshots};
pub(crate) use self::tally::Tally;
pub(crate) use self::waiting::Waiting;
use crate::holdings::Holdings;

/// Returns the journal that this daemon leaves; none where nobody would keep it.
pub(crate) fn journal(holdings: &Arc<Holdings>, nat: &Arc<Nat>) -> Option<Journal> {
    let boot = boot_to_write(holdings)?;
    let kept = Box::new(Kept::flows(Arc::clone(holdings)));
    Some(Journal::new(Arc::clone(nat), boot, kept))
}

/// Returns what writes down what else was learned; none where nobody would keep it.
pub(crate) fn snapshots(holdings: &Arc<Holdings>) -> Option<Snapshots> {
    let boot = boot_to_write(holdings)?;
    let kept = Box::new(Kept::learned(Arc::clone(holdings)));
    Some(Snapshots::new(boot, kept))
}

/// Returns what reads the flows that an earlier daemon has left, and tells of what this one has to do without.
pub(crate) fn left_flows(holdings: &Arc<Holdings>) -> LeftFlows {
    LeftFlows::new(Arc::clone(holdings), boot_id())
}

/// Returns what an earlier daemon had learned besides flows, as it has written it last.
pub(crate) fn left_learned(holdings: &Arc<Holdings>) -> Carried {
    match (Kept::learned(Arc::clone(holdings)).find(), boot_id()) {
        (Some(file), Some(boot)) => read(&file, boot, "stations").0,
        (None, _) | (_, None) => Carried::default(),
    }
}

fn boot_to_write(holdings: &Holdings) -> Option<BootId> {
    if !holdings.keeps_anything() {
        return None;
    }
    let boot = boot_id();
    if boot.is_none() {
        warn!(
            "the kernel does not tell one start of the machine from another: what is learned will not outlive the daemon"
        );
    }
    boot
}

fn boot_id() -> Option<BootId> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    BootId::parse(&text.ok()?)
}

/// Reads a file, and returns how many bytes of it were whole.
fn read(file: &File, boot: BootId, what: &str) -> (Carried, usize) {
    let read = contents(file).map_err(|error| error.to_string());
    let carried = read.and_then(|bytes| {
        tapweave_carry::read_so_far(&bytes, boot).map_err(|reason| reason.to_string())
    });
    match carried {
        Ok((carried, len)) => {
            for (table, reason) in &carried.refused {
                warn!(%reason, "the {table} of an earlier daemon are not taken over, and begin anew");
            }
            info!(
                flows = carried.flows.len(),
                stations = carried.stations.len(),
                neighbors = carried.neighbors.len(),
                members = carried.members.len(),
                "an earlier daemon has left {what}"
            );
            (carried, len)
        }
        Err(reason) => {
            warn!(%reason, "what an earlier daemon knew of {what} is not taken over, and begins anew");
            (Carried::default(), 0)
        }
    }
}

/// Returns what is in a file, wherever in it others stand.
fn contents(file: &File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

//! The part of the demo that spans both hosts: an overlay over their underlay.

use anyhow::{Context, Result};
use tapweave_control::api::{FdbEntryView, PeerStateView, PeerView};

use super::host::HostName;
use super::lab::{Lab, OVERLAY};
use super::story::{Report, datagrams, ping, throughput, transfer};

/// Does everything for which both hosts are needed.
pub(super) fn tell(lab: &mut Lab, report: &mut Report) -> Result<()> {
    ping(lab, report, "erin", "frank")?;
    datagrams(lab, report, "grace", "erin")?;
    transfer(lab, report, "frank", "erin")?;
    for host in [HostName::East, HostName::West] {
        stations(lab, report, host)?;
    }
    throughput(lab, report, ("erin", "frank"), 1, sent_to_west)?;
    report.peers = lab.call(lab.client().peers(Some(OVERLAY)))?;
    peer(report);
    Ok(())
}

/// A host must know each station of the other one, and where that is.
fn stations(lab: &Lab, report: &mut Report, host: HostName) -> Result<()> {
    let vtep = host.other().underlay();
    let fdb = lab.call(lab.client_of(host).fdb(Some(OVERLAY)))?;
    let sandboxes = lab.sandboxes.iter();
    let far = sandboxes.filter(|sandbox| {
        sandbox.host == host.other() && sandbox.endpoint.network.as_str() == OVERLAY
    });
    let is_known = |mac| {
        let at_vtep = |entry: &FdbEntryView| entry.mac == mac && entry.vtep == Some(vtep.into());
        fdb.iter().any(at_vtep)
    };
    let (known, unknown): (Vec<_>, Vec<_>) = far
        .map(|sandbox| &sandbox.endpoint)
        .partition(|endpoint| is_known(endpoint.mac));
    let names: Vec<_> = known.iter().map(|it| it.sandbox.as_str()).collect();
    let found = format!("{} at VTEP {vtep}", names.join(" and "));
    report.add("fdb show", host.as_str(), found, unknown.is_empty());
    Ok(())
}

/// What passed must have come from the other host. Of a flood some may be dropped.
fn peer(report: &mut Report) {
    let west = HostName::West.underlay();
    let row = report.peers.iter().find(|peer| peer.address == west);
    let (found, ok) = match row {
        Some(peer) => (peer_text(peer), is_well(peer)),
        None => (format!("{west} is not there"), false),
    };
    report.add("peer ls", HostName::East.as_str(), found, ok);
}

fn peer_text(peer: &PeerView) -> String {
    let (state, inner) = (peer.state.as_str(), peer.mtu.unwrap_or_default());
    format!(
        "{} {state}, path MTU {}, inner {inner}; {} drops",
        peer.address,
        peer.path_mtu,
        peer.counters.drop_count()
    )
}

fn is_well(peer: &PeerView) -> bool {
    peer.state == PeerStateView::Heard && peer.counters.rx_frames > 0 && peer.mtu.is_some()
}

/// Returns how many bytes of frames east has sent to west.
fn sent_to_west(lab: &Lab) -> Result<u64> {
    let peers = lab.call(lab.client().peers(Some(OVERLAY)))?;
    let west = peers.first().context("west is no peer")?;
    Ok(west.counters.tx_bytes)
}

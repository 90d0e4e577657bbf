//! What outlives the daemon of a place on a LAN: its two sockets, its MAC address, and what is known of its addresses.
//!
//! The LAN sees one station that stays: frames wait in the sockets, and the next daemon has the addresses at once,
//! without asking whether they are free. The MAC address is kept too, since a machine without an id has another one
//! each time.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tapweave_device::{HeldKey, PacketError, PacketSocket, PacketView};
use tapweave_net::MacAddr;
use tracing::{info, warn};

use crate::holdings::{self, Holdings};
use crate::uplink::lan::LeftPlace;

/// What is to be known beside the sockets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// The interface's name and index.
    pub(super) ifname: String,
    pub(super) index: u32,
    pub(super) mac: MacAddr,
    pub(super) place: LeftPlace,
}

/// The sockets of a place: what carries the traffic, and what hears of the LAN's configuration.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) traffic: PacketSocket,
    pub(super) configuration: PacketSocket,
}

impl Sockets {
    pub(super) fn open(index: u32, mac: MacAddr) -> Result<Self, PacketError> {
        Ok(Self {
            traffic: PacketSocket::open(index, PacketView::Station(mac))?,
            configuration: PacketSocket::open(index, PacketView::Configuration(mac))?,
        })
    }
}

/// A place that an earlier daemon has left.
#[derive(Debug)]
pub(super) struct Left {
    note: Note,
    traffic: OwnedFd,
    configuration: OwnedFd,
}

impl Left {
    pub(super) const fn mac(&self) -> MacAddr {
        self.note.mac
    }

    /// Takes up the sockets, if they are on the interface of this index.
    fn adopt(self, index: u32) -> Result<(Sockets, LeftPlace), PacketError> {
        let mac = self.note.mac;
        if self.note.index != index {
            return Err(PacketError::NoInterface);
        }
        let sockets = Sockets {
            traffic: PacketSocket::adopt(self.traffic, index, PacketView::Station(mac))?,
            configuration: PacketSocket::adopt(
                self.configuration,
                index,
                PacketView::Configuration(mac),
            )?,
        };
        Ok((sockets, self.note.place))
    }
}

/// Keeps a place for the next daemon.
#[derive(Debug)]
pub(super) struct Keeping {
    holdings: Arc<Holdings>,
    /// What was noted last.
    noted: Option<Note>,
}

impl Keeping {
    pub(super) const fn new(holdings: Arc<Holdings>) -> Self {
        Self {
            holdings,
            noted: None,
        }
    }

    /// Returns the place that an earlier daemon had on the interface of this name.
    pub(super) fn claim(&self, ifname: &str) -> Option<Left> {
        let held = self.holdings.claim(&key())?;
        let note = serde_json::from_str::<Note>(&held.note).ok();
        let sockets = <[OwnedFd; 2]>::try_from(held.fds).ok();
        let left = note
            .zip(sockets)
            .map(|(note, [traffic, configuration])| Left {
                note,
                traffic,
                configuration,
            });
        let left = left.filter(|left| left.note.ifname == ifname);
        if left.is_none() {
            info!("the place on a LAN that an earlier daemon had is not wanted, or not understood");
            self.let_go();
        }
        left
    }

    /// Takes up a place that was left, if it is still there.
    pub(super) fn adopt(&self, left: Left, index: u32) -> Option<(Sockets, LeftPlace)> {
        match left.adopt(index) {
            Ok(adopted) => {
                info!("the place on the LAN is taken over");
                Some(adopted)
            }
            Err(error) => {
                let reason = anyhow::Error::from(error);
                warn!("the place on the LAN cannot be taken over and begins anew: {reason:#}");
                self.let_go();
                None
            }
        }
    }

    /// Has the two sockets kept with this note, unless that was noted last.
    pub(super) fn keep(&mut self, note: Note, sockets: [BorrowedFd<'_>; 2]) {
        if self.noted.as_ref() == Some(&note) {
            return;
        }
        // All of it has a form in JSON; without one the place would begin anew.
        let text = serde_json::to_string(&note).unwrap_or_default();
        self.holdings.keep(&key(), &text, &sockets);
        self.noted = Some(note);
    }

    /// Has the sockets go with those of this daemon.
    pub(super) fn close(&mut self) {
        self.noted = None;
        self.let_go();
    }

    fn let_go(&self) {
        self.holdings.let_go(&key());
    }
}

fn key() -> HeldKey {
    HeldKey::new(holdings::UPLINK, "nic")
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use tapweave_device::Held;

    use super::*;

    const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 7]);

    fn note() -> Note {
        Note {
            ifname: "eth0".to_owned(),
            index: 2,
            mac: MAC,
            place: LeftPlace::default(),
        }
    }

    /// Returns what has found a place with this note and as many sockets.
    fn found(note: &str, count: usize) -> Keeping {
        let sockets = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let held = Held {
            key: key(),
            note: note.to_owned(),
            fds: sockets.map(OwnedFd::from).collect(),
        };
        Keeping::new(Arc::new(Holdings::having(vec![held])))
    }

    #[test]
    fn a_place_is_claimed_by_the_name_of_its_interface_and_adopted_if_it_is_one() {
        let text = serde_json::to_string(&note()).unwrap();
        let left = found(&text, 2).claim("eth0").unwrap();
        assert_eq!(left.mac(), MAC);
        // The interface is another one with the name, and then the sockets are of another kind.
        for index in [3, 2] {
            let keeping = found(&text, 2);
            let left = keeping.claim("eth0").unwrap();
            assert!(keeping.adopt(left, index).is_none());
        }
        assert!(found(&text, 2).claim("eth1").is_none());
        assert!(found(&text, 1).claim("eth0").is_none());
        assert!(found("of a later version", 2).claim("eth0").is_none());
        assert!(
            Keeping::new(Arc::new(Holdings::nothing()))
                .claim("eth0")
                .is_none()
        );
    }
}

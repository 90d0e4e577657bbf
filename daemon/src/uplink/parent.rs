//! The way of a network to the LAN of an interface of the host (`network create -d nic --parent`).
//!
//! A packet socket on the interface is a port of the network like those of sandboxes: the switch learns
//! the stations of the LAN behind it and floods to it. The interface is promiscuous meanwhile, because
//! sandboxes have MAC addresses of their own. What is for the host's own address on the interface stays
//! out, or every sandbox would be flooded with it.
//!
//! # Loops
//!
//! What the host sends is not seen, so nothing that goes out comes back in here. A loop needs a second way
//! between the network and the LAN: a sandbox that bridges two networks, or a second network with the
//! same parent, which is refused. Limits of storms hold for this port as for others.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tapweave_control::datapath::{Datapath as _, DatapathError, DatapathErrorKind as Kind};
use tapweave_device::{HostLink, PacketError, PacketSocket, PacketView, PortQueue};
use tapweave_net::{NetworkNo, PortNo};
use tracing::{info, warn};

use super::keeper::Line;
use crate::datapath::SwitchDatapath;

/// A network and its interface.
#[derive(Debug)]
pub(crate) struct ParentLine {
    network: NetworkNo,
    ifname: String,
    /// Made and not yet a port.
    made: Option<(HostLink, PacketSocket)>,
    open: Option<(HostLink, PortNo)>,
    was_there: bool,
}

impl ParentLine {
    /// Opens a socket on an interface that is there.
    ///
    /// # Errors
    ///
    /// When there is no such interface or it may not be used.
    pub(crate) fn new(network: NetworkNo, ifname: &str) -> Result<Self, DatapathError> {
        let link = HostLink::by_name(ifname)
            .map_err(|error| DatapathError::new(Kind::Internal, error))?
            .ok_or_else(|| DatapathError::new(Kind::Invalid, super::no_interface(ifname)))?;
        let socket = open_socket(&link).map_err(|error| {
            let kind = match &error {
                PacketError::NotPermitted => Kind::Denied,
                PacketError::NoInterface => Kind::Invalid,
                PacketError::Failed { .. } | _ => Kind::Internal,
            };
            DatapathError::new(kind, error)
        })?;
        Ok(Self {
            network,
            ifname: ifname.to_owned(),
            made: Some((link, socket)),
            open: None,
            was_there: true,
        })
    }

    fn try_open(
        &mut self,
        link: HostLink,
        datapath: &SwitchDatapath,
    ) -> Result<(HostLink, PortNo)> {
        let made = self.made.take().filter(|(made, _)| is_same(made, &link));
        let socket = match made {
            Some((_, socket)) => socket,
            None => open_socket(&link)?,
        };
        let queue: Arc<dyn PortQueue> = Arc::new(socket.into_queue());
        let port = datapath.open_parent(self.network, queue)?;
        Ok((link, port))
    }
}

fn open_socket(link: &HostLink) -> Result<PacketSocket, PacketError> {
    PacketSocket::open(link.index, PacketView::Bridge(link.mac))
}

/// Tells whether a socket on the one does for the other: the filter has the address.
fn is_same(one: &HostLink, other: &HostLink) -> bool {
    (one.index, one.mac) == (other.index, other.mac)
}

impl Line for ParentLine {
    fn tend(&mut self, datapath: &SwitchDatapath) -> Option<Duration> {
        // What the kernel does not say now it says at the next look.
        let link = HostLink::by_name(&self.ifname).ok()?;
        let is_open = match (&self.open, &link) {
            (Some((open, _)), Some(link)) => is_same(open, link),
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        if is_open {
            return None;
        }
        self.close(datapath);
        let ifname = &self.ifname;
        let Some(link) = link else {
            if self.was_there {
                warn!(
                    interface = ifname,
                    "the parent interface of a network is gone"
                );
                self.was_there = false;
            }
            return None;
        };
        if !self.was_there {
            info!(
                interface = ifname,
                "the parent interface of a network is back"
            );
            self.was_there = true;
        }
        match self.try_open(link, datapath) {
            Ok(open) => self.open = Some(open),
            Err(error) => {
                let interface = &self.ifname;
                warn!(
                    interface,
                    "a network cannot join its parent interface: {error:#}"
                );
            }
        }
        None
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn close(&mut self, datapath: &SwitchDatapath) {
        if let Some((_, port)) = self.open.take() {
            datapath.remove_port(port);
        }
    }
}

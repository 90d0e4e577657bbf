//! The addresses of networks, as servers get them: from the controller.

use std::net::Ipv4Addr;

use tapweave_control::Controller;
use tapweave_dhcp::{ClientKey, KeptLease, Pool};
use tapweave_net::PortNo;

/// The addresses that a controller has to give. Which network it is follows from the port.
#[derive(Debug)]
pub(super) struct ControllerPool<'c>(pub(super) &'c Controller);

impl Pool for ControllerPool<'_> {
    fn take(
        &mut self,
        port: PortNo,
        client: &ClientKey,
        wanted: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        self.0.take_lease(port, client, wanted)
    }

    fn take_exactly(&mut self, port: PortNo, client: &ClientKey, address: Ipv4Addr) -> bool {
        self.0.take_lease_of(port, client, address)
    }

    fn keep(&mut self, port: PortNo, lease: &KeptLease) -> bool {
        self.0.keep_lease(port, lease)
    }

    fn give_back(&mut self, port: PortNo, address: Ipv4Addr) {
        self.0.give_back_lease(port, address);
    }

    fn set_aside(&mut self, port: PortNo, address: Ipv4Addr) {
        self.0.set_aside_lease(port, address);
    }
}

//! What overlays tell of the underlay and of themselves.

use tapweave_control::datapath::{OverlayPlace, SocketBufferState, UnderlayAddress, UnderlayState};
use tapweave_device::SocketBuffer;
use tapweave_net::NetworkNo;

use super::Overlay;

impl Overlay {
    /// Returns where a network is on the underlay, `None` when it is no overlay.
    pub(crate) fn place(&self, network: NetworkNo) -> Option<OverlayPlace> {
        let state = self.state();
        let port = state.networks.get(&network)?.port;
        let addresses = state.local.iter().collect();
        Some(OverlayPlace { port, addresses })
    }

    /// Returns what the underlay is and what it refused.
    pub(crate) fn underlay(&self) -> UnderlayState {
        let state = self.state();
        let mut addresses = Vec::new();
        for (port, endpoint) in &state.endpoints {
            for (addr, sockets) in endpoint.all_sockets() {
                let sender = self.sender(*addr).load_full();
                let refusal = sender.as_ref().and_then(|it| it.segmentation_refusal());
                addresses.push(UnderlayAddress {
                    address: *addr,
                    encap: endpoint.kind().to_string(),
                    port: *port,
                    sockets: sockets.count(),
                    segmentation: sender.as_ref().is_some_and(|it| it.has_segmentation()),
                    segmentation_refusal: refusal.map(|error| error.to_string()),
                    gro: sockets.has_gro,
                    receive_buffer: buffer_state(sockets.receive_buffer),
                    send_buffer: sender.map(|sender| buffer_state(sender.send_buffer())),
                });
            }
        }
        let refused = self.refusals.nonzero();
        UnderlayState {
            addresses,
            refused: refused
                .map(|(reason, count)| (reason.as_str().to_owned(), count))
                .collect(),
        }
    }
}

const fn buffer_state(buffer: SocketBuffer) -> SocketBufferState {
    SocketBufferState {
        asked_len: buffer.asked_len,
        granted_len: buffer.granted_len,
    }
}

//! What the gateways translate.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tapweave_net::NetworkNo;

use super::Controller;
use crate::api::NatFlowView;
use crate::datapath::NatFlow;
use crate::{ControlError, Name};

impl Controller {
    /// Returns at most `limit` translated flows of one network, or of all, in order of network, protocol
    /// and who opened them.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn nat_flows(
        &self,
        network: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NatFlowView>, ControlError> {
        let flows = self.datapath.nat_flows(self.number(network)?, limit);
        let names = self.names_inside();
        let mut views: Vec<_> = flows.iter().filter_map(|flow| view(flow, &names)).collect();
        views.sort_by(|a, b| {
            (&a.network, &a.protocol, &a.original).cmp(&(&b.network, &b.protocol, &b.original))
        });
        Ok(views)
    }

    /// Forgets the translated flows of one network, or of all, and returns how many there were. What
    /// goes on over them is cut, or begins anew.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn nat_flush(&self, network: Option<&str>) -> Result<usize, ControlError> {
        Ok(self.datapath.nat_flush(self.number(network)?))
    }

    fn number(&self, network: Option<&str>) -> Result<Option<NetworkNo>, ControlError> {
        let Some(reference) = network else {
            return Ok(None);
        };
        Ok(Some(self.model().network(reference)?.number))
    }

    /// Returns the names of the networks, and of the ports by their addresses.
    fn names_inside(&self) -> Names {
        let model = self.model();
        let mut names = Names::default();
        for network in model.networks() {
            names.networks.insert(network.number, network.name.clone());
            for endpoint in model.endpoints_of(&network.id) {
                let addresses = endpoint.addresses.iter();
                names.ports.extend(addresses.map(|address| {
                    let at = (network.number, address.addr());
                    (at, endpoint.port_name())
                }));
            }
        }
        names
    }
}

#[derive(Debug, Default)]
struct Names {
    networks: BTreeMap<NetworkNo, Name>,
    ports: BTreeMap<(NetworkNo, IpAddr), String>,
}

/// Returns what the API shows, `None` when the network has just gone.
fn view(flow: &NatFlow, names: &Names) -> Option<NatFlowView> {
    Some(NatFlowView {
        protocol: flow.protocol.to_owned(),
        kind: flow.kind.to_owned(),
        network: names.networks.get(&flow.network)?.clone(),
        port: names.ports.get(&(flow.network, flow.inner)).cloned(),
        original: flow.original,
        reply: flow.reply,
        state: flow.state.to_owned(),
        expires_ms: u64::try_from(flow.expires.as_millis()).unwrap_or(u64::MAX),
        sent: flow.sent,
        received: flow.received,
    })
}

//! The plan of an endpoint, with addresses that nobody else has.
//!
//! The model knows who was given an address. Whether something else has it, a host on a LAN for instance, only
//! the packet path can find out ([`Datapath::find_holder`](crate::datapath::Datapath::find_holder)), and it takes its time. So
//! an endpoint is planned, which takes its addresses, and then it is looked; if one is in use, it is set aside and
//! the endpoint is planned again with others. An address that was asked for is refused.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use tapweave_net::NetworkNo;
use tapweave_switch::AddressHolder;
use tracing::debug;

use super::Controller;
use crate::datapath::{AddressProbing, InterfaceSettings, SandboxNo};
use crate::model::EndpointPlan;
use crate::{ControlError, Id, Name};

/// Addresses found in use by one request before it is refused: a holder answers in milliseconds, and a hostile one
/// could answer for all.
const CONFLICTS_MAX: usize = 256;

/// An endpoint that has everything but its port.
pub(super) struct Planned {
    pub(super) id: Id,
    pub(super) sandbox: SandboxNo,
    pub(super) network: NetworkNo,
    pub(super) interface: InterfaceSettings,
}

impl Controller {
    /// Plans an endpoint. The caller has the sandbox's turn.
    pub(super) fn plan(&self, plan: &EndpointPlan) -> Result<Planned, ControlError> {
        let asked_for = [plan.ip.map(IpAddr::V4), plan.ip6.map(IpAddr::V6)];
        let mut in_use = BTreeSet::new();
        loop {
            let (planned, probing, network) = self.plan_unseen(plan.clone())?;
            let Some(holder) = self.holder(&planned, probing) else {
                return Ok(planned);
            };
            let AddressHolder { address, mac } = holder;
            let mut model = self.model();
            model.set_aside(&planned.id, address);
            model.forget_endpoint(&planned.id);
            drop(model);
            debug!(%network, %address, %mac, "an address is in use by a station that is no endpoint");
            if asked_for.contains(&Some(address)) {
                return Err(ControlError::AddressAnswered {
                    address,
                    mac,
                    network,
                });
            }
            // One that comes again was the last that is left.
            if !in_use.insert(address) || in_use.len() >= CONFLICTS_MAX {
                return Err(ControlError::AddressesAnswered {
                    count: in_use.len(),
                    address,
                    mac,
                    network,
                });
            }
        }
    }

    /// Plans an endpoint without looking whether anything else has its addresses.
    fn plan_unseen(
        &self,
        plan: EndpointPlan,
    ) -> Result<(Planned, AddressProbing, Name), ControlError> {
        let mut model = self.model();
        let probing = model.network(&plan.network)?.settings.probing;
        let endpoint = model.plan_endpoint(plan)?;
        let planned = Planned {
            id: endpoint.id.clone(),
            sandbox: endpoint.sandbox,
            network: endpoint.network_no,
            interface: endpoint.interface(),
        };
        Ok((planned, probing, endpoint.network.clone()))
    }

    fn holder(&self, planned: &Planned, probing: AddressProbing) -> Option<AddressHolder> {
        let addresses = planned.interface.addresses.iter().map(IpNet::addr);
        let addresses: Vec<_> = addresses.collect();
        if probing == AddressProbing::Off || addresses.is_empty() {
            return None;
        }
        let vlan = planned.interface.vlans.untagged();
        self.datapath.find_holder(planned.network, vlan, &addresses)
    }
}

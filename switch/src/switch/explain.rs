//! What would happen to a frame, for people.

use tapweave_net::{Frame, PortNo, Timestamp};

use super::Switch;
use crate::decide::{Prepared, decide};
use crate::explain::{Explanation, Learning, Stage};
use crate::gateway::{self, Ingress};
use crate::snapshot::Snapshot;
use crate::{DropReason, EgressPort, GroupSlot, Pipeline, Verdict};

impl Switch {
    /// Returns what would happen to a frame that came in from `ingress` now, and why. Changes nothing.
    pub fn explain(&self, now: Timestamp, ingress: PortNo, frame: &Frame<'_>) -> Explanation {
        let snapshot = self.published.load();
        let port = snapshot.port(ingress);
        let mut stages = vec![Stage::Ingress {
            port: ingress,
            network: port.map(|port| port.network.no),
        }];
        let Some(port) = port else {
            let routed = snapshot.routed_ingress(ingress);
            let (verdict, egress) = match routed {
                Some(routed) => {
                    let egress = gateway_egress(&snapshot, now, routed, frame, &mut stages);
                    (Verdict::Gateway, egress.into_iter().collect())
                }
                None => (Verdict::Drop(DropReason::PortGone), Vec::new()),
            };
            return Explanation {
                stages,
                verdict,
                learning: Learning::NotReached,
                egress,
            };
        };
        let prepared = Prepared::new(frame.data(), port);
        let decision = decide(&snapshot, port, now, frame, &prepared, &mut stages);
        let source = stages.iter().find_map(|stage| match stage {
            Stage::Source { learning, .. } => Some(*learning),
            Stage::Ingress { .. }
            | Stage::Size { .. }
            | Stage::Vlan { .. }
            | Stage::Guard { .. }
            | Stage::Destination { .. }
            | Stage::Group { .. }
            | Stage::Storm { .. }
            | Stage::Gateway { .. } => None,
        });
        let mut decided = decision.verdict;
        if let Some(charge) = decision.charge {
            let outcome = charge.quote(now);
            stages.push(Stage::Storm {
                class: charge.class(),
                outcome,
            });
            if let Err(above_limit) = outcome {
                decided = Verdict::Drop(above_limit);
            }
        }
        let listeners = decision.group.and_then(|group| group.ports);
        let (verdict, egress) = match (decided, listeners) {
            (Verdict::Flood(vlan), Some(ports)) => (
                Verdict::Multicast(vlan, GroupSlot(0)),
                port.group_set(&snapshot, vlan, &ports).collect(),
            ),
            (Verdict::Flood(vlan), None) => (decided, port.flood_set(vlan).collect()),
            (Verdict::Forward(egress), _) => (decided, vec![egress]),
            (Verdict::Gateway, _) => {
                let port = Ingress::Port(port);
                let egress = gateway_egress(&snapshot, now, port, frame, &mut stages);
                (decided, egress.into_iter().collect())
            }
            (Verdict::Answer(_), _) => (decided, vec![EgressPort::unchanged(ingress)]),
            (Verdict::Multicast(..) | Verdict::Drop(_), _) => (decided, Vec::new()),
        };
        Explanation {
            stages,
            verdict,
            learning: source.unwrap_or(Learning::NotReached),
            egress,
        }
    }
}

/// Returns the port to which the gateway would send a frame, and adds its steps to `stages`.
fn gateway_egress(
    snapshot: &Snapshot,
    now: Timestamp,
    ingress: Ingress<'_>,
    frame: &Frame<'_>,
    stages: &mut Vec<Stage>,
) -> Option<EgressPort> {
    let headroom = Pipeline::GATEWAY_HEADROOM;
    let mut copy = vec![0; headroom];
    copy.extend_from_slice(frame.data());
    let mut copy = Frame::new(&mut copy, headroom, frame.offload());
    gateway::explain(snapshot, now, ingress, &mut copy, stages)
}

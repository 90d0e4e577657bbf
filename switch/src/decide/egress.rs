//! The last stage: may it go where its destination is.

use super::destination::Target;
use crate::snapshot::Port;
use crate::{DropReason, EgressPort, FrameVlan, Isolation, Verdict};

#[inline]
pub(super) fn permit(ingress: &Port, vlan: FrameVlan, target: Target<'_>) -> Verdict {
    match target {
        Target::Reserved => Verdict::Drop(DropReason::ReservedDestination),
        Target::Sender => Verdict::Drop(DropReason::SamePort),
        Target::Gateway => Verdict::Gateway,
        Target::Answered(answer) => Verdict::Answer(answer),
        Target::Group | Target::Question | Target::Unknown => Verdict::Flood(vlan),
        Target::Port(port) if port.no == ingress.no => Verdict::Drop(DropReason::SamePort),
        Target::Port(port) if !ingress.isolation.permits(port.isolation) => {
            Verdict::Drop(match (ingress.isolation, port.isolation) {
                (Isolation::Tunnel, Isolation::Tunnel) => DropReason::SplitHorizon,
                _ => DropReason::Isolated,
            })
        }
        Target::Port(port) => Verdict::Forward(EgressPort {
            port: port.no,
            tag: port.vlans.tag_action(vlan),
        }),
    }
}

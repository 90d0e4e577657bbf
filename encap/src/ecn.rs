//! ECN across a tunnel (RFC 6040).
//!
//! Where a packet enters, the outer header shows what the inner one does, so that routers mark the
//! outer header instead of dropping. Where it leaves, the marks are brought into the inner header;
//! a mark that the inner packet's sender would not understand becomes the loss that it stands for.

use crate::{Ecn, Refusal};

/// What the ingress shows of the inner ECN field (RFC 6040 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum EcnMode {
    /// Everything. For peers that bring marks back into the inner header, as RFC 6040, RFC 4301 and
    /// RFC 3168 demand; the kernel's tunnels do.
    #[default]
    Normal,
    /// Nothing: the outer packet is Not-ECT. For peers that drop the outer header unread.
    Compatibility,
}

impl EcnMode {
    /// Returns the outer field for an inner one (RFC 6040 §4.1, figure 3).
    #[inline]
    pub const fn outer(self, inner: Ecn) -> Ecn {
        match self {
            Self::Normal => inner,
            Self::Compatibility => Ecn::NotEct,
        }
    }
}

/// Returns the field of the packet that leaves the tunnel (RFC 6040 §4.2, figure 4).
///
/// # Errors
///
/// [`Refusal::EcnDrop`] when the outer packet met congestion and the inner one is Not-ECT.
#[inline]
pub const fn decapsulated(inner: Ecn, outer: Ecn) -> Result<Ecn, Refusal> {
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => Err(Refusal::EcnDrop),
        (Ecn::Ect0 | Ecn::Ect1 | Ecn::Ce, Ecn::Ce) => Ok(Ecn::Ce),
        (Ecn::Ect0, Ecn::Ect1) => Ok(Ecn::Ect1),
        (inner, Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1) => Ok(inner),
    }
}

/// Tells whether a pair of fields cannot come from a well-behaved ingress and network: the "(!!!)"
/// of RFC 6040 §4.2, figure 4. It does not change what becomes of the packet; it is worth counting.
#[inline]
pub const fn is_anomalous(inner: Ecn, outer: Ecn) -> bool {
    matches!(
        (inner, outer),
        (Ecn::NotEct, Ecn::Ect0 | Ecn::Ect1 | Ecn::Ce) | (Ecn::Ce, Ecn::Ect1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Ecn = Ecn::NotEct;
    const E0: Ecn = Ecn::Ect0;
    const E1: Ecn = Ecn::Ect1;
    const CE: Ecn = Ecn::Ce;

    #[test]
    fn figure_3_of_rfc_6040_the_outer_field_at_the_ingress() {
        // inner, outer in compatibility mode, outer in normal mode
        for (inner, compatibility, normal) in [(N, N, N), (E0, N, E0), (E1, N, E1), (CE, N, CE)] {
            assert_eq!(EcnMode::Compatibility.outer(inner), compatibility);
            assert_eq!(EcnMode::Normal.outer(inner), normal);
        }
    }

    #[test]
    fn figure_4_of_rfc_6040_the_outgoing_field_at_the_egress() {
        let drop = Err(Refusal::EcnDrop);
        // Rows: the arriving inner header; columns: the arriving outer header.
        let figure = [
            //     Not-ECT, ECT(0), ECT(1), CE
            (N, [Ok(N), Ok(N), Ok(N), drop]),
            (E0, [Ok(E0), Ok(E0), Ok(E1), Ok(CE)]),
            (E1, [Ok(E1), Ok(E1), Ok(E1), Ok(CE)]),
            (CE, [Ok(CE), Ok(CE), Ok(CE), Ok(CE)]),
        ];
        for (inner, row) in figure {
            for (outer, want) in Ecn::ALL.into_iter().zip(row) {
                assert_eq!(decapsulated(inner, outer), want, "{inner} in {outer}");
            }
        }
    }

    #[test]
    fn figure_4_of_rfc_6040_the_dangerous_combinations() {
        let dangerous = [(N, E0), (N, E1), (N, CE), (CE, E1)];
        for inner in Ecn::ALL {
            for outer in Ecn::ALL {
                let want = dangerous.contains(&(inner, outer));
                assert_eq!(is_anomalous(inner, outer), want, "{inner} in {outer}");
            }
        }
    }

    #[test]
    fn no_packet_is_lost_on_a_path_without_congestion() {
        for inner in Ecn::ALL {
            for mode in [EcnMode::Normal, EcnMode::Compatibility] {
                let outer = mode.outer(inner);
                assert_eq!(decapsulated(inner, outer), Ok(inner));
                assert!(!is_anomalous(inner, outer));
            }
        }
    }
}

//! Work that a frame still carries: checksums to complete, segments to cut.
//!
//! A frame that comes from a TAP may be a *super-frame* of up to 64 KiB whose TCP or UDP payload is to
//! be cut into segments, and whose L4 checksum is *partial*: the checksum field holds the folded,
//! not inverted sum of the pseudo-header, and whoever lets the frame out of the reach of offloads
//! completes it. Between two ports that both take offloads nothing has to be done at all; that is
//! where most of the throughput comes from.

/// What is left to do before the frame may stand on a wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Offload {
    /// State of the L4 checksum.
    pub checksum: ChecksumOffload,
    /// How the frame is to be cut, if it is a super-frame.
    pub gso: Option<Gso>,
}

impl Offload {
    /// Nothing left to do.
    pub const NONE: Self = Self {
        checksum: ChecksumOffload::Complete,
        gso: None,
    };

    /// Returns the abilities that a device needs to take a frame with this left to do.
    ///
    /// `l3_is_v6` tells which family a UDP super-frame is of; it is not asked for others.
    pub fn needs(&self, l3_is_v6: impl FnOnce() -> bool) -> OffloadSet {
        let checksum = match self.checksum {
            ChecksumOffload::Partial { .. } => OffloadSet::CHECKSUM,
            ChecksumOffload::Complete | ChecksumOffload::Validated => OffloadSet::EMPTY,
        };
        let gso = match self.gso.map(|gso| gso.kind) {
            None => OffloadSet::EMPTY,
            Some(GsoKind::TcpV4) => OffloadSet::TSO4,
            Some(GsoKind::TcpV6) => OffloadSet::TSO6,
            Some(GsoKind::Udp) if l3_is_v6() => OffloadSet::USO6,
            Some(GsoKind::Udp) => OffloadSet::USO4,
        };
        checksum.union(gso)
    }
}

/// State of a frame's L4 checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum ChecksumOffload {
    /// The field holds what it should; nobody has verified it.
    #[default]
    Complete,
    /// The field holds what it should and a device verified it.
    Validated,
    /// The field holds the folded pseudo-header sum; the one's complement sum from `start` to the end
    /// of the frame, inverted, has to be stored at `start + offset`.
    Partial {
        /// First byte that the checksum covers, from the start of the frame.
        start: u16,
        /// The checksum field, from `start`.
        offset: u16,
    },
}

/// How a super-frame is to be cut into segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Gso {
    /// What is cut.
    pub kind: GsoKind,
    /// TCP only: CWR is set on the first segment and on no other (RFC 3168 §6.1.2).
    pub ecn: bool,
    /// L4 payload bytes of every segment but the last. Never zero.
    pub size: u16,
    /// Bytes that the sender would like to see contiguous. A hint: at least the headers, often more,
    /// so never a header length to rely on.
    pub header_len_hint: u16,
}

/// Protocols that are cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over IPv4 or IPv6, each segment a datagram of its own.
    Udp,
}

/// A set of offloads that a device takes off the sender's hands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct OffloadSet(u8);

impl OffloadSet {
    /// No offload.
    pub const EMPTY: Self = Self(0);
    /// Completes partial checksums.
    pub const CHECKSUM: Self = Self(1);
    /// Cuts TCP over IPv4.
    pub const TSO4: Self = Self(1 << 1);
    /// Cuts TCP over IPv6.
    pub const TSO6: Self = Self(1 << 2);
    /// Cuts UDP over IPv4.
    pub const USO4: Self = Self(1 << 3);
    /// Cuts UDP over IPv6.
    pub const USO6: Self = Self(1 << 4);
    /// All of them.
    pub const ALL: Self = Self(0x1f);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::CHECKSUM, "csum"),
        (Self::TSO4, "tso4"),
        (Self::TSO6, "tso6"),
        (Self::USO4, "uso4"),
        (Self::USO6, "uso6"),
    ];

    /// Returns the members of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether every member of `other` is in the set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the short names of the members (`csum`, `tso4`, …) in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(one, _)| self.contains(*one))
            .map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_super_frame_asks_for_its_own_kind_of_cutting() {
        let partial = ChecksumOffload::Partial {
            start: 34,
            offset: 16,
        };
        let gso = |kind| {
            Some(Gso {
                kind,
                ecn: false,
                size: 1448,
                header_len_hint: 66,
            })
        };
        let needs = |kind, v6| {
            Offload {
                checksum: partial,
                gso: gso(kind),
            }
            .needs(|| v6)
        };
        assert_eq!(
            needs(GsoKind::TcpV4, false).names().collect::<Vec<_>>(),
            ["csum", "tso4"]
        );
        assert_eq!(
            needs(GsoKind::Udp, false).names().collect::<Vec<_>>(),
            ["csum", "uso4"]
        );
        assert_eq!(
            needs(GsoKind::Udp, true).names().collect::<Vec<_>>(),
            ["csum", "uso6"]
        );
        assert_eq!(Offload::NONE.needs(|| false), OffloadSet::EMPTY);
        assert!(OffloadSet::ALL.contains(needs(GsoKind::TcpV6, true)));
    }
}

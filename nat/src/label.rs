//! What a record of the table is, and which other records it has a share in.

use crate::FlowKind;

/// The label of a record. It never changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label(u32);

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A flow or a mapping, as users see them.
    Flow(FlowKind),
    /// What is counted of a sandbox's address.
    Host,
}

const KIND: u32 = 0b111;
/// Of a record that users do not see.
const HOST: u32 = 7;

impl Label {
    /// What is counted of a sandbox's address.
    pub(crate) const HOST: Self = Self(HOST);
    /// The label of a mapping.
    pub(crate) const MAPPING: Self = Self::of(FlowKind::Mapping);

    /// The flow holds the mapping that is behind its original source.
    const OPENER_MAPPING: u32 = 1 << 3;
    /// The flow holds the mapping that is behind its original destination.
    const SERVER_MAPPING: u32 = 1 << 4;
    /// The flow is counted at the sandbox that opened it.
    const COUNTED: u32 = 1 << 5;

    /// Returns the label of a flow that holds nothing, or of a mapping.
    pub(crate) const fn of(kind: FlowKind) -> Self {
        Self(match kind {
            FlowKind::Mapping => 0,
            FlowKind::Masqueraded => 1,
            FlowKind::Published => 2,
            FlowKind::Admitted => 3,
            FlowKind::Hairpin => 4,
        })
    }

    /// Returns the label that [`Label::to_u32`] gave.
    pub(crate) const fn from_u32(word: u32) -> Self {
        Self(word)
    }

    pub(crate) const fn to_u32(self) -> u32 {
        self.0
    }

    pub(crate) const fn kind(self) -> Kind {
        match self.0 & KIND {
            0 => Kind::Flow(FlowKind::Mapping),
            1 => Kind::Flow(FlowKind::Masqueraded),
            2 => Kind::Flow(FlowKind::Published),
            3 => Kind::Flow(FlowKind::Admitted),
            4 => Kind::Flow(FlowKind::Hairpin),
            _ => Kind::Host,
        }
    }

    /// Tells whether all that it says means something.
    pub(crate) const fn is_known(self) -> bool {
        let shares = Self::OPENER_MAPPING | Self::SERVER_MAPPING | Self::COUNTED;
        self.0 & !(KIND | shares) == 0
    }

    /// Tells whether it is a flow, and not a mapping.
    pub(crate) const fn is_flow(self) -> bool {
        !matches!(self.0 & KIND, 0 | HOST)
    }

    #[must_use]
    pub(crate) const fn with_opener_mapping(self, holds: bool) -> Self {
        self.with(Self::OPENER_MAPPING, holds)
    }

    #[must_use]
    pub(crate) const fn with_server_mapping(self, holds: bool) -> Self {
        self.with(Self::SERVER_MAPPING, holds)
    }

    #[must_use]
    pub(crate) const fn with_counted(self, is_counted: bool) -> Self {
        self.with(Self::COUNTED, is_counted)
    }

    pub(crate) const fn holds_opener_mapping(self) -> bool {
        self.0 & Self::OPENER_MAPPING != 0
    }

    pub(crate) const fn holds_server_mapping(self) -> bool {
        self.0 & Self::SERVER_MAPPING != 0
    }

    pub(crate) const fn is_counted(self) -> bool {
        self.0 & Self::COUNTED != 0
    }

    /// Returns the label of a flow of the same kind that holds nothing.
    #[must_use]
    pub(crate) const fn without_shares(self) -> Self {
        Self(self.0 & KIND)
    }

    /// Returns the label of a flow that also holds what `other` holds.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0 & !KIND)
    }

    const fn with(self, bit: u32, set: bool) -> Self {
        if set { Self(self.0 | bit) } else { self }
    }
}

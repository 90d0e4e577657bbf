//! Which part of an IP packet this is: IPv4 (RFC 791 §3.1) and IPv6 (RFC 8200 §4.5) alike.

/// Which part of an IP packet this is. Only the first part has an L4 header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Fragment {
    /// The whole packet. An IPv6 *atomic* fragment (a Fragment header with offset 0 and nothing more
    /// to come) counts as whole too (RFC 6946 §4).
    #[default]
    Whole,
    /// The first of several parts: the L4 header is here, the end of the L4 payload is not.
    First,
    /// A part after the first one: no L4 header, so no ports, whatever the bytes look like.
    Later,
}

impl Fragment {
    /// Returns which part has its payload at `offset` (any unit) and `more` parts after it.
    pub(crate) const fn from_fields(offset: u16, more: bool) -> Self {
        match (offset, more) {
            (0, false) => Self::Whole,
            (0, true) => Self::First,
            (_, _) => Self::Later,
        }
    }

    /// Tells whether the L4 header stands in this part.
    pub const fn has_l4_header(self) -> bool {
        !matches!(self, Self::Later)
    }

    /// Tells whether this is a part of something larger.
    pub const fn is_part(self) -> bool {
        !matches!(self, Self::Whole)
    }
}

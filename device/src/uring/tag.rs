//! What a request of the ring was about, in the 64 bits that come back with its completion.

use tapweave_net::PortNo;

use crate::source::SourceNo;

/// The meaning of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tag {
    /// A frame of `frame_len` bytes goes from a buffer to a port.
    Write {
        /// Where to.
        port: PortNo,
        /// Without header; less than 2^17.
        frame_len: u32,
        /// From; less than 2^13.
        buffer: u16,
    },
    /// A reader of this number is read, or its readiness waited for.
    Reader(u32),
    /// The readiness of a source is waited for.
    Source(SourceNo),
    /// The waker was used.
    Waker,
    /// A request was to be ended.
    Cancel,
}

const KIND_SHIFT: u32 = 62;
/// Tells a source from a reader.
const SOURCE_BIT: u64 = 1 << u32::BITS;
const BUFFER_SHIFT: u32 = 49;
const LEN_BITS: u64 = (1 << (BUFFER_SHIFT - u32::BITS)) - 1;
const BUFFER_BITS: u64 = (1 << (KIND_SHIFT - BUFFER_SHIFT)) - 1;

impl Tag {
    pub(super) fn to_user_data(self) -> u64 {
        match self {
            Self::Write {
                port,
                frame_len,
                buffer,
            } => {
                (u64::from(buffer) & BUFFER_BITS) << BUFFER_SHIFT
                    | (u64::from(frame_len) & LEN_BITS) << u32::BITS
                    | u64::from(port.to_u32())
            }
            Self::Reader(number) => 1 << KIND_SHIFT | u64::from(number),
            Self::Source(number) => 1 << KIND_SHIFT | SOURCE_BIT | u64::from(number.0),
            Self::Waker => 2 << KIND_SHIFT,
            Self::Cancel => 3 << KIND_SHIFT,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "takes apart what `to_user_data` put together"
    )]
    pub(super) const fn from_user_data(data: u64) -> Self {
        match data >> KIND_SHIFT {
            0 => Self::Write {
                port: PortNo::from_u32(data as u32),
                frame_len: (data >> u32::BITS & LEN_BITS) as u32,
                buffer: (data >> BUFFER_SHIFT & BUFFER_BITS) as u16,
            },
            1 if data & SOURCE_BIT != 0 => Self::Source(SourceNo(data as u32)),
            1 => Self::Reader(data as u32),
            2 => Self::Waker,
            _ => Self::Cancel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_comes_back_as_it_went() {
        for tag in [
            Tag::Write {
                port: PortNo::new(0, 0),
                frame_len: 0,
                buffer: 0,
            },
            Tag::Write {
                port: PortNo::from_u32(u32::MAX),
                frame_len: (1 << 17) - 1,
                buffer: (1 << 13) - 1,
            },
            Tag::Reader(0),
            Tag::Reader(u32::MAX),
            Tag::Source(SourceNo(0)),
            Tag::Source(SourceNo(u32::MAX)),
            Tag::Waker,
            Tag::Cancel,
        ] {
            assert_eq!(Tag::from_user_data(tag.to_user_data()), tag);
        }
    }
}

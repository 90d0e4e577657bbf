//! The TCP header (RFC 9293 §3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source Port          |       Destination Port        |
//! +-------------------------------+-------------------------------+
//! |                        Sequence Number                        |
//! +---------------------------------------------------------------+
//! |                    Acknowledgment Number                      |
//! +-------+-------+---------------+-------------------------------+
//! | DOffs |  Rsv  |C|E|U|A|P|R|S|F|            Window             |
//! +-------+-------+---------------+-------------------------------+
//! |           Checksum            |         Urgent Pointer        |
//! +-------------------------------+-------------------------------+
//! |                    Options, 0 to 40 octets                    |
//! +---------------------------------------------------------------+
//! ```

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use super::{HeaderError, HeaderName, RawOption, RawOptions};
use crate::field::{get, put, u8_at, u16_at, u32_at};

const LEN: usize = 20;

/// A TCP segment whose header is there in full.
#[derive(Clone, Copy, Debug)]
pub struct TcpView<'a> {
    header: &'a [u8; LEN],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> TcpView<'a> {
    /// Bytes of the header without options.
    pub const LEN: usize = LEN;
    /// Bytes of the header with the longest options.
    pub const MAX_LEN: usize = 60;
    /// The checksum field, from the start of the header.
    pub const CHECKSUM_OFFSET: usize = 16;

    /// Views the segment that fills `data`. TCP does not state the length of its payload.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Length`] when the data offset is below the header, [`HeaderError::Truncated`]
    /// when the header is longer than `data`.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, rest)) = data.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(
                HeaderName::Tcp,
                Self::LEN,
                data.len(),
            ));
        };
        let header_len = usize::from(u8_at::<12, _>(header) >> 4) * 4;
        let Some(options_len) = header_len.checked_sub(Self::LEN) else {
            return Err(HeaderError::Length {
                header: HeaderName::Tcp,
                stated: header_len,
            });
        };
        let Some((options, payload)) = rest.split_at_checked(options_len) else {
            return Err(HeaderError::truncated(
                HeaderName::Tcp,
                header_len,
                data.len(),
            ));
        };
        Ok(Self {
            header,
            options,
            payload,
        })
    }

    /// Returns the bytes of the header with its options, 20 to 60.
    #[inline]
    pub const fn header_len(&self) -> usize {
        Self::LEN + self.options.len()
    }

    /// Returns the port that the segment comes from.
    #[inline]
    pub fn src_port(&self) -> u16 {
        u16_at::<0, _>(self.header)
    }

    /// Returns the port that the segment is for.
    #[inline]
    pub fn dst_port(&self) -> u16 {
        u16_at::<2, _>(self.header)
    }

    /// Returns the number of the first octet of the payload, or of the SYN.
    pub fn seq(&self) -> u32 {
        u32_at::<4, _>(self.header)
    }

    /// Returns the number of the next octet that the sender waits for; means nothing without ACK.
    pub fn ack(&self) -> u32 {
        u32_at::<8, _>(self.header)
    }

    /// Returns the flags.
    #[inline]
    pub fn flags(&self) -> TcpFlags {
        TcpFlags(u8_at::<13, _>(self.header))
    }

    /// Returns the window, not scaled.
    pub fn window(&self) -> u16 {
        u16_at::<14, _>(self.header)
    }

    /// Returns the checksum as it stands.
    pub fn checksum(&self) -> u16 {
        u16_at::<16, _>(self.header)
    }

    /// Returns the urgent pointer; means nothing without URG.
    pub fn urgent(&self) -> u16 {
        u16_at::<18, _>(self.header)
    }

    /// Walks the options; what is malformed is told once and ends the walk.
    pub fn options(&self) -> impl Iterator<Item = Result<TcpOption<'a>, HeaderError>> + use<'a> {
        RawOptions::new(self.options, HeaderName::TcpOption)
            .map(|option| option.map(TcpOption::from))
    }

    /// Returns what follows the header.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl fmt::Display for TcpView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = (self.src_port(), self.dst_port());
        write!(
            f,
            "{src} > {dst}: Flags [{}], seq {}",
            self.flags(),
            self.seq()
        )?;
        if self.flags().contains(TcpFlags::ACK) {
            write!(f, ", ack {}", self.ack())?;
        }
        write!(f, ", win {}", self.window())?;
        for option in self.options().flatten() {
            write!(f, ", {option}")?;
        }
        write!(f, ", length {}", self.payload.len())
    }
}

/// The control bits of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No flag.
    pub const EMPTY: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Hand the data over at once.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168 §6.1).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168 §6.1).
    pub const CWR: Self = Self(0x80);

    /// Tells whether every flag of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Tells whether a flag of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the flags that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

impl BitOrAssign for TcpFlags {
    fn bitor_assign(&mut self, rhs: Self) {
        self.0 |= rhs.0;
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The letters and the order of tcpdump.
        const LETTERS: [&str; 8] = ["F", "S", "R", "P", ".", "U", "E", "W"];
        if self.0 == 0 {
            return f.write_str("none");
        }
        LETTERS
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 >> bit & 1 != 0)
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// A TCP option (IANA, *TCP Option Kind Numbers*). One whose length is not that of its kind is
/// [`TcpOption::Other`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpOption<'a> {
    /// The largest segment that the sender takes, in bytes without headers (RFC 9293 §3.7.1).
    MaxSegmentSize(u16),
    /// Bits by which the sender's windows are shifted (RFC 7323 §2.2).
    WindowScale(u8),
    /// The sender takes selective acknowledgments (RFC 2018 §2).
    SackPermitted,
    /// Timestamps (RFC 7323 §3.2).
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The receiver's clock, as the sender last saw it.
        echo: u32,
    },
    /// Any other.
    Other(RawOption<'a>),
}

impl<'a> From<RawOption<'a>> for TcpOption<'a> {
    fn from(option: RawOption<'a>) -> Self {
        let other = Self::Other(option);
        let data = option.data;
        match option.kind {
            2 => <&[u8; 2]>::try_from(data)
                .map_or(other, |data| Self::MaxSegmentSize(u16_at::<0, _>(data))),
            3 => <[u8; 1]>::try_from(data).map_or(other, |[shift]| Self::WindowScale(shift)),
            4 if data.is_empty() => Self::SackPermitted,
            8 => <&[u8; 8]>::try_from(data).map_or(other, |data| Self::Timestamps {
                value: u32_at::<0, _>(data),
                echo: u32_at::<4, _>(data),
            }),
            _ => other,
        }
    }
}

impl fmt::Display for TcpOption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxSegmentSize(size) => write!(f, "mss {size}"),
            Self::WindowScale(shift) => write!(f, "wscale {shift}"),
            Self::SackPermitted => f.write_str("sackOK"),
            Self::Timestamps { value, echo } => write!(f, "TS val {value} ecr {echo}"),
            Self::Other(option) => write!(f, "option {}", option.kind),
        }
    }
}

/// A TCP header, to be changed in place. Setters leave the checksum as it is.
#[derive(Debug)]
pub struct TcpMut<'a> {
    header: &'a mut [u8; TcpView::LEN],
}

impl<'a> TcpMut<'a> {
    /// Opens the header that starts at `data[0]`.
    ///
    /// # Errors
    ///
    /// As [`TcpView::parse`].
    pub fn parse(data: &'a mut [u8]) -> Result<Self, HeaderError> {
        TcpView::parse(data)?;
        let present = data.len();
        let header = data
            .first_chunk_mut()
            .ok_or_else(|| HeaderError::truncated(HeaderName::Tcp, TcpView::LEN, present))?;
        Ok(Self { header })
    }

    /// Sets the port that the segment comes from.
    pub fn set_src_port(&mut self, port: u16) {
        put::<0, 2, _>(self.header, port.to_be_bytes());
    }

    /// Sets the port that the segment is for.
    pub fn set_dst_port(&mut self, port: u16) {
        put::<2, 2, _>(self.header, port.to_be_bytes());
    }

    /// Sets the sequence number.
    pub fn set_seq(&mut self, seq: u32) {
        put::<4, 4, _>(self.header, seq.to_be_bytes());
    }

    /// Sets the acknowledgment number.
    pub fn set_ack(&mut self, ack: u32) {
        put::<8, 4, _>(self.header, ack.to_be_bytes());
    }

    /// Returns the flags.
    pub fn flags(&self) -> TcpFlags {
        let [flags] = get::<13, 1, _>(self.header);
        TcpFlags(flags)
    }

    /// Sets the flags.
    pub fn set_flags(&mut self, flags: TcpFlags) {
        put::<13, 1, _>(self.header, [flags.0]);
    }

    /// Sets the window.
    pub fn set_window(&mut self, window: u16) {
        put::<14, 2, _>(self.header, window.to_be_bytes());
    }

    /// Sets the checksum.
    pub fn set_checksum(&mut self, checksum: u16) {
        put::<16, 2, _>(self.header, checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN with the options of the Linux kernel in its order, put together by hand.
    const SYN: [u8; 40] = [
        0xbc, 0xd2, 0x00, 0x50, 0x1f, 0x2e, 0x3d, 0x4c, 0, 0, 0, 0, 0xa0, 0xc2, 0xfa, 0xf0, 0x12,
        0x34, 0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 7,
    ];

    #[test]
    fn a_syn_and_its_options_are_read() {
        let view = TcpView::parse(&SYN).unwrap();
        assert_eq!((view.src_port(), view.dst_port()), (48_338, 80));
        assert_eq!((view.seq(), view.ack()), (0x1f2e_3d4c, 0));
        assert_eq!(view.header_len(), 40);
        assert_eq!(view.flags(), TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR);
        assert_eq!((view.checksum(), view.urgent()), (0x1234, 0));
        let options: Vec<_> = view.options().map(Result::unwrap).collect();
        assert_eq!(
            options,
            [
                TcpOption::MaxSegmentSize(1460),
                TcpOption::SackPermitted,
                TcpOption::Timestamps { value: 7, echo: 0 },
                TcpOption::WindowScale(7)
            ]
        );
        assert_eq!(
            view.to_string(),
            "48338 > 80: Flags [SEW], seq 523124044, win 64240, mss 1460, sackOK, \
             TS val 7 ecr 0, wscale 7, length 0"
        );
    }

    #[test]
    fn an_option_of_the_wrong_length_is_not_taken_for_its_kind() {
        let data = &[5, 0xb4, 0][..];
        let option = RawOption { kind: 2, data };
        assert_eq!(TcpOption::from(option), TcpOption::Other(option));
    }

    #[test]
    fn a_data_offset_that_cannot_be_is_refused() {
        for len in 0..40 {
            assert!(TcpView::parse(&SYN[..len]).is_err(), "{len}");
        }
        let mut segment = SYN;
        segment[12] = 0x40;
        let header = HeaderName::Tcp;
        assert_eq!(
            TcpView::parse(&segment).map(|_| ()),
            Err(HeaderError::Length { header, stated: 16 })
        );
        segment[12] = 0xb0;
        assert_eq!(
            TcpView::parse(&segment).map(|_| ()),
            Err(HeaderError::truncated(header, 44, 40))
        );
        segment[12] = 0x50;
        assert_eq!(TcpView::parse(&segment).map(|v| v.payload().len()), Ok(20));
    }

    #[test]
    fn fields_are_replaced_in_place() {
        let mut segment = SYN;
        let mut header = TcpMut::parse(&mut segment).unwrap();
        header.set_src_port(1);
        header.set_dst_port(2);
        header.set_seq(3);
        header.set_ack(4);
        header.set_flags((header.flags() | TcpFlags::ACK).without(TcpFlags::CWR));
        header.set_window(5);
        header.set_checksum(6);
        let view = TcpView::parse(&segment).unwrap();
        assert!(
            view.to_string()
                .starts_with("1 > 2: Flags [S.E], seq 3, ack 4, win 5,")
        );
        assert_eq!(view.checksum(), 6);
        assert_eq!(segment[18..], SYN[18..]);
    }
}

//! What the conntrack reads of a TCP segment: RFC 5382 needs the flags, the window rules the rest.

use tapweave_net::{TcpFlags, TcpOption, TcpView};

/// A TCP segment, or a super-frame of many that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpSegment {
    /// Number of the first octet of the payload, or of the SYN.
    pub seq: u32,
    /// Number of the octet that the sender waits for; means nothing without [`TcpFlags::ACK`].
    pub ack: u32,
    /// Bytes of payload: of a super-frame those of all its segments, of a first fragment those that
    /// are in it.
    pub payload_len: u32,
    /// The window as it stands, not scaled.
    pub window: u16,
    /// The flags.
    pub flags: TcpFlags,
    /// In a SYN: bits by which the sender's later windows are to be shifted, at most 14 (RFC 7323
    /// §2.3); `None` when it does not scale windows.
    pub window_scale: Option<u8>,
}

/// Largest shift of a window (RFC 7323 §2.3).
const MAX_WINDOW_SCALE: u8 = 14;

impl TcpSegment {
    #[inline(always)]
    pub(super) fn read(tcp: &TcpView<'_>) -> Self {
        let flags = tcp.flags();
        let window_scale = if flags.contains(TcpFlags::SYN) {
            window_scale(tcp)
        } else {
            None
        };
        Self {
            seq: tcp.seq(),
            ack: tcp.ack(),
            // A frame is at most 64 KiB and its headers.
            payload_len: u32::try_from(tcp.payload().len()).unwrap_or(u32::MAX),
            window: tcp.window(),
            flags,
            window_scale,
        }
    }

    /// Tells whether this is the first segment that an end sends to open a connection.
    #[inline]
    pub fn is_opening(&self) -> bool {
        self.flags.contains(TcpFlags::SYN) && !self.flags.contains(TcpFlags::ACK)
    }

    /// Returns the sequence numbers that the segment takes: its payload, one for SYN and one for FIN
    /// (RFC 9293 §3.4).
    #[inline]
    pub const fn sequence_len(&self) -> u32 {
        let syn = self.flags.contains(TcpFlags::SYN) as u32;
        let fin = self.flags.contains(TcpFlags::FIN) as u32;
        self.payload_len.saturating_add(syn).saturating_add(fin)
    }
}

/// Reads the option of a SYN. The first one counts.
#[cold]
fn window_scale(tcp: &TcpView<'_>) -> Option<u8> {
    tcp.options().flatten().find_map(|option| {
        if let TcpOption::WindowScale(shift) = option {
            Some(shift.min(MAX_WINDOW_SCALE))
        } else {
            None
        }
    })
}

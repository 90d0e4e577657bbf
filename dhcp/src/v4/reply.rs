//! What the server answers.

use core::net::Ipv4Addr;

use super::options::code;
use super::request::Request;
use super::{COOKIE, HEADER_LEN};

/// Least octets of a message: some clients expect those of BOOTP (RFC 1542 §2.1).
const MIN_LEN: usize = 300;

/// Octets of a packet that every client takes, and of the headers around a message in it (RFC 2131 §2).
const PACKET_LEN: u16 = 576;
const AROUND: u16 = 28;

/// The most octets of one piece of an option.
const PIECE_LEN: usize = 255;

/// What kind of answer it is (RFC 2132 §9.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Offer = 2,
    Ack = 5,
    Nak = 6,
}

/// The options of an answer, in their order.
#[derive(Debug)]
pub(crate) struct ReplyOptions {
    message: Vec<u8>,
    max_len: usize,
}

impl ReplyOptions {
    /// Begins an answer to `request` that gives it `address`, if any. A network has packets of at most `mtu` bytes.
    pub(crate) fn new(request: &Request, answer: Answer, address: Ipv4Addr, mtu: u16) -> Self {
        let mut message = vec![0; HEADER_LEN];
        let client_address = match answer {
            Answer::Ack => request.client_address,
            Answer::Offer | Answer::Nak => Ipv4Addr::UNSPECIFIED,
        };
        for (at, bytes) in [
            // `BOOTREPLY`, Ethernet, six octets.
            (0, &[2, 1, 6][..]),
            (4, &request.xid),
            (10, &request.flags.to_be_bytes()),
            (12, &client_address.octets()),
            (16, &address.octets()),
            (28, &request.mac.octets()),
            (236, &COOKIE),
        ] {
            for (place, byte) in message.iter_mut().skip(at).zip(bytes) {
                *place = *byte;
            }
        }
        let wanted = request.max_size.unwrap_or(PACKET_LEN).max(PACKET_LEN);
        let mut reply = Self {
            message,
            // The end takes one.
            max_len: usize::from(wanted.min(mtu.max(PACKET_LEN)) - AROUND) - 1,
        };
        reply.add(code::MESSAGE_TYPE, &[answer as u8]);
        reply
    }

    /// Adds an option, in pieces where it is long (RFC 3396 §5). One that does not fit any more is left out.
    pub(crate) fn add(&mut self, code: u8, value: &[u8]) {
        let pieces = value.chunks(PIECE_LEN);
        if self.message.len() + value.len() + 2 * pieces.len() > self.max_len {
            return;
        }
        for piece in pieces {
            // Not longer than `PIECE_LEN`.
            let len = u8::try_from(piece.len()).unwrap_or(u8::MAX);
            self.message.extend([code, len]);
            self.message.extend(piece);
        }
    }

    /// Returns the message.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.message.push(code::END);
        let len = self.message.len().max(MIN_LEN);
        self.message.resize(len, code::PAD);
        self.message
    }
}

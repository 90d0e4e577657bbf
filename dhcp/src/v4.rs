//! Messages of DHCP for IPv4 (RFC 2131 §2, RFC 2132).

mod options;
mod reply;
mod request;

pub(crate) use options::code;
pub(crate) use reply::{Answer, ReplyOptions};
pub(crate) use request::{Kind, Request};

/// Octets of a message before its options, the magic cookie included.
const HEADER_LEN: usize = 240;

/// What tells options from the vendor area of BOOTP (RFC 2131 §3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];

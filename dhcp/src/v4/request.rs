//! What a client says.

use core::net::Ipv4Addr;

use tapweave_net::MacAddr;

use super::options::{Options, code};
use super::{COOKIE, HEADER_LEN};
use crate::client::CLIENT_ID_LENS;
use crate::{ClientKey, Refusal};

/// `BOOTREQUEST`, Ethernet, and the length of its addresses (RFC 2131 §2).
const REQUEST: [u8; 3] = [1, 1, 6];

/// The flag *broadcast* (RFC 2131 §2, figure 2).
const BROADCAST: u16 = 0x8000;

/// Most octets of a host name: those of a label.
const HOST_NAME_MAX_LEN: usize = 63;

/// What a client wants (RFC 2132 §9.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Discover,
    Request,
    Decline,
    Release,
    Inform,
}

/// A message of a client.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) xid: [u8; 4],
    pub(crate) flags: u16,
    /// The client's address, which it can be reached by; zero while it has none.
    pub(crate) client_address: Ipv4Addr,
    pub(crate) mac: MacAddr,
    pub(crate) key: ClientKey,
    /// As it came, to be given back.
    pub(crate) client_id: Option<Vec<u8>>,
    pub(crate) requested: Option<Ipv4Addr>,
    pub(crate) server: Option<Ipv4Addr>,
    /// In seconds.
    pub(crate) lease_time: Option<u32>,
    pub(crate) host_name: Option<String>,
    /// The options that it wants, in its order.
    pub(crate) parameters: Option<Vec<u8>>,
    /// Longest packet that it takes, IP and UDP headers included.
    pub(crate) max_size: Option<u16>,
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// `Malformed`; `Relayed`; `Unsupported` for what only servers say, and for BOOTP.
    pub(crate) fn read(message: &[u8]) -> Result<Self, Refusal> {
        let malformed = Refusal::Malformed;
        let header: &[u8; HEADER_LEN] = message.first_chunk().ok_or(malformed)?;
        if header[..3] != REQUEST {
            return Err(malformed);
        }
        if header[236..] != COOKIE {
            return Err(Refusal::Unsupported);
        }
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        if word(24) != [0; 4] {
            return Err(Refusal::Relayed);
        }
        let mac: [u8; MacAddr::LEN] = *header[28..].first_chunk().ok_or(malformed)?;
        let mac = MacAddr::new(mac);
        if !mac.is_station() {
            return Err(malformed);
        }
        let options = Options::read(message)?;
        let kind = match options.octet(code::MESSAGE_TYPE)? {
            Some(1) => Kind::Discover,
            Some(3) => Kind::Request,
            Some(4) => Kind::Decline,
            Some(7) => Kind::Release,
            Some(8) => Kind::Inform,
            Some(_) | None => return Err(Refusal::Unsupported),
        };
        let client_id = options.bytes(code::CLIENT_IDENTIFIER);
        if client_id.is_some_and(|id| !CLIENT_ID_LENS.contains(&id.len())) {
            return Err(malformed);
        }
        let address = |code| Ok(options.array::<4>(code)?.map(Ipv4Addr::from));
        let max_size = options.array(code::MAX_MESSAGE_SIZE)?;
        let lease_time = options.array(code::LEASE_TIME)?;
        Ok(Self {
            kind,
            xid: word(4),
            flags: u16::from_be_bytes([header[10], header[11]]),
            client_address: word(12).into(),
            mac,
            key: ClientKey::new(mac, client_id),
            client_id: client_id.map(<[u8]>::to_vec),
            requested: address(code::REQUESTED_ADDRESS)?,
            server: address(code::SERVER_IDENTIFIER)?,
            lease_time: lease_time.map(u32::from_be_bytes),
            host_name: options.bytes(code::HOST_NAME).and_then(host_name),
            parameters: options
                .bytes(code::PARAMETER_REQUEST_LIST)
                .map(<[u8]>::to_vec),
            max_size: max_size.map(u16::from_be_bytes),
        })
    }

    /// Tells whether the client can be answered by broadcast only.
    pub(crate) const fn wants_broadcast(&self) -> bool {
        self.flags & BROADCAST != 0
    }
}

/// Returns what is shown as the name of a client, if it is fit to be.
fn host_name(bytes: &[u8]) -> Option<String> {
    // Some clients count a final zero (RFC 2132 §2).
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let is_good = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
    let is_fit = (1..=HOST_NAME_MAX_LEN).contains(&bytes.len()) && bytes.iter().all(is_good);
    is_fit.then(|| String::from_utf8_lossy(bytes).into_owned())
}

//! DHCP for IPv6 as far as it gives no addresses (RFC 8415 §6.1): a client asks for information and gets it.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |    msg-type   |               transaction-id                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          option-code          |           option-len          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         option-data …                         |
//! ```
//!
//! There is no state: nothing that a client says is remembered.

use core::net::Ipv6Addr;

use tapweave_net::MacAddr;

use crate::{Refusal, Settings};

/// Types of messages (§7.3).
const REPLY: u8 = 7;
const INFORMATION_REQUEST: u8 = 11;
const RELAY_FORWARD: u8 = 12;

/// Codes of options (§21; RFC 3646).
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const OPTION_REQUEST: u16 = 6;
const DNS_SERVERS: u16 = 23;
const DOMAIN_LIST: u16 = 24;
const IA_PD: u16 = 25;
const INFORMATION_REFRESH_TIME: u16 = 32;

/// Most octets of a DUID (§11.1).
const DUID_MAX_LEN: usize = 130;

/// After this time a client asks again (§21.23), in seconds: the default is a day, and networks change sooner.
const REFRESH_SECS: u32 = 3600;

/// Returns the answer to a message.
///
/// # Errors
///
/// `Malformed`, `Relayed`, `OtherServer`; `Unsupported` for what asks for addresses, which are not given.
pub(crate) fn reply(settings: &Settings, message: &[u8]) -> Result<Vec<u8>, Refusal> {
    let malformed = Refusal::Malformed;
    let (head, options) = message.split_first_chunk::<4>().ok_or(malformed)?;
    match head[0] {
        INFORMATION_REQUEST => {}
        RELAY_FORWARD => return Err(Refusal::Relayed),
        _ => return Err(Refusal::Unsupported),
    }
    let own_id = duid(settings.mac);
    let (mut client, mut wanted) = (None, None);
    let mut rest = options;
    while !rest.is_empty() {
        let (option, behind) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let len = usize::from(u16::from_be_bytes([option[2], option[3]]));
        let (value, behind) = behind.split_at_checked(len).ok_or(malformed)?;
        match u16::from_be_bytes([option[0], option[1]]) {
            CLIENT_ID if value.len() <= DUID_MAX_LEN => client = Some(value),
            SERVER_ID if value != own_id => return Err(Refusal::OtherServer),
            // Too long; and not in this message (§16.12).
            CLIENT_ID | IA_NA | IA_TA | IA_PD => return Err(malformed),
            OPTION_REQUEST => wanted = Some(value),
            _ => {}
        }
        rest = behind;
    }
    let is_wanted = |code: u16| {
        wanted.is_none_or(|codes| {
            codes
                .chunks_exact(2)
                .any(|chunk| chunk == code.to_be_bytes())
        })
    };
    let mut out = vec![REPLY, head[1], head[2], head[3]];
    let mut add = |code: u16, value: &[u8]| {
        // What is added is shorter than a packet.
        let len = u16::try_from(value.len()).unwrap_or(0);
        out.extend(code.to_be_bytes());
        out.extend(len.to_be_bytes());
        out.extend(value.iter().take(len.into()));
    };
    add(SERVER_ID, &own_id);
    if let Some(client) = client {
        add(CLIENT_ID, client);
    }
    let resolvers = settings.resolvers_v6.iter();
    let resolvers: Vec<u8> = resolvers.flat_map(Ipv6Addr::octets).collect();
    if is_wanted(DNS_SERVERS) && !resolvers.is_empty() {
        add(DNS_SERVERS, &resolvers);
    }
    if let Some(domain) = settings.domain.as_ref().filter(|_| is_wanted(DOMAIN_LIST)) {
        add(DOMAIN_LIST, domain.wire());
    }
    if is_wanted(INFORMATION_REFRESH_TIME) {
        add(INFORMATION_REFRESH_TIME, &REFRESH_SECS.to_be_bytes());
    }
    Ok(out)
}

/// Returns the identifier that is made of a MAC address: DUID-LL, Ethernet (§11.4).
fn duid(mac: MacAddr) -> Vec<u8> {
    let mut duid = vec![0, 3, 0, 1];
    duid.extend(mac.octets());
    duid
}

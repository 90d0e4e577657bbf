//! Queries and answers as people type and read them.

use core::net::IpAddr;
use core::str::FromStr;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

/// Why something cannot be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AskError {
    /// It is no name: a label is empty or longer than 63 octets, or all of it longer than 255.
    Name(String),
    /// There is no such type of record.
    Kind(String),
}

impl core::fmt::Display for AskError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is no name in DNS"),
            Self::Kind(kind) => write!(
                f,
                "{kind:?} is no type of record, such as A, AAAA, PTR, MX or TXT"
            ),
        }
    }
}

impl core::error::Error for AskError {}

/// An answer in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// What came of it, as `dig` says it: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, …
    pub status: String,
    /// Whether it comes from the network's own knowledge.
    pub authoritative: bool,
    /// What was found.
    pub records: Vec<ShownRecord>,
}

/// A record in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownRecord {
    /// Whose it is.
    pub name: String,
    /// For how many seconds it may be kept.
    pub ttl: u32,
    /// Its type, such as `A`.
    pub kind: String,
    /// What it says.
    pub data: String,
}

/// Returns the query for `text`, which is a name or an address, and the records of type `kind`.
///
/// # Errors
///
/// [`AskError`].
pub fn encode_query(text: &str, kind: &str, id: u16) -> Result<Vec<u8>, AskError> {
    let unusable = || AskError::Name(text.to_owned());
    let name = match text.parse::<IpAddr>() {
        Ok(address) => Name::from(address),
        Err(_no_address) => {
            let mut name = Name::from_ascii(text).map_err(|_malformed| unusable())?;
            name.set_fqdn(true);
            name
        }
    };
    let known = RecordType::from_str(&kind.to_ascii_uppercase());
    let known = known.map_err(|_unknown| AskError::Kind(kind.to_owned()))?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(name, known));
    message.to_vec().map_err(|_too_long| unusable())
}

/// Returns an answer in words; `None` when it is none.
pub fn show(bytes: &[u8]) -> Option<Shown> {
    let message = Message::from_vec(bytes).ok()?;
    let records = message.answers.iter().map(|record| ShownRecord {
        name: record.name.to_ascii(),
        ttl: record.ttl,
        kind: record.record_type().to_string(),
        data: record.data.to_string(),
    });
    Some(Shown {
        status: status(message.metadata.response_code.low()),
        authoritative: message.metadata.authoritative,
        records: records.collect(),
    })
}

/// Returns the mnemonic of a code (RFC 6895 §2.3).
fn status(code: u8) -> String {
    let known = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => return format!("RCODE{code}"),
    };
    known.to_owned()
}

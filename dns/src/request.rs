//! A query as it came, and what can be said about it before it is looked at.

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use crate::DATAGRAM_MAX;

/// How a query came, and so how long its answer may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// In a datagram; the path takes at most so many bytes of answer.
    Datagram {
        /// Bytes.
        max: u16,
    },
    /// In a stream (RFC 7766).
    Stream,
}

/// A well-formed query.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: u16,
    pub(crate) query: Query,
    pub(crate) recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    /// What is said in an OPT record, if there is one.
    pub(crate) edns: Option<RequestEdns>,
    /// Most bytes of the answer.
    pub(crate) max_len: u16,
}

/// What is used of EDNS (RFC 6891).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RequestEdns {
    pub(crate) dnssec_ok: bool,
}

/// Why a query is not looked at.
#[derive(Clone, Debug)]
pub(crate) enum Unfit {
    /// It is no query, or too short to tell. Answering could start a loop.
    Silence,
    /// Its header is all that can be read or is worth reading.
    Header(HeaderOnly),
    /// It can be read, but nothing is to be found out for it.
    Whole(Box<Request>, ResponseCode),
}

/// A refusal that consists of a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeaderOnly {
    pub(crate) id: [u8; 2],
    /// The opcode and "recursion desired", where they stand.
    pub(crate) flags: u8,
    pub(crate) code: u8,
}

/// RFC 1035 §4.1.1.
const HEADER_LEN: usize = 12;
const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const RECURSION_DESIRED: u8 = 0x01;
const FORMERR: u8 = 1;
const NOTIMP: u8 = 4;

impl Request {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// What to say instead of an answer.
    pub(crate) fn parse(bytes: &[u8], transport: Transport) -> Result<Self, Unfit> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Unfit::Silence);
        };
        let [id_high, id_low, flags, _, questions_high, questions_low, ..] = *header;
        if flags & QR != 0 {
            return Err(Unfit::Silence);
        }
        let only = |code| {
            Unfit::Header(HeaderOnly {
                id: [id_high, id_low],
                flags: flags & (OPCODE | RECURSION_DESIRED),
                code,
            })
        };
        if flags & OPCODE != 0 {
            return Err(only(NOTIMP));
        }
        // Nobody sends more than one, and the parser would reserve memory for as many as are announced.
        if [questions_high, questions_low] != [0, 1] {
            return Err(only(FORMERR));
        }
        let message = Message::from_vec(bytes).map_err(|_malformed| only(FORMERR))?;
        let query = message.queries.first().cloned();
        let query = query.ok_or_else(|| only(FORMERR))?;
        let announced = message.edns.as_ref().map_or(512, |edns| {
            // Smaller values mean 512 (RFC 6891 §6.2.3).
            edns.max_payload().clamp(512, DATAGRAM_MAX)
        });
        let request = Self {
            id: message.metadata.id,
            query,
            recursion_desired: message.metadata.recursion_desired,
            checking_disabled: message.metadata.checking_disabled,
            edns: message.edns.as_ref().map(|edns| RequestEdns {
                dnssec_ok: edns.flags().dnssec_ok,
            }),
            max_len: match transport {
                Transport::Datagram { max } => announced.min(max),
                Transport::Stream => u16::MAX,
            },
        };
        match request.objection(&message) {
            Some(code) => Err(Unfit::Whole(Box::new(request), code)),
            None => Ok(request),
        }
    }

    /// Returns the code of a refusal, if the query gets one whatever it asks for.
    fn objection(&self, message: &Message) -> Option<ResponseCode> {
        // RFC 6891 §6.1.3.
        if message.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Some(ResponseCode::BADVERS);
        }
        let is_transfer = matches!(self.query.query_type(), RecordType::AXFR | RecordType::IXFR);
        let is_meta = matches!(
            self.query.query_type(),
            RecordType::OPT | RecordType::TSIG | RecordType::ZERO
        );
        if is_meta {
            return Some(ResponseCode::FormErr);
        }
        let is_internet = self.query.query_class() == DNSClass::IN;
        (is_transfer || !is_internet).then_some(ResponseCode::Refused)
    }

    /// The opcode of every query that gets so far.
    pub(crate) const OPCODE: OpCode = OpCode::Query;
}

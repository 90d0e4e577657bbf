//! MLD, by which IPv6 hosts say which groups they listen to (RFC 2710, RFC 3810).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      |     Code      |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |     Maximum Response Code     |           Reserved            |
//! +-------------------------------+-------------------------------+
//! |    Multicast Address, 16 octets; zero in a general query      |
//! +-------+-+-----+---------------+-------------------------------+   version 2
//! | Resv  |S| QRV |     QQIC      |     Number of Sources (N)     |   queries
//! +-------+-+-----+---------------+-------------------------------+   only
//! |                     N source addresses                        |
//! +---------------------------------------------------------------+
//!
//! Version 2 report (type 143):
//! +---------------+---------------+-------------------------------+
//! |  Type = 143   |   Reserved    |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |           Reserved            |  Number of Group Records (M)  |
//! +-------------------------------+-------------------------------+
//! |                       M group records                         |
//! +---------------------------------------------------------------+
//! ```
//!
//! MLD is ICMP for IPv6: an [`Icmpv6View`] has the first eight octets and the checksum. The version of a
//! query follows from its length (RFC 3810 §8.1).

use core::fmt;
use core::net::Ipv6Addr;
use core::time::Duration;

use super::membership::{expand_u8, expand_u16, shrink_u8, shrink_u16};
use super::{GroupRecords, HeaderError, HeaderName, Icmpv6Type, Icmpv6View, IpProtocol};
use crate::checksum::Sum;
use crate::field::{get, put, u8_at, u16_at};

/// Octets of a version 1 message behind the first eight.
const ADDRESS_LEN: usize = 16;
/// Octets of a version 2 query behind the first eight, sources not counted.
const QUERY_V2_BODY_LEN: usize = 20;
const QUERY_V2_LEN: usize = Icmpv6View::LEN + QUERY_V2_BODY_LEN;

/// The group records of an MLDv2 report.
pub type MldRecords<'a> = GroupRecords<'a, Ipv6Addr, 16>;

/// An MLD message.
#[derive(Clone, Debug)]
pub enum MldMessage<'a> {
    /// A router asks who listens.
    Query(MldQuery),
    /// A host listens to a group (RFC 2710 §3).
    ReportV1 {
        /// The group.
        group: Ipv6Addr,
    },
    /// A host does not listen to a group any more (RFC 2710 §3).
    Done {
        /// The group.
        group: Ipv6Addr,
    },
    /// A host says what it listens to (RFC 3810 §5.2).
    ReportV2 {
        /// What it says, group by group. Whether they are all there shows when they are walked.
        records: MldRecords<'a>,
    },
}

/// Which MLD a querier speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum MldVersion {
    /// RFC 2710.
    V1,
    /// RFC 3810.
    V2,
}

/// A question who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MldQuery {
    /// Which MLD it is.
    pub version: MldVersion,
    /// The group that is asked for, [`Ipv6Addr::UNSPECIFIED`] for all.
    pub group: Ipv6Addr,
    /// How long hosts may wait before they answer.
    pub max_response: Duration,
    /// The S flag of version 2: routers that hear this are not to lower their timers (§5.1.7).
    pub suppress: bool,
    /// The Querier's Robustness Variable of version 2, 0 when it is more than 7 or not told (§5.1.8).
    pub robustness: u8,
    /// Time between the querier's queries, zero when it is not told, as in version 1 (§5.1.9).
    pub interval: Duration,
    /// How many sources are asked for; none in version 1.
    pub source_count: u16,
}

impl<'a> MldMessage<'a> {
    /// Reads the message in `icmp`.
    ///
    /// # Errors
    ///
    /// [`HeaderError::MessageType`] when it is not one of MLD; [`HeaderError::Truncated`] when its
    /// group or its sources are not there; [`HeaderError::Length`] for a query of 25 to 27 octets,
    /// which is none of any version (RFC 3810 §8.1).
    pub fn parse(icmp: &Icmpv6View<'a>) -> Result<Self, HeaderError> {
        match icmp.kind() {
            Icmpv6Type::MLD_QUERY => query(icmp).map(Self::Query),
            Icmpv6Type::MLD_REPORT_V1 => Ok(Self::ReportV1 {
                group: address(icmp)?,
            }),
            Icmpv6Type::MLD_DONE => Ok(Self::Done {
                group: address(icmp)?,
            }),
            Icmpv6Type::MLD_REPORT_V2 => {
                let [_, _, count @ ..] = icmp.rest_of_header().to_be_bytes();
                let count = u16::from_be_bytes(count);
                Ok(Self::ReportV2 {
                    records: GroupRecords::new(icmp.payload(), count, HeaderName::Mld),
                })
            }
            Icmpv6Type(kind) => Err(HeaderError::MessageType {
                header: HeaderName::Mld,
                kind,
            }),
        }
    }
}

impl MldQuery {
    /// Bytes of what [`MldQuery::encode`] returns.
    pub const ENCODED_LEN: usize = QUERY_V2_LEN;

    /// Returns the query as a message of version 2 without sources, with the checksum that is right from
    /// `src` to `dst`. Durations are rounded down to what can be written, a robustness of more than 7 is
    /// written as 0.
    pub fn encode(&self, src: Ipv6Addr, dst: Ipv6Addr) -> [u8; QUERY_V2_LEN] {
        let millis = u32::try_from(self.max_response.as_millis()).unwrap_or(u32::MAX);
        let secs = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        let mut message = [0; QUERY_V2_LEN];
        put::<0, 1, _>(&mut message, [Icmpv6Type::MLD_QUERY.0]);
        put::<4, 2, _>(&mut message, shrink_u16(millis).to_be_bytes());
        put::<8, 16, _>(&mut message, self.group.octets());
        let robustness = if self.robustness > 7 {
            0
        } else {
            self.robustness
        };
        let flags = u8::from(self.suppress) << 3 | robustness;
        put::<24, 2, _>(&mut message, [flags, shrink_u8(secs)]);
        #[expect(clippy::cast_possible_truncation, reason = "28")]
        let pseudo = Sum::pseudo_v6(src, dst, IpProtocol::ICMPV6, QUERY_V2_LEN as u32);
        let checksum = pseudo.and_bytes(&message).checksum();
        put::<2, 2, _>(&mut message, checksum.to_be_bytes());
        message
    }
}

fn address(icmp: &Icmpv6View<'_>) -> Result<Ipv6Addr, HeaderError> {
    let body = icmp.payload();
    let (address, _) = body
        .split_first_chunk::<ADDRESS_LEN>()
        .ok_or_else(|| HeaderError::truncated(HeaderName::Mld, ADDRESS_LEN, body.len()))?;
    Ok(Ipv6Addr::from(get::<0, ADDRESS_LEN, _>(address)))
}

fn query(icmp: &Icmpv6View<'_>) -> Result<MldQuery, HeaderError> {
    let group = address(icmp)?;
    let [high, low, _, _] = icmp.rest_of_header().to_be_bytes();
    let code = u16::from_be_bytes([high, low]);
    let mut query = MldQuery {
        version: MldVersion::V1,
        group,
        max_response: Duration::from_millis(code.into()),
        suppress: false,
        robustness: 0,
        interval: Duration::ZERO,
        source_count: 0,
    };
    let body = icmp.payload();
    if body.len() == ADDRESS_LEN {
        return Ok(query);
    }
    let Some((fixed, sources)) = body.split_first_chunk::<QUERY_V2_BODY_LEN>() else {
        return Err(HeaderError::Length {
            header: HeaderName::Mld,
            stated: Icmpv6View::LEN + body.len(),
        });
    };
    query.version = MldVersion::V2;
    query.max_response = Duration::from_millis(expand_u16(code).into());
    let flags = u8_at::<16, _>(fixed);
    query.suppress = flags & 0x08 != 0;
    query.robustness = flags & 0x07;
    query.interval = Duration::from_secs(expand_u8(u8_at::<17, _>(fixed)).into());
    query.source_count = u16_at::<18, _>(fixed);
    let needed = usize::from(query.source_count) * ADDRESS_LEN;
    if sources.len() < needed {
        let needed = QUERY_V2_BODY_LEN + needed;
        return Err(HeaderError::truncated(HeaderName::Mld, needed, body.len()));
    }
    Ok(query)
}

impl fmt::Display for MldMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => fmt::Display::fmt(query, f),
            Self::ReportV1 { group } => write!(f, "multicast listener report {group}"),
            Self::Done { group } => write!(f, "multicast listener done {group}"),
            Self::ReportV2 { records } => {
                f.write_str("multicast listener report v2")?;
                for record in records.clone() {
                    match record {
                        Ok(record) => write!(f, " {record}")?,
                        Err(_) => f.write_str(" [|mld]")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for MldQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("multicast listener query ")?;
        f.write_str(match self.version {
            MldVersion::V1 => "v1",
            MldVersion::V2 => "v2",
        })?;
        if !self.group.is_unspecified() {
            write!(f, " [gaddr {}]", self.group)?;
        }
        if self.source_count > 0 {
            write!(f, " [{} source(s)]", self.source_count)?;
        }
        write!(f, " [max resp delay {:?}]", self.max_response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1];

    fn text(message: &[u8]) -> Result<String, HeaderError> {
        let icmp = Icmpv6View::parse(message)?;
        MldMessage::parse(&icmp).map(|message| message.to_string())
    }

    fn message(kind: u8, code: [u8; 2], body: &[u8]) -> Vec<u8> {
        [&[kind, 0, 0, 0, code[0], code[1], 0, 0], body].concat()
    }

    #[test]
    fn the_version_of_a_query_follows_from_its_length() {
        // RFC 3810 §8.1.
        let v1 = message(130, [0x27, 0x10], &[0; 16]);
        assert_eq!(
            text(&v1).unwrap(),
            "multicast listener query v1 [max resp delay 10s]"
        );
        let v2 = message(130, [0x03, 0xe8], &[&GROUP[..], &[2, 125, 0, 0]].concat());
        assert_eq!(
            text(&v2).unwrap(),
            "multicast listener query v2 [gaddr ff02::1:ff00:1] [max resp delay 1s]"
        );
        for len in 25..28 {
            let header = HeaderName::Mld;
            let refused = HeaderError::Length {
                header,
                stated: len,
            };
            assert_eq!(text(&v2[..len]), Err(refused));
        }
    }

    #[test]
    fn a_version_2_query_tells_its_sources_and_needs_them() {
        let body = [&GROUP[..], &[0x0b, 0xff, 0, 1], &[0xfd; 16]].concat();
        let bytes = message(130, [0xff, 0xff], &body);
        assert_eq!(
            text(&bytes).unwrap(),
            "multicast listener query v2 [gaddr ff02::1:ff00:1] [1 source(s)] \
             [max resp delay 8387.584s]"
        );
        let icmp = Icmpv6View::parse(&bytes).unwrap();
        let Ok(MldMessage::Query(query)) = MldMessage::parse(&icmp) else {
            panic!("not a query");
        };
        assert!(query.suppress);
        assert_eq!(
            (query.robustness, query.interval.as_secs()),
            (3, 31_744),
            "QRV and QQIC"
        );
        text(&bytes[..bytes.len() - 1]).unwrap_err();
    }

    #[test]
    fn reports_and_dones_name_their_groups() {
        assert_eq!(
            text(&message(131, [0, 0], &GROUP)).unwrap(),
            "multicast listener report ff02::1:ff00:1"
        );
        assert_eq!(
            text(&message(132, [0, 0], &GROUP)).unwrap(),
            "multicast listener done ff02::1:ff00:1"
        );
        let records = [
            &[4, 0, 0, 0][..],
            &GROUP,
            &[1, 0, 0, 1],
            &GROUP,
            &[0xfe; 16],
        ]
        .concat();
        let mut report = message(143, [0, 0], &records);
        report[7] = 2;
        assert_eq!(
            text(&report).unwrap(),
            "multicast listener report v2 [gaddr ff02::1:ff00:1 to_ex, 0 source(s)] \
             [gaddr ff02::1:ff00:1 is_in, 1 source(s)]"
        );
        report.truncate(40);
        assert_eq!(
            text(&report).unwrap(),
            "multicast listener report v2 [gaddr ff02::1:ff00:1 to_ex, 0 source(s)] [|mld]"
        );
    }

    #[test]
    fn short_and_other_messages_are_refused() {
        for kind in [130, 131, 132] {
            let whole = message(kind, [0, 0], &GROUP);
            for len in 0..whole.len() {
                assert!(text(&whole[..len]).is_err(), "{kind} {len}");
            }
        }
        let other = HeaderError::MessageType {
            header: HeaderName::Mld,
            kind: 135,
        };
        assert_eq!(text(&message(135, [0, 0], &GROUP)), Err(other));
    }

    #[test]
    fn a_query_is_read_back_as_it_was_written() {
        let (src, dst) = ("fe80::1".parse().unwrap(), Ipv6Addr::from(GROUP));
        let query = MldQuery {
            version: MldVersion::V2,
            group: dst,
            max_response: Duration::from_secs(10),
            suppress: true,
            robustness: 2,
            interval: Duration::from_secs(125),
            source_count: 0,
        };
        let message = query.encode(src, dst);
        let icmp = Icmpv6View::parse(&message).unwrap();
        assert!(icmp.verify_checksum(src, dst));
        let Ok(MldMessage::Query(again)) = MldMessage::parse(&icmp) else {
            panic!("not a query");
        };
        assert_eq!(again, query);
    }
}

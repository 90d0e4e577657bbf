//! IGMP, by which IPv4 hosts say which groups they listen to (RFC 1112 app. I, RFC 2236, RFC 3376).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      | Max Resp Code |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |        Group Address; zero in a general query                 |
//! +-------+-+-----+---------------+-------------------------------+   version 3
//! | Resv  |S| QRV |     QQIC      |     Number of Sources (N)     |   queries
//! +-------+-+-----+---------------+-------------------------------+   only
//! |                     N source addresses                        |
//! +---------------------------------------------------------------+
//!
//! Version 3 report (type 0x22):
//! +---------------+---------------+-------------------------------+
//! |  Type = 0x22  |   Reserved    |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |           Reserved            |  Number of Group Records (M)  |
//! +-------------------------------+-------------------------------+
//! |                       M group records                         |
//! +---------------------------------------------------------------+
//! ```
//!
//! The checksum covers the message only. The version of a query is not written in it but follows from
//! its length and Max Resp Code (RFC 3376 §7.1).

use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;

use super::membership::{expand_u8, shrink_u8};
use super::{GroupRecords, HeaderError, HeaderName};
use crate::checksum::Sum;
use crate::field::{get, put, u8_at, u16_at};

const LEN: usize = 8;
const QUERY_V3_LEN: usize = 12;

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// The unit of Max Resp Code (RFC 3376 §4.1.1).
const TENTH: Duration = Duration::from_millis(100);

/// The group records of an IGMPv3 report.
pub type IgmpRecords<'a> = GroupRecords<'a, Ipv4Addr, 4>;

/// An IGMP message.
#[derive(Clone, Debug)]
pub enum IgmpMessage<'a> {
    /// A router asks who listens.
    Query(IgmpQuery),
    /// A host listens to a group (RFC 1112). Such a host does not say when it stops.
    ReportV1 {
        /// The group.
        group: Ipv4Addr,
    },
    /// A host listens to a group (RFC 2236).
    ReportV2 {
        /// The group.
        group: Ipv4Addr,
    },
    /// A host does not listen to a group any more (RFC 2236).
    Leave {
        /// The group.
        group: Ipv4Addr,
    },
    /// A host says what it listens to (RFC 3376).
    ReportV3 {
        /// What it says, group by group. Whether they are all there shows when they are walked.
        records: IgmpRecords<'a>,
    },
}

/// Which IGMP a querier speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum IgmpVersion {
    /// RFC 1112.
    V1,
    /// RFC 2236.
    V2,
    /// RFC 3376.
    V3,
}

/// A question who listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IgmpQuery {
    /// Which IGMP it is.
    pub version: IgmpVersion,
    /// The group that is asked for, [`Ipv4Addr::UNSPECIFIED`] for all.
    pub group: Ipv4Addr,
    /// How long hosts may wait before they answer; ten seconds in version 1 (RFC 2236 §4).
    pub max_response: Duration,
    /// The S flag of version 3: routers that hear this are not to lower their timers (§4.1.5).
    pub suppress: bool,
    /// The Querier's Robustness Variable of version 3, 0 when it is more than 7 or not told (§4.1.6).
    pub robustness: u8,
    /// Time between the querier's queries, zero when it is not told, as before version 3 (§4.1.7).
    pub interval: Duration,
    /// How many sources are asked for; none before version 3.
    pub source_count: u16,
}

impl<'a> IgmpMessage<'a> {
    /// Bytes of the shortest message.
    pub const LEN: usize = LEN;

    /// Reads the message that fills `data`. The checksum is checked only on request.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Truncated`] below eight octets, and when a query does not have its sources;
    /// [`HeaderError::Length`] for a query of nine to eleven octets, which is none of any version
    /// (RFC 3376 §7.1); [`HeaderError::MessageType`] for other messages, such as DVMRP.
    pub fn parse(data: &'a [u8]) -> Result<Self, HeaderError> {
        let Some((header, rest)) = data.split_first_chunk::<LEN>() else {
            return Err(HeaderError::truncated(HeaderName::Igmp, LEN, data.len()));
        };
        let code = u8_at::<1, _>(header);
        let group = Ipv4Addr::from(get::<4, 4, _>(header));
        match u8_at::<0, _>(header) {
            QUERY => query(data, code, group).map(Self::Query),
            REPORT_V1 => Ok(Self::ReportV1 { group }),
            REPORT_V2 => Ok(Self::ReportV2 { group }),
            LEAVE => Ok(Self::Leave { group }),
            REPORT_V3 => Ok(Self::ReportV3 {
                records: GroupRecords::new(rest, u16_at::<6, _>(header), HeaderName::Igmp),
            }),
            kind => Err(HeaderError::MessageType {
                header: HeaderName::Igmp,
                kind,
            }),
        }
    }

    /// Tells whether the checksum of the message that fills `data` is right.
    pub fn verify_checksum(data: &[u8]) -> bool {
        Sum::of(data).fold() == 0xffff
    }
}

impl IgmpQuery {
    /// Bytes of what [`IgmpQuery::encode`] returns.
    pub const ENCODED_LEN: usize = QUERY_V3_LEN;

    /// Returns the query as a message of version 3 without sources, checksum included. Durations are
    /// rounded down to what can be written, a robustness of more than 7 is written as 0.
    pub fn encode(&self) -> [u8; QUERY_V3_LEN] {
        let tenths = self.max_response.as_millis() / TENTH.as_millis();
        let tenths = u32::try_from(tenths).unwrap_or(u32::MAX);
        let secs = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        let mut message = [0; QUERY_V3_LEN];
        put::<0, 2, _>(&mut message, [QUERY, shrink_u8(tenths)]);
        put::<4, 4, _>(&mut message, self.group.octets());
        let robustness = if self.robustness > 7 {
            0
        } else {
            self.robustness
        };
        let flags = u8::from(self.suppress) << 3 | robustness;
        put::<8, 2, _>(&mut message, [flags, shrink_u8(secs)]);
        let checksum = Sum::of(&message).checksum();
        put::<2, 2, _>(&mut message, checksum.to_be_bytes());
        message
    }
}

fn query(data: &[u8], code: u8, group: Ipv4Addr) -> Result<IgmpQuery, HeaderError> {
    let mut query = IgmpQuery {
        version: IgmpVersion::V2,
        group,
        max_response: TENTH * u32::from(code),
        suppress: false,
        robustness: 0,
        interval: Duration::ZERO,
        source_count: 0,
    };
    if data.len() == LEN {
        if code == 0 {
            query.version = IgmpVersion::V1;
            query.max_response = Duration::from_secs(10);
        }
        return Ok(query);
    }
    let Some((header, sources)) = data.split_first_chunk::<QUERY_V3_LEN>() else {
        return Err(HeaderError::Length {
            header: HeaderName::Igmp,
            stated: data.len(),
        });
    };
    query.version = IgmpVersion::V3;
    query.max_response = TENTH * expand_u8(code);
    let flags = u8_at::<8, _>(header);
    query.suppress = flags & 0x08 != 0;
    query.robustness = flags & 0x07;
    query.interval = Duration::from_secs(expand_u8(u8_at::<9, _>(header)).into());
    query.source_count = u16_at::<10, _>(header);
    let needed = usize::from(query.source_count) * 4;
    if sources.len() < needed {
        let needed = QUERY_V3_LEN + needed;
        return Err(HeaderError::truncated(HeaderName::Igmp, needed, data.len()));
    }
    Ok(query)
}

impl fmt::Display for IgmpMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => fmt::Display::fmt(query, f),
            Self::ReportV1 { group } => write!(f, "igmp v1 report {group}"),
            Self::ReportV2 { group } => write!(f, "igmp v2 report {group}"),
            Self::Leave { group } => write!(f, "igmp leave {group}"),
            Self::ReportV3 { records } => {
                f.write_str("igmp v3 report")?;
                for record in records.clone() {
                    match record {
                        Ok(record) => write!(f, " {record}")?,
                        Err(_) => f.write_str(" [|igmp]")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for IgmpQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.version {
            IgmpVersion::V1 => 1,
            IgmpVersion::V2 => 2,
            IgmpVersion::V3 => 3,
        };
        write!(f, "igmp query v{version}")?;
        if !self.group.is_unspecified() {
            write!(f, " [gaddr {}]", self.group)?;
        }
        if self.source_count > 0 {
            write!(f, " [{} source(s)]", self.source_count)?;
        }
        write!(f, " [max resp time {:?}]", self.max_response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &[u8]) -> String {
        IgmpMessage::parse(message).unwrap().to_string()
    }

    #[test]
    fn the_version_of_a_query_follows_from_its_length_and_code() {
        // RFC 3376 §7.1.
        assert_eq!(
            text(&[0x11, 0, 0xee, 0xff, 0, 0, 0, 0]),
            "igmp query v1 [max resp time 10s]"
        );
        assert_eq!(
            text(&[0x11, 10, 0, 0, 239, 1, 1, 1]),
            "igmp query v2 [gaddr 239.1.1.1] [max resp time 1s]"
        );
        assert_eq!(
            text(&[0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0]),
            "igmp query v3 [max resp time 10s]"
        );
        for len in 9..12 {
            let refused = IgmpMessage::parse(&[0x11; 12][..len]).map(|_| ());
            let header = HeaderName::Igmp;
            assert_eq!(
                refused,
                Err(HeaderError::Length {
                    header,
                    stated: len
                })
            );
        }
    }

    #[test]
    fn a_version_3_query_tells_its_sources_and_needs_them() {
        let message = [
            0x11, 0xff, 0, 0, 239, 1, 1, 1, 0x0a, 0x80, 0, 2, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        let IgmpMessage::Query(query) = IgmpMessage::parse(&message).unwrap() else {
            panic!("not a query");
        };
        assert_eq!(query.max_response, Duration::from_millis(3_174_400));
        assert!(query.suppress);
        assert_eq!((query.robustness, query.source_count), (2, 2));
        assert_eq!(query.interval, Duration::from_secs(128));
        assert_eq!(
            query.to_string(),
            "igmp query v3 [gaddr 239.1.1.1] [2 source(s)] [max resp time 3174.4s]"
        );
        for len in 12..message.len() {
            let refused = IgmpMessage::parse(&message[..len]).map(|_| ());
            assert_eq!(
                refused,
                Err(HeaderError::truncated(HeaderName::Igmp, 20, len))
            );
        }
    }

    #[test]
    fn reports_and_leaves_name_their_groups() {
        assert_eq!(
            text(&[0x12, 0, 0, 0, 224, 0, 0, 251]),
            "igmp v1 report 224.0.0.251"
        );
        assert_eq!(
            text(&[0x16, 0, 0, 0, 239, 1, 1, 1]),
            "igmp v2 report 239.1.1.1"
        );
        assert_eq!(text(&[0x17, 0, 0, 0, 239, 1, 1, 1]), "igmp leave 239.1.1.1");
        let report = [
            0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 239, 1, 1, 1, 3, 0, 0, 0, 239, 1, 1, 2,
        ];
        assert_eq!(
            text(&report),
            "igmp v3 report [gaddr 239.1.1.1 to_ex, 0 source(s)] \
             [gaddr 239.1.1.2 to_in, 0 source(s)]"
        );
        assert_eq!(
            text(&report[..20]),
            "igmp v3 report [gaddr 239.1.1.1 to_ex, 0 source(s)] [|igmp]"
        );
    }

    #[test]
    fn short_and_other_messages_are_refused() {
        for len in 0..8 {
            IgmpMessage::parse(&[0x16; 8][..len]).unwrap_err();
        }
        let other = HeaderError::MessageType {
            header: HeaderName::Igmp,
            kind: 0x13,
        };
        assert_eq!(IgmpMessage::parse(&[0x13; 8]).map(|_| ()), Err(other));
    }

    #[test]
    fn a_query_is_read_back_as_it_was_written() {
        let query = IgmpQuery {
            version: IgmpVersion::V3,
            group: Ipv4Addr::new(239, 1, 1, 1),
            max_response: Duration::from_secs(1),
            suppress: true,
            robustness: 2,
            interval: Duration::from_secs(125),
            source_count: 0,
        };
        let message = query.encode();
        assert!(IgmpMessage::verify_checksum(&message));
        assert_eq!(
            message[..2],
            [0x11, 10],
            "the octets of RFC 3376 §4.1 and §8.8"
        );
        let Ok(IgmpMessage::Query(again)) = IgmpMessage::parse(&message) else {
            panic!("not a query");
        };
        assert_eq!(again, query);
        let mut wrong = message;
        wrong[11] ^= 1;
        assert!(!IgmpMessage::verify_checksum(&wrong));
    }
}

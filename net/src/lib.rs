//! The words and bytes of tapweave.
//!
//! Everything that two other crates must agree on stands here: addresses, header views, checksums,
//! flow keys, the offload metadata that travels with a frame, the buckets of a hash, typed numbers and
//! time. The crate performs no I/O, never reads a clock and never allocates on the packet path; callers
//! pass in bytes and [`Timestamp`]s.
//!
//! A *view* (`…View`, for the hot path) borrows bytes, checks their length once in `parse` and then
//! reads fields. A plain struct stands where meaning is narrower than bytes (an address, a VID).
//! No parser here panics on any input.

#![forbid(unsafe_code)]

pub mod checksum;
pub mod coalesce;
pub mod tcp_coalesce;

mod bucket;
mod domain_name;
mod ethertype;
mod field;
mod flow;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gso;
mod header;
mod icmp_error;
mod id;
mod mac;
mod mss;
mod neighbor;
mod offload;
mod parsed;
mod time;
mod vid_set;
mod vnet;

// Frames and what travels with them.
pub use frame::{Frame, TagAction, TagError};
pub use gso::{Segment, SegmentError, SplitError, Splitter};
pub use offload::{ChecksumOffload, Gso, GsoKind, Offload, OffloadSet};
pub use vnet::{VnetHdr, VnetHdrError};

// Parsing once: offsets and flows.
pub use flow::{FlowKey, L4Ports};
pub use header::{HeaderError, HeaderName};
pub use parsed::{Network, ParsedFrame, Transport};

// The link layer.
pub use ethertype::EtherType;
pub use header::{
    ArpOperation, ArpPacket, EthernetMut, EthernetView, Tags, Vid, VidError, VidParseError, VlanTag,
};
pub use mac::{MacAddr, MacParseError};
pub use vid_set::{VidSet, VidSetError};

// The network layer.
pub use header::{
    Extension, Extensions, Fragment, FragmentHeader, IpProtocol, Ipv4Mut, Ipv4View, Ipv6Mut,
    Ipv6View, RawOption, RawOptions, UpperLayer,
};

// What IP carries.
pub use header::{
    GroupRecord, GroupRecords, Icmpv4Mut, Icmpv4Type, Icmpv4View, Icmpv6Mut, Icmpv6Type,
    Icmpv6View, IgmpMessage, IgmpQuery, IgmpRecords, IgmpVersion, Ipv6Options, MldMessage,
    MldQuery, MldRecords, MldVersion, NdMessage, NdOption, NdOptions, NeighborFlags,
    PrefixInformation, RecordKind, RouterAdvertisement, TcpFlags, TcpMut, TcpOption, TcpView,
    UdpMut, UdpView,
};

// What is answered or changed on behalf of others.
pub use icmp_error::{IcmpError, IcmpErrorKind, NoIcmpError};
pub use mss::{clamp_mss, mss_for_mtu};
pub use neighbor::{NeighborAnswer, NeighborQuestion};

// Tables.
pub use bucket::bucket_pair;

// Numbers and time.
pub use domain_name::DomainName;
pub use id::{NetworkNo, PortNo};
pub use time::Timestamp;

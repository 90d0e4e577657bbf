//! Views of headers and the small structs that they yield, one file per header.

mod arp;
mod error;
mod ethernet;
mod extension;
mod fragment;
mod icmpv4;
mod icmpv6;
mod ipv4;
mod ipv6;
mod nd;
mod nd_option;
mod options;
mod protocol;
mod tcp;
mod udp;
mod vlan;

pub use arp::{ArpOperation, ArpPacket};
pub use error::{HeaderError, HeaderName};
pub use ethernet::{EthernetMut, EthernetView, Tags};
pub use extension::{Extension, Extensions, FragmentHeader, UpperLayer};
pub use fragment::Fragment;
pub use icmpv4::{Icmpv4Mut, Icmpv4Type, Icmpv4View};
pub use icmpv6::{Icmpv6Mut, Icmpv6Type, Icmpv6View};
pub use ipv4::{Ipv4Mut, Ipv4View};
pub use ipv6::{Ipv6Mut, Ipv6View};
pub use nd::{NdMessage, NeighborFlags, RouterAdvertisement};
pub use nd_option::{NdOption, NdOptions, PrefixInformation};
pub use options::{RawOption, RawOptions};
pub use protocol::IpProtocol;
pub use tcp::{TcpFlags, TcpMut, TcpOption, TcpView};
pub use udp::{UdpMut, UdpView};
pub use vlan::{Vid, VidError, VlanTag};

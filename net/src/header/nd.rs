//! IPv6 Neighbor Discovery (RFC 4861 §4).
//!
//! ```text
//! router solicitation    | ICMP for IPv6, 4 reserved                                     | options
//! router advertisement   | ICMP for IPv6, hop limit, M O …, lifetime | reachable | retrans | options
//! neighbor solicitation  | ICMP for IPv6, 4 reserved | target, 16                        | options
//! neighbor advertisement | ICMP for IPv6, R S O …    | target, 16                        | options
//! redirect               | ICMP for IPv6, 4 reserved | target, 16 | destination, 16       | options
//! ```
//!
//! This file tells what a message says. Whether it may be believed (hop limit 255, a right checksum,
//! code 0, a source address that fits: RFC 4861 §6.1, §7.1, §8.1) is for the caller to check, who has
//! the IPv6 header.

use core::fmt;
use core::net::Ipv6Addr;
use core::time::Duration;

use super::{HeaderError, HeaderName, Icmpv6Type, Icmpv6View, NdOptions};
use crate::field::{get, u32_at};

/// A message of Neighbor Discovery.
#[derive(Clone, Debug)]
pub enum NdMessage<'a> {
    /// A host looks for routers.
    RouterSolicitation {
        /// The options.
        options: NdOptions<'a>,
    },
    /// A router tells of itself.
    RouterAdvertisement(RouterAdvertisement<'a>),
    /// Who has this address?
    NeighborSolicitation {
        /// The address that is asked for.
        target: Ipv6Addr,
        /// The options.
        options: NdOptions<'a>,
    },
    /// The sender, or the one that it speaks for, has this address.
    NeighborAdvertisement {
        /// The address.
        target: Ipv6Addr,
        /// What the sender says about it.
        flags: NeighborFlags,
        /// The options.
        options: NdOptions<'a>,
    },
    /// A better first hop is on the link.
    Redirect {
        /// The better first hop.
        target: Ipv6Addr,
        /// The destination that it is better for.
        destination: Ipv6Addr,
        /// The options.
        options: NdOptions<'a>,
    },
}

/// What a router tells of itself.
#[derive(Clone, Debug)]
pub struct RouterAdvertisement<'a> {
    /// Hop limit for hosts to use, 0 for "no advice".
    pub hop_limit: u8,
    /// Addresses are to be had from DHCP for IPv6.
    pub managed: bool,
    /// Other configuration is to be had from DHCP for IPv6.
    pub other_config: bool,
    /// How long the sender is a default router; zero when it is none.
    pub router_lifetime: Duration,
    /// How long a neighbour counts as reachable, zero for "no advice".
    pub reachable_time: Duration,
    /// Time between solicitations, zero for "no advice".
    pub retrans_timer: Duration,
    /// The options.
    pub options: NdOptions<'a>,
}

/// What a neighbor advertisement says about its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct NeighborFlags {
    /// The sender is a router.
    pub router: bool,
    /// The message answers a solicitation.
    pub solicited: bool,
    /// The message overrides what is in a cache.
    pub overriding: bool,
}

impl<'a> NdMessage<'a> {
    /// Reads the message in `icmp`.
    ///
    /// # Errors
    ///
    /// [`HeaderError::MessageType`] when it is not one of Neighbor Discovery,
    /// [`HeaderError::Truncated`] when its fixed part is cut short. Options are read when they are
    /// walked.
    pub fn parse(icmp: &Icmpv6View<'a>) -> Result<Self, HeaderError> {
        let body = icmp.payload();
        let message = match icmp.kind() {
            Icmpv6Type::ROUTER_SOLICITATION => Self::RouterSolicitation {
                options: NdOptions::new(body),
            },
            Icmpv6Type::ROUTER_ADVERTISEMENT => Self::router_advertisement(icmp)?,
            Icmpv6Type::NEIGHBOR_SOLICITATION => {
                let (target, rest) = split_address(body)?;
                Self::NeighborSolicitation {
                    target,
                    options: NdOptions::new(rest),
                }
            }
            Icmpv6Type::NEIGHBOR_ADVERTISEMENT => {
                let (target, rest) = split_address(body)?;
                let flags = icmp.rest_of_header();
                Self::NeighborAdvertisement {
                    target,
                    flags: NeighborFlags {
                        router: flags & 0x8000_0000 != 0,
                        solicited: flags & 0x4000_0000 != 0,
                        overriding: flags & 0x2000_0000 != 0,
                    },
                    options: NdOptions::new(rest),
                }
            }
            Icmpv6Type::REDIRECT => {
                let (target, rest) = split_address(body)?;
                let (destination, rest) = split_address(rest)?;
                Self::Redirect {
                    target,
                    destination,
                    options: NdOptions::new(rest),
                }
            }
            Icmpv6Type(kind) => {
                return Err(HeaderError::MessageType {
                    header: HeaderName::Nd,
                    kind,
                });
            }
        };
        Ok(message)
    }

    fn router_advertisement(icmp: &Icmpv6View<'a>) -> Result<Self, HeaderError> {
        let (times, rest) = split::<8>(icmp.payload())?;
        let [hop_limit, flags, lifetime @ ..] = icmp.rest_of_header().to_be_bytes();
        Ok(Self::RouterAdvertisement(RouterAdvertisement {
            hop_limit,
            managed: flags & 0x80 != 0,
            other_config: flags & 0x40 != 0,
            router_lifetime: Duration::from_secs(u16::from_be_bytes(lifetime).into()),
            reachable_time: Duration::from_millis(u32_at::<0, _>(times).into()),
            retrans_timer: Duration::from_millis(u32_at::<4, _>(times).into()),
            options: NdOptions::new(rest),
        }))
    }

    /// Returns the options of the message.
    pub fn options(&self) -> NdOptions<'a> {
        match self {
            Self::RouterSolicitation { options }
            | Self::RouterAdvertisement(RouterAdvertisement { options, .. })
            | Self::NeighborSolicitation { options, .. }
            | Self::NeighborAdvertisement { options, .. }
            | Self::Redirect { options, .. } => options.clone(),
        }
    }
}

impl fmt::Display for NdMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RouterSolicitation { .. } => f.write_str("router solicitation"),
            Self::RouterAdvertisement(router) => {
                let lifetime = router.router_lifetime.as_secs();
                write!(f, "router advertisement, router lifetime {lifetime}s")
            }
            Self::NeighborSolicitation { target, .. } => {
                write!(f, "neighbor solicitation, who has {target}")
            }
            Self::NeighborAdvertisement { target, .. } => {
                write!(f, "neighbor advertisement, tgt is {target}")
            }
            Self::Redirect {
                target,
                destination,
                ..
            } => write!(f, "redirect, {destination} to {target}"),
        }?;
        for option in self.options().flatten() {
            write!(f, ", {option}")?;
        }
        Ok(())
    }
}

fn split<const N: usize>(data: &[u8]) -> Result<(&[u8; N], &[u8]), HeaderError> {
    data.split_first_chunk()
        .ok_or_else(|| HeaderError::truncated(HeaderName::Nd, N, data.len()))
}

fn split_address(data: &[u8]) -> Result<(Ipv6Addr, &[u8]), HeaderError> {
    let (address, rest) = split::<16>(data)?;
    Ok((Ipv6Addr::from(get::<0, 16, _>(address)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MacAddr, NdOption};

    const TARGET: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

    fn parse(message: &[u8]) -> Result<NdMessage<'_>, HeaderError> {
        NdMessage::parse(&Icmpv6View::parse(message)?)
    }

    #[test]
    fn a_solicitation_and_its_answer_are_read() {
        let solicitation = [
            &[135, 0, 0, 0, 0, 0, 0, 0][..],
            &TARGET,
            &[1, 1, 2, 0, 0, 0, 0, 7],
        ]
        .concat();
        let message = parse(&solicitation).unwrap();
        assert_eq!(
            message.to_string(),
            "neighbor solicitation, who has fd00::9, source link-address 02:00:00:00:00:07"
        );
        let mac = MacAddr::new([2, 0, 0, 0, 0, 7]);
        assert_eq!(
            message.options().collect::<Vec<_>>(),
            [Ok(NdOption::SourceLinkLayer(mac))]
        );

        let answer = [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &TARGET].concat();
        let Ok(NdMessage::NeighborAdvertisement { target, flags, .. }) = parse(&answer) else {
            panic!("not an advertisement");
        };
        assert_eq!(target, Ipv6Addr::from(TARGET));
        let want = NeighborFlags {
            router: false,
            solicited: true,
            overriding: true,
        };
        assert_eq!(flags, want);
    }

    #[test]
    fn a_router_advertisement_is_read() {
        let message = [
            134, 0, 0, 0, 64, 0xc0, 0x07, 0x08, 0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8, 5, 1, 0, 0, 0,
            0, 0x05, 0xdc,
        ];
        let Ok(NdMessage::RouterAdvertisement(router)) = parse(&message) else {
            panic!("not an advertisement");
        };
        assert_eq!((router.hop_limit, router.managed), (64, true));
        assert!(router.other_config);
        assert_eq!(router.router_lifetime, Duration::from_mins(30));
        assert_eq!(router.reachable_time, Duration::from_secs(30));
        assert_eq!(router.retrans_timer, Duration::from_secs(1));
        assert_eq!(
            router.options.collect::<Vec<_>>(),
            [Ok(NdOption::Mtu(1500))]
        );
    }

    #[test]
    fn a_redirect_names_the_hop_and_the_destination() {
        let message = [
            &[137, 0, 0, 0, 0, 0, 0, 0][..],
            &TARGET,
            &Ipv6Addr::LOCALHOST.octets(),
        ]
        .concat();
        assert_eq!(
            parse(&message).unwrap().to_string(),
            "redirect, ::1 to fd00::9"
        );
    }

    #[test]
    fn a_fixed_part_cut_short_or_another_message_is_refused() {
        for (kind, len) in [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)] {
            let mut message = [0; 40];
            message[0] = kind;
            for short in 0..len {
                assert!(parse(&message[..short]).is_err(), "{kind} {short}");
            }
            assert!(parse(&message[..len]).is_ok(), "{kind}");
        }
        let other = HeaderError::MessageType {
            header: HeaderName::Nd,
            kind: 128,
        };
        assert_eq!(parse(&[128, 0, 0, 0, 0, 0, 0, 0]).map(|_| ()), Err(other));
    }
}

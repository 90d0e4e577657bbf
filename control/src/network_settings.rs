//! Validates what a network is asked to be: driver, MTU, isolation, driver options.
//!
//! `tapweave.*` options are ours and must be known. Four of Docker's are understood; all others are
//! kept and shown, because tools set them for drivers in general.

mod lan;
mod overlay;
mod snooping;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tapweave_encap::EncapKind;
use tapweave_switch::{StormLimits, Suppression};
use thiserror::Error;

use crate::api::CreateNetwork;
use crate::datapath::{AddressProbing, Isolation, NetworkSettings, OverlaySettings, WayOut};
use crate::{did_you_mean, storm};

/// MTU of a bridge network, in bytes, when none is asked for.
pub const DEFAULT_MTU: u16 = 1500;
/// MTUs that a network can have, in bytes: from the least of IPv4 (RFC 791 §3.2) to the most that
/// fits in a 64 KiB buffer with its Ethernet header, rounded as other tools do.
pub const MTU_RANGE: RangeInclusive<u16> = 68..=65520;
/// Least MTU of a network with IPv6 (RFC 8200 §5).
pub const MTU_V6_MIN: u16 = 1280;
/// Ageing of learned FDB entries when none is asked for (IEEE 802.1Q-2018 table 8-6).
pub const DEFAULT_AGEING: Duration = Duration::from_mins(5);
/// Most FDB entries of a network when nothing else is asked for, as Open vSwitch has it.
pub const DEFAULT_FDB_LIMIT: u32 = 8192;

/// The driver of networks of this host.
pub(crate) const DRIVER_BRIDGE: &str = "bridge";
/// The driver of networks that are part of the LAN of an interface of the host.
pub(crate) const DRIVER_NIC: &str = "nic";

/// IEEE 802.1Q-2018 table 8-6 gives 10 s to 10^6 s; tests and labs want less.
const AGEING_SECS: RangeInclusive<u64> = 1..=1_000_000;
/// A million entries take a few dozen MB.
const FDB_LIMITS: RangeInclusive<u32> = 1..=1_048_576;

/// Every driver.
const DRIVERS: [&str; 3] = ["bridge", "overlay", DRIVER_NIC];

const OPTION_AGEING: &str = "tapweave.ageing";
const OPTION_FDB_LIMIT: &str = "tapweave.fdb_limit";
/// Options in our own space.
const KNOWN_OPTIONS: [&str; 18] = [
    OPTION_DHCP,
    OPTION_DHCP_LEASE,
    OPTION_DNS,
    OPTION_AGEING,
    OPTION_FDB_LIMIT,
    OPTION_STORM,
    OPTION_DAD,
    overlay::OPTION_PORT,
    overlay::OPTION_SUPPRESSION,
    overlay::OPTION_OPEN,
    overlay::OPTION_DSCP,
    overlay::OPTION_TTL,
    overlay::OPTION_GROUP,
    snooping::OPTION_SNOOPING,
    snooping::OPTION_QUERIER,
    snooping::OPTION_FAST_LEAVE,
    snooping::OPTION_QUERY_GUARD,
    snooping::OPTION_MDB_LIMIT,
];

/// Whether the gateway is a DHCP server, and how long what it leases is so.
const OPTION_DHCP: &str = "tapweave.dhcp";
const OPTION_DHCP_LEASE: &str = "tapweave.dhcp_lease";
/// Whether names are answered at the gateway.
const OPTION_DNS: &str = "tapweave.dns";
const OPTION_STORM: &str = "tapweave.storm";
const OPTION_DAD: &str = "tapweave.dad";
pub(crate) const OPTION_ICC: &str = "com.docker.network.bridge.enable_icc";
pub(crate) const OPTION_MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const OPTION_HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
pub(crate) const OPTION_MTU: &str = "com.docker.network.driver.mtu";

/// A driver, an option or a number that a network cannot have.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A driver of the plan.
    #[error("driver {driver} is not built yet; this version has bridge, overlay and nic")]
    DriverNotBuilt {
        /// Its name.
        driver: String,
    },
    /// No driver.
    #[error(
        "driver {driver:?} is not known{}; this version has bridge, overlay and nic",
        did_you_mean(driver, DRIVERS)
    )]
    UnknownDriver {
        /// What was given.
        driver: String,
    },
    /// The driver `nic` without an interface.
    #[error("driver nic needs --parent, the interface whose LAN the network is part of")]
    NeedsParent,
    /// An interface for a network that is not on its LAN.
    #[error("--parent is for driver nic only")]
    ParentWithoutNic,
    /// Something that a network without a gateway of ours cannot do.
    #[error(
        "{flag} is not for driver nic: the network is part of the LAN, and its router is the gateway"
    )]
    NotOnLan {
        /// The flag.
        flag: &'static str,
    },
    /// A name in our own space that means nothing.
    #[error(
        "option {name} is not known{}; there are {}",
        did_you_mean(name, KNOWN_OPTIONS),
        KNOWN_OPTIONS.join(", ")
    )]
    UnknownOption {
        /// What was given.
        name: String,
    },
    /// The value cannot be read, or is out of range.
    #[error("option {name}={value} is not {expected}")]
    BadValue {
        /// Name of the option.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A flag and an option say different things.
    #[error("{flag} and option {name}={value} contradict each other")]
    Contradiction {
        /// The flag.
        flag: &'static str,
        /// Name of the option.
        name: &'static str,
        /// Value of the option.
        value: String,
    },
    /// An option of snooping where there is none.
    #[error("option {name} needs tapweave.snooping, which is switched off")]
    NeedsSnooping {
        /// Name of the option.
        name: &'static str,
    },
    /// A flag or option of overlays.
    #[error("{flag} is for overlay networks only (-d overlay)")]
    OnlyForOverlay {
        /// The flag or option.
        flag: &'static str,
    },
    /// An overlay lacks something that a store would give it.
    #[error("an overlay network needs {flag}: there is no store that would choose one")]
    OverlayNeeds {
        /// The flag.
        flag: &'static str,
    },
    /// Something that an encapsulation does not have.
    #[error("{flag} is not for encapsulation {kind}")]
    NotForEncap {
        /// The flag or option.
        flag: &'static str,
        /// The encapsulation.
        kind: EncapKind,
    },
    /// Hosts do not tell each other who listens.
    #[error("option {name} is not for overlay networks: frames to groups go to all hosts")]
    SnoopingInOverlay {
        /// Name of the option.
        name: &'static str,
    },
    /// No MTU.
    #[error("an MTU of {mtu} is outside of {}..={}", MTU_RANGE.start(), MTU_RANGE.end())]
    Mtu {
        /// What was given.
        mtu: u32,
    },
    /// Too small for IPv6.
    #[error("an MTU of {mtu} is too small for IPv6, which needs {MTU_V6_MIN}")]
    MtuForV6 {
        /// What was given.
        mtu: u16,
    },
}

/// What a network was asked to be, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ValidSettings {
    /// For the packet path; the gateway is still missing.
    pub(crate) settings: NetworkSettings,
    /// What makes it an overlay.
    pub(crate) overlay: Option<OverlaySettings>,
    /// Whether its MTU was asked for.
    pub(crate) mtu_is_given: bool,
    /// Where the gateway is to route to.
    pub(crate) way_out: WayOut,
    /// Which address of the uplink ports are published on when none is given; none for all of them.
    pub(crate) host_binding: Option<Ipv4Addr>,
    /// The options as `inspect` shows them, with what was given by flag.
    pub(crate) options: BTreeMap<String, String>,
}

impl ValidSettings {
    /// Reads driver, MTU, `icc`, `masquerade`, `internal` and options of `request`.
    pub(crate) fn new(request: &CreateNetwork) -> Result<Self, OptionError> {
        validate_driver(&request.driver)?;
        let mut options = request.options.clone();
        let overlay = overlay::read(request, &mut options)?;
        let parent = lan::read(request, &mut options)?;
        let unknown = options
            .keys()
            .find(|name| name.starts_with("tapweave.") && !KNOWN_OPTIONS.contains(&name.as_str()))
            .cloned();
        if let Some(name) = unknown {
            return Err(OptionError::UnknownOption { name });
        }
        let ageing = parsed(&options, OPTION_AGEING, "a time of 1s to 1000000s", ageing)?;
        let fdb_limit = parsed(
            &options,
            OPTION_FDB_LIMIT,
            "a number from 1 to 1048576",
            |text| text.parse().ok().filter(|limit| FDB_LIMITS.contains(limit)),
        )?;
        let probing = parsed(&options, OPTION_DAD, "a boolean", boolean)?;
        parsed(&options, OPTION_DNS, "a boolean", boolean)?;
        parsed(&options, OPTION_DHCP, "a boolean", boolean)?;
        parsed(
            &options,
            OPTION_DHCP_LEASE,
            "a time of 2m to 1000000s",
            leased,
        )?;
        let storm = parsed(&options, OPTION_STORM, storm::EXPECTED, storm::parse)?;
        let icc = merged(
            &mut options,
            OPTION_ICC,
            "a boolean",
            "--icc",
            request.icc,
            boolean,
        )?;
        let masquerade = merged(
            &mut options,
            OPTION_MASQUERADE,
            "a boolean",
            "--masquerade",
            request.masquerade,
            boolean,
        )?;
        let host_binding = parsed(&options, OPTION_HOST_BINDING, "an IPv4 address", |text| {
            text.parse::<Ipv4Addr>().ok()
        })?;
        let mtu = merged(
            &mut options,
            OPTION_MTU,
            "a number",
            "--mtu",
            request.mtu,
            |text| text.parse::<u32>().ok(),
        )?;
        Ok(Self {
            settings: NetworkSettings {
                mtu: mtu.map_or(Ok(DEFAULT_MTU), validate_mtu)?,
                ageing: ageing.unwrap_or(DEFAULT_AGEING),
                fdb_limit: fdb_limit.unwrap_or(DEFAULT_FDB_LIMIT),
                // Hosts do not tell each other who listens, so frames to groups go to all of them.
                snooping: match overlay {
                    Some(_) => None,
                    None => snooping::read(&options)?,
                },
                suppression: match overlay {
                    Some(overlay) if !overlay.is_routed() => overlay::suppression(&options)?,
                    Some(_routed) => Suppression::Off,
                    None => Suppression::Off,
                },
                storm: storm.unwrap_or(StormLimits::NONE),
                isolation: match icc {
                    Some(false) => Isolation::Isolated,
                    Some(true) | None => Isolation::Open,
                },
                probing: match probing {
                    Some(false) => AddressProbing::Off,
                    Some(true) | None => AddressProbing::On,
                },
                gateway: None,
                parent,
            },
            overlay,
            mtu_is_given: mtu.is_some(),
            way_out: match (request.internal, masquerade) {
                (true, _) => WayOut::None,
                (false, Some(false)) => WayOut::Routed,
                (false, Some(true) | None) => WayOut::Masquerade,
            },
            host_binding: host_binding.filter(|address| !address.is_unspecified()),
            options,
        })
    }

    /// Checks what only a network with IPv6 has to fulfil.
    pub(crate) const fn validate_for_v6(&self) -> Result<(), OptionError> {
        let mtu = self.settings.mtu;
        if mtu < MTU_V6_MIN {
            return Err(OptionError::MtuForV6 { mtu });
        }
        Ok(())
    }
}

/// Tells whether a network with these options, which were valid, answers names at its gateway.
pub(crate) fn serves_names(options: &BTreeMap<String, String>) -> bool {
    let text = options.get(OPTION_DNS);
    text.and_then(|text| boolean(text)).unwrap_or(true)
}

/// Returns how long the leases of a network with these options, which were valid, last; `None` when its gateway is no DHCP
/// server.
pub(crate) fn lease_time(options: &BTreeMap<String, String>) -> Option<Duration> {
    let is_on = options.get(OPTION_DHCP).and_then(|text| boolean(text));
    let given = options.get(OPTION_DHCP_LEASE).and_then(|text| leased(text));
    is_on
        .unwrap_or(true)
        .then(|| given.unwrap_or(tapweave_dhcp::DEFAULT_LEASE_TIME))
}

fn validate_driver(driver: &str) -> Result<(), OptionError> {
    match driver {
        DRIVER_BRIDGE | "overlay" | DRIVER_NIC => Ok(()),
        "routed" => Err(OptionError::DriverNotBuilt {
            driver: driver.to_owned(),
        }),
        _ => Err(OptionError::UnknownDriver {
            driver: driver.to_owned(),
        }),
    }
}

fn validate_mtu(mtu: u32) -> Result<u16, OptionError> {
    u16::try_from(mtu)
        .ok()
        .filter(|mtu| MTU_RANGE.contains(mtu))
        .ok_or(OptionError::Mtu { mtu })
}

/// Returns the value of option `name`, `None` when it is not given.
fn parsed<T>(
    options: &BTreeMap<String, String>,
    name: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, OptionError> {
    let Some(value) = options.get(name) else {
        return Ok(None);
    };
    match parse(value) {
        Some(value) => Ok(Some(value)),
        None => Err(OptionError::BadValue {
            name,
            value: value.clone(),
            expected,
        }),
    }
}

/// Returns what the flag or the option says, and writes the flag down as the option.
fn merged<T: PartialEq + ToString + Copy>(
    options: &mut BTreeMap<String, String>,
    name: &'static str,
    expected: &'static str,
    flag: &'static str,
    by_flag: Option<T>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, OptionError> {
    let by_option = parsed(options, name, expected, parse)?;
    match (by_flag, by_option) {
        (Some(a), Some(b)) if a != b => Err(OptionError::Contradiction {
            flag,
            name,
            value: b.to_string(),
        }),
        (Some(value), _) => {
            options.insert(name.to_owned(), value.to_string());
            Ok(Some(value))
        }
        (None, by_option) => Ok(by_option),
    }
}

/// Reads a number of seconds, or of the unit behind it: `300`, `300s`, `5m`, `2h`.
fn ageing(text: &str) -> Option<Duration> {
    let digits_len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at_checked(digits_len)?;
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let secs = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    AGEING_SECS
        .contains(&secs)
        .then(|| Duration::from_secs(secs))
}

/// Reads a time as [`ageing`] does, but none that clients would not be given.
fn leased(text: &str) -> Option<Duration> {
    ageing(text).filter(|time| *time >= tapweave_dhcp::MIN_LEASE_TIME)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tapweave_switch::FrameRate;
    use tapweave_switch::SnoopingConfig;

    use super::*;

    fn request(options: &[(&str, &str)]) -> CreateNetwork {
        let mut request = CreateNetwork::new("n".parse().unwrap());
        request.options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        request
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let valid = ValidSettings::new(&request(&[])).unwrap();
        let expected = NetworkSettings {
            mtu: 1500,
            ageing: Duration::from_mins(5),
            fdb_limit: 8192,
            snooping: Some(SnoopingConfig::default()),
            storm: StormLimits::NONE,
            isolation: Isolation::Open,
            suppression: Suppression::Off,
            probing: AddressProbing::On,
            gateway: None,
            parent: None,
        };
        assert_eq!(valid.settings, expected);
        assert_eq!(valid.way_out, WayOut::Masquerade);
        assert_eq!(valid.host_binding, None);
        assert!(valid.options.is_empty());
    }

    #[test]
    fn options_are_read_and_foreign_ones_kept() {
        let valid = ValidSettings::new(&request(&[
            ("tapweave.ageing", "5m"),
            ("tapweave.fdb_limit", "100"),
            ("tapweave.storm", "unknown:50"),
            ("com.docker.network.bridge.enable_icc", "false"),
            ("com.docker.network.bridge.enable_ip_masquerade", "0"),
            ("com.docker.network.bridge.host_binding_ipv4", "192.0.2.1"),
            ("com.docker.network.driver.mtu", "9000"),
            ("com.docker.network.bridge.name", "br0"),
        ]))
        .unwrap();
        assert_eq!(valid.settings.ageing, Duration::from_mins(5));
        assert_eq!(valid.settings.fdb_limit, 100);
        assert_eq!(valid.settings.storm.unknown, FrameRate::new(50));
        assert_eq!(valid.settings.mtu, 9000);
        assert_eq!(valid.settings.isolation, Isolation::Isolated);
        assert_eq!(valid.way_out, WayOut::Routed);
        assert_eq!(valid.host_binding, Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(valid.options.len(), 8);
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for (name, value) in [
            ("tapweave.snooping", "maybe"),
            ("tapweave.mdb_limit", "0"),
            ("tapweave.ageing", "0"),
            ("tapweave.ageing", "-1s"),
            ("tapweave.ageing", "1d"),
            ("tapweave.ageing", "18446744073709551615h"),
            ("tapweave.ageing", "s"),
            ("tapweave.ageing", "5µ"),
            ("tapweave.fdb_limit", "0"),
            ("tapweave.fdb_limit", "1048577"),
            ("tapweave.storm", "lots"),
            ("com.docker.network.bridge.enable_icc", "maybe"),
            ("com.docker.network.bridge.enable_ip_masquerade", "yes"),
            ("com.docker.network.bridge.host_binding_ipv4", "::1"),
            ("com.docker.network.driver.mtu", "67"),
            ("com.docker.network.driver.mtu", "65521"),
            ("com.docker.network.driver.mtu", "99999999999"),
        ] {
            assert!(
                ValidSettings::new(&request(&[(name, value)])).is_err(),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn a_flag_is_shown_as_its_option_and_must_not_contradict_it() {
        let mut by_flag = request(&[]);
        by_flag.icc = Some(false);
        by_flag.masquerade = Some(true);
        by_flag.mtu = Some(1400);
        let valid = ValidSettings::new(&by_flag).unwrap();
        assert_eq!(valid.options[OPTION_ICC], "false");
        assert_eq!(valid.options[OPTION_MASQUERADE], "true");
        assert_eq!(valid.options[OPTION_MTU], "1400");
        by_flag
            .options
            .insert(OPTION_MTU.to_owned(), "1500".to_owned());
        assert_eq!(
            ValidSettings::new(&by_flag).unwrap_err().to_string(),
            "--mtu and option com.docker.network.driver.mtu=1500 contradict each other"
        );
    }

    #[test]
    fn an_internal_network_has_no_way_out_whatever_else_is_said() {
        let mut internal = request(&[]);
        internal.internal = true;
        for masquerade in [None, Some(true), Some(false)] {
            internal.masquerade = masquerade;
            let valid = ValidSettings::new(&internal).unwrap();
            assert_eq!(valid.way_out, WayOut::None);
        }
    }

    #[test]
    fn drivers_that_are_not_built_are_told_from_those_that_are_not_known() {
        let error = |driver: &str| {
            let request = CreateNetwork {
                driver: driver.to_owned(),
                ..request(&[])
            };
            ValidSettings::new(&request).unwrap_err().to_string()
        };
        assert_eq!(
            error("routed"),
            "driver routed is not built yet; this version has bridge, overlay and nic"
        );
        assert_eq!(
            error("briidge"),
            "driver \"briidge\" is not known; did you mean bridge?; this version has bridge, overlay and nic"
        );
    }

    #[test]
    fn ipv6_needs_its_minimum_mtu() {
        let mut small = request(&[]);
        small.mtu = Some(1279);
        let valid = ValidSettings::new(&small).unwrap();
        assert_eq!(
            valid.validate_for_v6(),
            Err(OptionError::MtuForV6 { mtu: 1279 })
        );
        small.mtu = Some(1280);
        assert_eq!(
            ValidSettings::new(&small).unwrap().validate_for_v6(),
            Ok(())
        );
    }
}

//! What makes a network an overlay: driver, encapsulation, VNI, port.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tapweave_encap::{Admission, Dscp, DscpModel, Encap, EncapKind, HopLimit, Vni};

use tapweave_switch::Suppression;

use super::{OptionError, boolean, parsed, snooping};
use crate::api::CreateNetwork;
use crate::datapath::OverlaySettings;

pub(super) const OPTION_PORT: &str = "tapweave.vxlan_port";
pub(super) const OPTION_SUPPRESSION: &str = "tapweave.suppression";
pub(super) const OPTION_OPEN: &str = "tapweave.open";
pub(super) const OPTION_DSCP: &str = "tapweave.dscp";
pub(super) const OPTION_TTL: &str = "tapweave.ttl";
pub(super) const OPTION_GROUP: &str = "tapweave.group";
/// Where Docker shows the VNIs of a network, one for each subnet.
const OPTION_VNI: &str = "com.docker.network.driver.overlay.vxlanid_list";

/// Reads what makes `request` an overlay; none when it is a bridge network.
pub(super) fn read(
    request: &CreateNetwork,
    options: &mut BTreeMap<String, String>,
) -> Result<Option<OverlaySettings>, OptionError> {
    let port = parsed(options, OPTION_PORT, "a port from 1 to 65535", |text| {
        text.parse::<u16>().ok().filter(|port| *port > 0)
    })?;
    if request.driver != "overlay" {
        let flags = [
            ("--vni", request.vni.is_some()),
            ("--encap", request.encap.is_some()),
            ("--encap-port", request.encap_port.is_some()),
            (OPTION_PORT, port.is_some()),
            (OPTION_OPEN, options.contains_key(OPTION_OPEN)),
            (OPTION_SUPPRESSION, options.contains_key(OPTION_SUPPRESSION)),
            (OPTION_DSCP, options.contains_key(OPTION_DSCP)),
            (OPTION_TTL, options.contains_key(OPTION_TTL)),
            (OPTION_GROUP, options.contains_key(OPTION_GROUP)),
        ];
        let given = flags.into_iter().find(|(_, is_given)| *is_given);
        return match given {
            Some((flag, _)) => Err(OptionError::OnlyForOverlay { flag }),
            None => Ok(None),
        };
    }
    let text = request.encap.as_deref().unwrap_or("vxlan");
    let kind = text.parse().map_err(|_unknown| OptionError::BadValue {
        name: "--encap",
        value: text.to_owned(),
        expected: "vxlan, fou, gue or ipip",
    })?;
    if let (Some(flag), Some(option)) = (request.encap_port, port)
        && flag != option
    {
        return Err(OptionError::Contradiction {
            flag: "--encap-port",
            name: OPTION_PORT,
            value: option.to_string(),
        });
    }
    if request.encap_port == Some(0) {
        return Err(OptionError::BadValue {
            name: "--encap-port",
            value: "0".to_owned(),
            expected: "a port from 1 to 65535",
        });
    }
    let of_snooping = [
        snooping::OPTION_QUERIER,
        snooping::OPTION_FAST_LEAVE,
        snooping::OPTION_QUERY_GUARD,
        snooping::OPTION_MDB_LIMIT,
    ];
    let wants_snooping = options
        .get(snooping::OPTION_SNOOPING)
        .is_some_and(|value| matches!(value.as_str(), "true" | "1"));
    let option = of_snooping
        .into_iter()
        .find(|name| options.contains_key(*name));
    if let Some(name) = option.or_else(|| wants_snooping.then_some(snooping::OPTION_SNOOPING)) {
        return Err(OptionError::SnoopingInOverlay { name });
    }
    if !request.l2_only && request.subnets.is_empty() {
        return Err(OptionError::OverlayNeeds { flag: "--subnet" });
    }
    let encap = match kind {
        EncapKind::Vxlan => Encap::Vxlan(vni(request, options)?),
        EncapKind::Fou => Encap::Fou,
        EncapKind::Gue => Encap::Gue,
        EncapKind::Ipip => Encap::Ipip,
    };
    if kind != EncapKind::Vxlan {
        let refused = [
            ("--vni", request.vni.is_some()),
            ("--subnet none", request.l2_only),
            (OPTION_PORT, port.is_some()),
            (OPTION_OPEN, options.contains_key(OPTION_OPEN)),
            (OPTION_SUPPRESSION, options.contains_key(OPTION_SUPPRESSION)),
            (OPTION_GROUP, options.contains_key(OPTION_GROUP)),
            (
                "--encap-port",
                kind == EncapKind::Ipip && request.encap_port.is_some(),
            ),
        ];
        if let Some((flag, _)) = refused.into_iter().find(|(_, is_given)| *is_given) {
            return Err(OptionError::NotForEncap { flag, kind });
        }
    }
    let is_open = parsed(options, OPTION_OPEN, "a boolean", boolean)?;
    Ok(Some(OverlaySettings {
        encap,
        port: port.or(request.encap_port),
        admission: match is_open {
            Some(true) => Admission::Open,
            Some(false) | None => Admission::Peers,
        },
        dscp: dscp(options)?,
        hop_limit: hop_limit(options)?,
        group: parsed(
            options,
            OPTION_GROUP,
            "the address of a multicast group",
            |text| text.parse::<IpAddr>().ok().filter(IpAddr::is_multicast),
        )?,
    }))
}

/// Reads the TTL or Hop Limit of the outer packets, if one is said.
fn hop_limit(options: &BTreeMap<String, String>) -> Result<Option<HopLimit>, OptionError> {
    let expected = "inherit, or a number from 1 to 255";
    parsed(options, OPTION_TTL, expected, |text| match text {
        "inherit" => Some(HopLimit::Inherit),
        number => number.parse().ok().map(HopLimit::Fixed),
    })
}

/// Reads the DSCP of the outer packets: that of best effort when nothing is said.
fn dscp(options: &BTreeMap<String, String>) -> Result<DscpModel, OptionError> {
    let expected = "inherit, or a number from 0 to 63";
    let model = parsed(options, OPTION_DSCP, expected, |text| match text {
        "inherit" => Some(DscpModel::Uniform),
        number => Dscp::new(number.parse().ok()?).map(DscpModel::Pipe),
    })?;
    Ok(model.unwrap_or(DscpModel::Pipe(Dscp::DEFAULT)))
}

/// Reads the segment of VXLAN.
fn vni(
    request: &CreateNetwork,
    options: &mut BTreeMap<String, String>,
) -> Result<Vni, OptionError> {
    let number = request
        .vni
        .ok_or(OptionError::OverlayNeeds { flag: "--vni" })?;
    let vni = Vni::new(number).map_err(|_too_large| OptionError::BadValue {
        name: "--vni",
        value: number.to_string(),
        expected: "a number from 0 to 16777215",
    })?;
    options.insert(OPTION_VNI.to_owned(), vni.to_u32().to_string());
    Ok(vni)
}

/// Reads whether questions for neighbours are answered in an overlay: unless it is switched off.
pub(super) fn suppression(options: &BTreeMap<String, String>) -> Result<Suppression, OptionError> {
    let wanted = parsed(options, OPTION_SUPPRESSION, "a boolean", boolean)?;
    Ok(match wanted {
        Some(false) => Suppression::Off,
        Some(true) | None => Suppression::On,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(options: &[(&str, &str)]) -> Result<OverlaySettings, OptionError> {
        let mut request = CreateNetwork::new("far".parse().unwrap());
        request.driver = "overlay".to_owned();
        request.vni = Some(42);
        request.l2_only = true;
        let options = options.iter();
        let mut options = options
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        read(&request, &mut options).map(|settings| settings.unwrap())
    }

    fn refuses(option: &str, wrong: &[&str], expected: &str) {
        for wrong in wrong {
            let error = chosen(&[(option, wrong)]).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn the_outer_dscp_is_one_value_or_that_of_the_packet() {
        let chosen = |options| chosen(options).map(|settings| settings.dscp);
        assert_eq!(chosen(&[]), Ok(DscpModel::Pipe(Dscp::DEFAULT)));
        assert_eq!(
            chosen(&[(OPTION_DSCP, "46")]),
            Ok(DscpModel::Pipe(Dscp::new(46).unwrap()))
        );
        assert_eq!(chosen(&[(OPTION_DSCP, "inherit")]), Ok(DscpModel::Uniform));
        let expected = "inherit, or a number from 0 to 63";
        refuses(OPTION_DSCP, &["64", "-1", "", "EF"], expected);
    }

    #[test]
    fn the_outer_ttl_is_one_value_or_that_of_the_packet() {
        let chosen = |options| chosen(options).map(|settings| settings.hop_limit);
        assert_eq!(chosen(&[]), Ok(None));
        let five = HopLimit::Fixed(5.try_into().unwrap());
        assert_eq!(chosen(&[(OPTION_TTL, "5")]), Ok(Some(five)));
        let inherit = Ok(Some(HopLimit::Inherit));
        assert_eq!(chosen(&[(OPTION_TTL, "inherit")]), inherit);
        let expected = "inherit, or a number from 1 to 255";
        refuses(OPTION_TTL, &["0", "256", "", "auto"], expected);
    }

    #[test]
    fn a_group_is_a_multicast_address_of_either_family() {
        let chosen = |options: &[_]| chosen(options).map(|settings| settings.group);
        assert_eq!(chosen(&[]), Ok(None));
        for group in ["239.1.1.1", "ff05::1"] {
            let options = [(OPTION_GROUP, group)];
            assert_eq!(chosen(&options), Ok(Some(group.parse().unwrap())));
        }
        let expected = "the address of a multicast group";
        refuses(OPTION_GROUP, &["192.0.2.1", "2001:db8::1", "x"], expected);
    }
}

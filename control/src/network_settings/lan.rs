//! Reads what the driver `nic` is asked for: networks that are part of the LAN of an interface of the host.

use std::collections::BTreeMap;

use super::{DRIVER_NIC, OptionError};
use crate::api::CreateNetwork;

/// As Docker's `macvlan` has it.
const OPTION_PARENT: &str = "parent";

/// Returns the interface, `None` with another driver.
pub(super) fn read(
    request: &CreateNetwork,
    options: &mut BTreeMap<String, String>,
) -> Result<Option<String>, OptionError> {
    if request.driver != DRIVER_NIC {
        return match request.parent {
            Some(_) => Err(OptionError::ParentWithoutNic),
            None => Ok(None),
        };
    }
    let forbidden = [
        (request.internal, "--internal"),
        (request.masquerade.is_some(), "--masquerade"),
        (request.ipv6, "--ipv6 without a subnet of the LAN"),
    ];
    if let Some((_, flag)) = forbidden.into_iter().find(|(is_given, _)| *is_given) {
        return Err(OptionError::NotOnLan { flag });
    }
    let by_option = options.get(OPTION_PARENT).cloned();
    if let (Some(_), Some(value)) = (request.parent.as_ref(), &by_option)
        && request.parent != by_option
    {
        return Err(OptionError::Contradiction {
            flag: "--parent",
            name: OPTION_PARENT,
            value: value.clone(),
        });
    }
    let parent = request.parent.clone().or(by_option);
    let parent = parent.ok_or(OptionError::NeedsParent)?;
    options.insert(OPTION_PARENT.to_owned(), parent.clone());
    Ok(Some(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(driver: &str, parent: Option<&str>) -> CreateNetwork {
        let mut request = CreateNetwork::new("n".parse().unwrap());
        request.driver = driver.to_owned();
        request.parent = parent.map(str::to_owned);
        request
    }

    #[test]
    fn the_parent_is_given_by_flag_or_option_and_shown_as_the_option() {
        let mut options = BTreeMap::new();
        let by_flag = request("nic", Some("eth0"));
        assert_eq!(read(&by_flag, &mut options), Ok(Some("eth0".to_owned())));
        let shown = BTreeMap::from([("parent".to_owned(), "eth0".to_owned())]);
        assert_eq!(options, shown);
        let by_option = request("nic", None);
        assert_eq!(read(&by_option, &mut options), Ok(Some("eth0".to_owned())));
        let other = read(&request("nic", Some("eth1")), &mut options);
        assert!(matches!(other, Err(OptionError::Contradiction { .. })));
    }

    #[test]
    fn parent_and_driver_need_each_other() {
        let none = &mut BTreeMap::new();
        assert_eq!(
            read(&request("nic", None), none),
            Err(OptionError::NeedsParent)
        );
        let bridge = request("bridge", Some("eth0"));
        assert_eq!(read(&bridge, none), Err(OptionError::ParentWithoutNic));
        assert_eq!(read(&request("bridge", None), none), Ok(None));
    }

    #[test]
    fn what_needs_a_gateway_of_ours_is_refused() {
        let mut internal = request("nic", Some("eth0"));
        internal.internal = true;
        let mut masquerade = request("nic", Some("eth0"));
        masquerade.masquerade = Some(false);
        let mut ipv6 = request("nic", Some("eth0"));
        ipv6.ipv6 = true;
        for request in [internal, masquerade, ipv6] {
            let error = read(&request, &mut BTreeMap::new()).unwrap_err();
            assert!(matches!(error, OptionError::NotOnLan { .. }), "{error}");
        }
    }
}

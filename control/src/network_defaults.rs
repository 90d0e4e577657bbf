//! What new networks have when they do not say otherwise: the operator's choice, which may change while
//! the daemon runs. Networks that exist keep what they have.

use std::collections::BTreeMap;

use tapweave_ipam::DefaultPools;

use crate::Name;
use crate::api::{CreateNetwork, SubnetRequest};
use crate::network_settings::{
    DRIVER_NIC, OPTION_ICC, OPTION_MASQUERADE, OPTION_MTU, OptionError, ValidSettings,
};

/// Options by name.
type Options = BTreeMap<String, String>;

/// Defaults of new networks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NetworkDefaults {
    pools: DefaultPools,
    /// By driver.
    options: BTreeMap<String, Options>,
}

impl NetworkDefaults {
    /// Returns defaults without options: networks without a subnet get one of `pools`.
    pub const fn new(pools: DefaultPools) -> Self {
        Self {
            pools,
            options: BTreeMap::new(),
        }
    }

    /// Gives new networks of `driver` the option `key` with `value`, in place of one that they had.
    ///
    /// # Errors
    ///
    /// When no network of that driver can have it, by itself or beside the other options; then nothing
    /// changes.
    pub fn set_option(&mut self, driver: &str, key: &str, value: &str) -> Result<(), OptionError> {
        let mut options = self.options.get(driver).cloned().unwrap_or_default();
        options.insert(key.to_owned(), value.to_owned());
        let sample = sample(driver, options);
        ValidSettings::new(&sample)?;
        self.options.insert(driver.to_owned(), sample.options);
        Ok(())
    }

    /// Returns where networks get their subnets from.
    pub(crate) const fn pools(&self) -> &DefaultPools {
        &self.pools
    }

    /// Adds to `request` what it leaves open. What it says by a flag or an option stays.
    pub(crate) fn complete(&self, request: &mut CreateNetwork) {
        let given_by_flag = [
            (OPTION_MTU, request.mtu.is_some()),
            (OPTION_ICC, request.icc.is_some()),
            (OPTION_MASQUERADE, request.masquerade.is_some()),
        ];
        for (key, value) in self.options.get(&request.driver).into_iter().flatten() {
            if !given_by_flag.contains(&(key.as_str(), true)) && !request.options.contains_key(key)
            {
                request.options.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Returns a network of `driver` that is in order but for `options`.
fn sample(driver: &str, options: Options) -> CreateNetwork {
    const SUBNET: ipnet::Ipv4Net =
        ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(192, 0, 2, 0), 24);
    let is_overlay = driver == "overlay";
    let subnet = SubnetRequest {
        subnet: SUBNET.into(),
        ip_range: None,
        gateway: None,
        aux_addresses: BTreeMap::new(),
    };
    CreateNetwork {
        driver: driver.to_owned(),
        parent: (driver == DRIVER_NIC).then(|| "lan".to_owned()),
        subnets: if is_overlay { vec![subnet] } else { Vec::new() },
        vni: is_overlay.then_some(1),
        options,
        ..CreateNetwork::new(Name::placeholder())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(options: &[(&str, &str, &str)]) -> NetworkDefaults {
        let mut defaults = NetworkDefaults::default();
        for (driver, key, value) in options {
            defaults.set_option(driver, key, value).unwrap();
        }
        defaults
    }

    #[test]
    fn what_a_network_says_itself_stays() {
        let defaults = defaults(&[
            ("bridge", "tapweave.storm", "1000"),
            ("bridge", "com.docker.network.driver.mtu", "1400"),
            ("bridge", "com.docker.network.bridge.enable_icc", "false"),
            ("overlay", "tapweave.dscp", "46"),
        ]);
        let mut request = CreateNetwork::new("n".parse().unwrap());
        request.mtu = Some(9000);
        let key = "com.docker.network.bridge.enable_icc";
        request.options.insert(key.to_owned(), "true".to_owned());
        defaults.complete(&mut request);
        let options: Vec<_> = request
            .options
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(
            options,
            [format!("{key}=true"), "tapweave.storm=1000".to_owned()]
        );
    }

    #[test]
    fn an_option_that_no_network_can_have_is_refused() {
        let mut defaults = defaults(&[("bridge", "tapweave.snooping", "false")]);
        for (driver, key, value, words) in [
            (
                "briidge",
                "tapweave.storm",
                "1",
                "driver \"briidge\" is not known",
            ),
            (
                "bridge",
                "tapweave.strom",
                "1",
                "option tapweave.strom is not known",
            ),
            ("bridge", "tapweave.storm", "much", "is not frames a second"),
            ("bridge", "tapweave.dscp", "46", "for overlay networks only"),
            (
                "bridge",
                "tapweave.querier",
                "true",
                "needs tapweave.snooping",
            ),
            ("overlay", "tapweave.dscp", "64", "0 to 63"),
        ] {
            let before = defaults.clone();
            let error = defaults
                .set_option(driver, key, value)
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{driver} {key}={value}: {error}");
            assert_eq!(defaults, before);
        }
        defaults
            .set_option("nic", "com.docker.network.driver.mtu", "1400")
            .unwrap();
    }
}

//! What a sandbox may do on its port: asked for by `connect`, completed by what its network gives.

use std::num::NonZeroU32;

use ipnet::IpNet;
use tapweave_switch::{PortVlans, Stations};

use crate::ControlError;
use crate::api::Connect;
use crate::datapath::ConnectionLimits;
use crate::records::{EndpointIntent, GuardIntent, StationsIntent};

/// The rules of a port as they were asked for, checked.
#[derive(Clone, Debug)]
pub(crate) struct PortRules {
    guard: GuardIntent,
    /// Further addresses that the sandbox may use.
    pub(crate) allowed: Vec<IpNet>,
    /// Which stations may send.
    pub(crate) stations: Stations,
    /// Most stations that are learned, if that is limited.
    pub(crate) mac_limit: Option<NonZeroU32>,
    /// How many connections there may be through the gateway.
    pub(crate) connections: ConnectionLimits,
}

impl PortRules {
    /// Reads the rules that `request` asks for.
    ///
    /// # Errors
    ///
    /// When they contradict each other or a number or prefix is not one.
    pub(crate) fn new(request: &Connect) -> Result<Self, ControlError> {
        let guard = match request.guard {
            None => GuardIntent::Auto,
            Some(true) => GuardIntent::On,
            Some(false) => GuardIntent::Off,
        };
        if guard == GuardIntent::Off && !request.allow_addresses.is_empty() {
            return Err(ControlError::AllowedWithoutGuard);
        }
        let with_host_bits = |prefix: &&IpNet| prefix.trunc() != **prefix;
        if let Some(&given) = request.allow_addresses.iter().find(with_host_bits) {
            return Err(ControlError::AllowedHostBits { given });
        }
        let stations = match (request.sticky, request.locked) {
            (false, false) => Stations::Free,
            (true, false) => Stations::Sticky,
            (false, true) => Stations::Locked,
            (true, true) => return Err(ControlError::LockedLearnsNothing),
        };
        if stations == Stations::Locked && request.mac_limit.is_some() {
            return Err(ControlError::LockedLearnsNothing);
        }
        let mac_limit = match request.mac_limit.map(NonZeroU32::new) {
            None => None,
            Some(Some(limit)) => Some(limit),
            Some(None) => return Err(ControlError::MacLimitZero),
        };
        Ok(Self {
            guard,
            allowed: request.allow_addresses.clone(),
            stations,
            mac_limit,
            connections: ConnectionLimits {
                count: not_zero(request.connection_limit)?,
                per_second: not_zero(request.connection_rate)?,
            },
        })
    }

    /// Returns the rules that an endpoint was stored with.
    pub(crate) fn restored(intent: &EndpointIntent) -> Self {
        Self {
            guard: intent.guard,
            allowed: intent.allowed.clone(),
            stations: match intent.stations {
                StationsIntent::Free => Stations::Free,
                StationsIntent::Sticky => Stations::Sticky,
                StationsIntent::Locked => Stations::Locked,
            },
            mac_limit: intent.mac_limit,
            connections: ConnectionLimits {
                count: intent.connection_limit,
                per_second: intent.connection_rate,
            },
        }
    }

    /// Returns what was asked for of the guard.
    pub(crate) const fn guard(&self) -> GuardIntent {
        self.guard
    }

    /// Returns which stations may send, as it is stored.
    pub(crate) const fn stations_intent(&self) -> StationsIntent {
        match self.stations {
            Stations::Free => StationsIntent::Free,
            Stations::Sticky => StationsIntent::Sticky,
            Stations::Locked => StationsIntent::Locked,
        }
    }

    /// Returns the addresses that a sandbox with `addresses` may use, `None` when it is not guarded.
    ///
    /// Unless it was said, it is guarded where its addresses are known: on a network without subnets only
    /// if there are allowed ones, and not on a trunk, whose tagged VLANs have addresses of their own.
    pub(crate) fn guarded_addresses(
        &self,
        addresses: &[IpNet],
        vlans: &PortVlans,
    ) -> Option<Vec<IpNet>> {
        let own = addresses.iter().map(|address| IpNet::from(address.addr()));
        let known: Vec<IpNet> = own.chain(self.allowed.iter().copied()).collect();
        let is_on = match self.guard {
            GuardIntent::Auto => !known.is_empty() && vlans.tagged().is_none(),
            GuardIntent::On => true,
            GuardIntent::Off => false,
        };
        is_on.then_some(known)
    }
}

fn not_zero(limit: Option<u32>) -> Result<Option<NonZeroU32>, ControlError> {
    let not_zero = |limit| NonZeroU32::new(limit).ok_or(ControlError::ConnectionLimitZero);
    limit.map(not_zero).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn request() -> Connect {
        Connect::new("a")
    }

    #[test]
    fn the_guard_is_on_where_addresses_are_known_unless_it_is_said() {
        let own = [net("10.192.0.2/24"), net("fd00::2/64")];
        let hosts = vec![net("10.192.0.2/32"), net("fd00::2/128")];
        for (said, addresses, guarded) in [
            (None, &own[..], Some(hosts.clone())),
            (None, &[], None),
            (Some(true), &own, Some(hosts)),
            (Some(true), &[], Some(Vec::new())),
            (Some(false), &own, None),
        ] {
            let rules = PortRules::new(&Connect {
                guard: said,
                ..request()
            });
            let rules = rules.unwrap();
            let plain = PortVlans::Transparent;
            assert_eq!(rules.guarded_addresses(addresses, &plain), guarded);
            let trunk = PortVlans::Trunk {
                tagged: "10".parse().unwrap(),
                native: None,
            };
            let on_trunk = guarded.filter(|_| said.is_some());
            assert_eq!(rules.guarded_addresses(addresses, &trunk), on_trunk);
        }
    }

    #[test]
    fn allowed_addresses_are_added_and_make_addresses_known() {
        let rules = PortRules::new(&Connect {
            allow_addresses: vec![net("10.7.0.0/16")],
            ..request()
        })
        .unwrap();
        let plain = PortVlans::Transparent;
        let guarded = rules.guarded_addresses(&[net("10.192.0.2/24")], &plain);
        assert_eq!(
            guarded,
            Some(vec![net("10.192.0.2/32"), net("10.7.0.0/16")])
        );
        assert_eq!(
            rules.guarded_addresses(&[], &plain),
            Some(vec![net("10.7.0.0/16")])
        );
    }

    #[test]
    fn rules_that_contradict_each_other_are_refused() {
        let message = |request: Connect| PortRules::new(&request).unwrap_err().to_string();
        let unguarded = message(Connect {
            guard: Some(false),
            allow_addresses: vec![net("10.7.0.0/16")],
            ..request()
        });
        assert!(unguarded.contains("guard"), "{unguarded}");
        let host_bits = message(Connect {
            allow_addresses: vec![net("10.7.0.1/16")],
            ..request()
        });
        assert!(host_bits.contains("10.7.0.0/16"), "{host_bits}");
        let zero = message(Connect {
            mac_limit: Some(0),
            ..request()
        });
        assert!(zero.contains("--locked"), "{zero}");
        for (connection_limit, connection_rate) in [(Some(0), None), (None, Some(0))] {
            let zero = message(Connect {
                connection_limit,
                connection_rate,
                ..request()
            });
            assert!(zero.contains("--internal"), "{zero}");
        }
        for (sticky, mac_limit) in [(true, None), (false, Some(1))] {
            let locked = message(Connect {
                locked: true,
                sticky,
                mac_limit,
                ..request()
            });
            assert!(locked.contains("locked"), "{locked}");
        }
    }
}

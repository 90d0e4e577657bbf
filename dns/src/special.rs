//! Names that mean the same in every network.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;

/// What is known of a name whatever the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Special {
    /// It is the asker itself (RFC 6761 §6.3).
    Localhost,
    /// It does not exist in DNS: `invalid` (RFC 6761 §6.4), `local`, which is asked by multicast (RFC 6762 §3),
    /// `onion` (RFC 7686 §2), and the host and the gateway where they cannot be reached.
    Never,
    /// Nothing.
    Ordinary,
}

/// Returns what is known of a name.
pub(crate) fn special(name: &Name) -> Special {
    let Some(last) = name.iter().next_back() else {
        return Special::Ordinary;
    };
    let is = |word: &str| last.eq_ignore_ascii_case(word.as_bytes());
    if is("localhost") {
        Special::Localhost
    } else if is("invalid")
        || is("local")
        || is("onion")
        || (is("internal") && (*name == host() || *name == gateway()))
    {
        Special::Never
    } else {
        Special::Ordinary
    }
}

/// The addresses of `localhost`.
pub(crate) const LOCALHOST: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// `host.internal`, below the domain that is reserved for private use.
pub(crate) fn host() -> Name {
    internal("host")
}

/// `gateway.internal`.
pub(crate) fn gateway() -> Name {
    internal("gateway")
}

fn internal(label: &str) -> Name {
    let name = Name::from_labels([label.as_bytes(), b"internal".as_slice()]);
    let mut name = name.unwrap_or_else(|_impossible| Name::root());
    name.set_fqdn(true);
    name
}

//! The option `tapweave.storm`: limits on what a port may have flooded.
//!
//! One number is the limit of each class; else each class that is to have one is named:
//! `broadcast:100,multicast:1000,unknown:500`.

use tapweave_switch::{FrameRate, StormLimits};

/// What the option should be, for messages.
pub(crate) const EXPECTED: &str = "frames a second from 1 to 10000000, or some of \
    broadcast:N, multicast:N and unknown:N joined by commas";

/// Reads the value of the option. `None` when it means nothing.
pub(crate) fn parse(text: &str) -> Option<StormLimits> {
    if let Ok(number) = text.parse() {
        let rate = FrameRate::new(number)?;
        return Some(StormLimits {
            broadcast: Some(rate),
            multicast: Some(rate),
            unknown: Some(rate),
        });
    }
    let mut limits = StormLimits::NONE;
    for part in text.split(',') {
        let (class, number) = part.split_once(':')?;
        let rate = FrameRate::new(number.parse().ok()?)?;
        let limit = match class {
            "broadcast" => &mut limits.broadcast,
            "multicast" => &mut limits.multicast,
            "unknown" => &mut limits.unknown,
            _ => return None,
        };
        if limit.replace(rate).is_some() {
            return None;
        }
    }
    Some(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_limits_all_classes_and_names_limit_theirs() {
        let rate = FrameRate::new;
        let all = parse("1000").unwrap();
        assert_eq!(all.broadcast, rate(1000));
        assert_eq!((all.multicast, all.unknown), (rate(1000), rate(1000)));
        let some = parse("unknown:7,broadcast:10000000").unwrap();
        assert_eq!(some.broadcast, rate(10_000_000));
        assert_eq!((some.multicast, some.unknown), (None, rate(7)));
    }

    #[test]
    fn what_means_nothing_is_none() {
        for text in [
            "",
            "0",
            "10000001",
            "-1",
            "1.5",
            "4294967296",
            "off",
            "broadcast",
            "broadcast:",
            "broadcast:0",
            "broadcast:1,",
            "broadcast:1,broadcast:2",
            "arp:1",
            "broadcast=1",
            "broadcast:1 ,unknown:2",
            "1000,unknown:7",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}

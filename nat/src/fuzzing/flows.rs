//! Packets of a few sandboxes and strangers, through one table.
//!
//! An input is a list of steps of nine octets; see [`Step`]. The frames that they make are as a parser
//! lets them through, without right checksums, and their TCP numbers are arbitrary. What must hold:
//! nothing panics; what leaves has an external source, and what arrives an internal destination; a packet
//! that is translated leads back to where it came from; and when all flows are removed, nothing is
//! left of the shares that they had in mappings and counts.

use core::net::{IpAddr, Ipv4Addr};
use core::num::NonZeroU32;
use core::time::Duration;

use tapweave_net::{FlowKey, Frame, NetworkNo, Offload, ParsedFrame, Timestamp};

use crate::fragments::FragmentLimits;
use crate::table::Hint;
use crate::{
    FlowFilter, In, Limits, Masquerade, Nat, NatConfig, NatDrop, NatRules, NetworkRules, Out, Pass,
    PortProtocol, Published, RulesConfig, Timeouts,
};

/// Bytes of a step.
const STEP_LEN: usize = 9;

/// Most steps of an input: more find nothing that fewer do not.
const STEPS_MAX: usize = 2000;

/// One step: what to do, ends, L4, and arbitrary numbers.
type Step = [u8; STEP_LEN];

const EXTERNAL: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
const SANDBOXES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)];
const STRANGERS: [Ipv4Addr; 2] = [
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv4Addr::new(198, 51, 100, 2),
];
/// The ports of everybody. Mappings take theirs from a small range, so that packets from outside find
/// some of them.
const PORTS: [u16; 4] = [53, 4000, 4001, 80];
const FIRST_MAPPED: u16 = 5000;
const MAPPED: core::ops::RangeInclusive<u16> = FIRST_MAPPED..=FIRST_MAPPED + 15;

/// Sends the packets of `input`.
///
/// # Panics
///
/// When something that must hold for every input does not.
pub fn nat_flows(input: &[u8]) {
    let rules = rules();
    let nat = Nat::new(NatConfig {
        seed: 1,
        worker_count: 1,
        flow_limit: 64,
        timeouts: Timeouts::default(),
        limits: Limits {
            flows: NonZeroU32::new(20),
            new_flows_per_second: NonZeroU32::new(100),
        },
        fragments: FragmentLimits::default(),
    });
    let mut now = Timestamp::from_secs(1);
    let (steps, _) = input.as_chunks::<STEP_LEN>();
    for step in steps.iter().take(STEPS_MAX) {
        let pass = Pass {
            now,
            worker: 0,
            rules: &rules,
            hint: Hint::NONE,
        };
        match step[0] % 8 {
            0..=2 => out(&nat, &pass, NetworkNo(u32::from(step[1] % 3) + 1), step),
            3..=5 => inward(&nat, &pass, step),
            6 => {
                now = now + Duration::from_secs(u64::from(step[1]) * 10);
                nat.poll_expiry(now, usize::from(step[2]));
            }
            _ => {
                let filter = FlowFilter {
                    address: Some(SANDBOXES[usize::from(step[1] & 1)].into()),
                    ..FlowFilter::default()
                };
                nat.flush(&filter);
            }
        }
    }
    nat.flush(&FlowFilter::default());
    // What is left are the counts of sandboxes, until their rate says nothing any more.
    nat.poll_expiry(now + Duration::from_mins(1), usize::MAX);
    assert!(nat.is_empty(), "left behind: {nat:?}");
}

fn rules() -> NatRules {
    let network = |number, masquerade| NetworkRules {
        network: NetworkNo(number),
        masquerade,
    };
    let published = |protocol| Published {
        protocol,
        host_addr: None,
        host_ports: 80..=80,
        network: NetworkNo(1),
        target: SANDBOXES[0].into(),
        target_port: 53,
    };
    let rules = NatRules::new(&RulesConfig {
        external: EXTERNAL.map(IpAddr::V4).to_vec(),
        ports: MAPPED,
        published: vec![published(PortProtocol::Tcp), published(PortProtocol::Udp)],
        reserved: vec![],
        networks: vec![
            network(1, Masquerade::Yes),
            network(2, Masquerade::Yes),
            network(3, Masquerade::No),
        ],
        limited: vec![],
    });
    rules.expect("the rules do not contradict themselves")
}

fn out(nat: &Nat, pass: &Pass<'_>, network: NetworkNo, step: &Step) {
    let src = SANDBOXES[usize::from(step[2] & 1)];
    let mut bytes = frame(step, src, PORTS[usize::from(step[2] >> 1 & 3)]);
    let before = addresses(&bytes);
    let Some((verdict, after)) = translate(&mut bytes, |frame, parsed| {
        nat.translate_out(pass, network, frame, parsed, &mut |_, _| {})
    }) else {
        return;
    };
    match verdict {
        Ok(Out::ToUplink) => assert!(pass.rules.is_external(after.0), "{after:?}"),
        Ok(Out::Hairpin { dst, .. }) => {
            assert!(pass.rules.is_external(after.0), "{after:?}");
            assert_eq!(dst, after.1);
            assert!(!pass.rules.is_external(dst), "{after:?}");
        }
        Ok(Out::Untranslated) => {
            assert_eq!(network, NetworkNo(3));
            assert_eq!(before, Some(after));
        }
        Ok(Out::Local | Out::Held) | Err(_) => assert_eq!(before, Some(after)),
    }
    // The answer to a datagram that left in one piece comes back to its sender.
    if verdict == Ok(Out::ToUplink) && step[4] & 0xc3 == 1 {
        let mut answer = turned(&bytes);
        let Some((verdict, after)) = translate(&mut answer, |frame, parsed| {
            nat.translate_in(pass, frame, parsed, &mut |_, _| {})
        }) else {
            return;
        };
        let dst = IpAddr::V4(src);
        assert_eq!(verdict, Ok(In::To { network, dst }));
        assert_eq!(after.1, dst);
    }
}

fn inward(nat: &Nat, pass: &Pass<'_>, step: &Step) {
    let src = STRANGERS[usize::from(step[2] & 1)];
    let mut bytes = frame(step, src, PORTS[usize::from(step[2] >> 1 & 3)]);
    let before = addresses(&bytes);
    let Some((verdict, after)) = translate(&mut bytes, |frame, parsed| {
        nat.translate_in(pass, frame, parsed, &mut |_, _| {})
    }) else {
        return;
    };
    match verdict {
        Ok(In::To { dst, .. }) => {
            assert_eq!(dst, after.1);
            assert!(!pass.rules.is_external(dst), "{after:?}");
        }
        Ok(In::Local | In::Untranslated | In::Held) | Err(_) => assert_eq!(before, Some(after)),
    }
}

/// Translates a frame if it can be parsed, and returns its addresses afterwards.
fn translate<T>(
    bytes: &mut [u8],
    by: impl FnOnce(&mut Frame<'_>, &ParsedFrame) -> Result<T, NatDrop>,
) -> Option<(Result<T, NatDrop>, (IpAddr, IpAddr))> {
    let parsed = ParsedFrame::parse(bytes).ok()?;
    let verdict = by(&mut Frame::new(bytes, 0, Offload::NONE), &parsed);
    Some((verdict, addresses(bytes)?))
}

fn addresses(bytes: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match *ParsedFrame::parse(bytes).ok()?.flow() {
        FlowKey::V4 { src, dst, .. } => Some((src.into(), dst.into())),
        FlowKey::V6 { .. } | FlowKey::Link { .. } => None,
    }
}

/// The place of the source in the frames that are made here, and that of L4.
const SRC: usize = 26;
const L4: usize = 34;

/// Makes the frame of a step.
fn frame(step: &Step, src: Ipv4Addr, src_port: u16) -> Vec<u8> {
    let [_, _, _, to, kind, a, b, c, d] = *step;
    let dst = [EXTERNAL, STRANGERS, EXTERNAL, SANDBOXES][usize::from(to & 3)];
    let dst = dst[usize::from(to >> 2 & 1)];
    let dst_port = if to & 8 == 0 {
        FIRST_MAPPED + u16::from(to >> 4)
    } else {
        PORTS[usize::from(to >> 4 & 3)]
    };
    let [[s0, s1], [d0, d1]] = [src_port, dst_port].map(u16::to_be_bytes);
    let (protocol, l4) = match kind % 4 {
        0 => {
            let numbers = [a, 0, 0, b, c, 0, 0, b, 0x50, d, 0xff, b, 0, 0, 0, 0];
            (6, [&[s0, s1, d0, d1][..], &numbers].concat())
        }
        1 => (17, vec![s0, s1, d0, d1, 0, 8, 0, 0]),
        2 => (1, vec![[8, 0][usize::from(a & 1)], 0, 0, 0, d0, d1, b, c]),
        _ => (a, vec![b, c, d, a, b, c, d, a]),
    };
    let fragment = [[0, 0], [0x20, 0], [0x20, 1], [0, 1]];
    let [f0, f1] = fragment[usize::from((kind >> 6) & 3)];
    let [.., len] = (20 + l4.len()).to_be_bytes();
    let ip = [0x45, 0, 0, len, 0, b, f0, f1, 64, protocol, 0, 0];
    let link = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 8, 0];
    [&link[..], &ip, &src.octets(), &dst.octets(), &l4].concat()
}

/// Returns a datagram with its ends exchanged.
fn turned(bytes: &[u8]) -> Vec<u8> {
    let mut turned = bytes.to_vec();
    turned[SRC..SRC + 8].rotate_left(4);
    turned[L4..L4 + 4].rotate_left(2);
    turned
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        /// The body of the fuzz target, over random steps.
        #[test]
        fn whatever_is_sent_nothing_is_left_behind(
            input in prop::collection::vec(any::<u8>(), 0..STEP_LEN * 300),
        ) {
            nat_flows(&input);
        }
    }
}

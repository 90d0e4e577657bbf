//! Bursts of datagrams: merged on the way to a port that cuts them, never changed.
//!
//! ```text
//!   a    b    c      each a namespace with eth0; c without offloads, where nothing is merged
//!   |    |    |
//!  tapweave          network red, MTU 1500
//! ```
//!
//! Whether something was merged is told by the receiving interface, which counts a super-frame as one
//! frame, while the switch counts datagrams. A kernel before Linux 6.2 offers no port that cuts
//! datagrams; then nothing may be merged.

#[cfg(test)]
mod everywhere {
    use std::net::IpAddr;

    use anyhow::Result;
    use tapweave_integration::capture::{self, Wanted};
    use tapweave_integration::{Lab, Segment, datagrams, traffic};

    const DUAL: &str = "--subnet 10.211.0.0/24 --subnet fd77:1::/64 --ipv6";

    fn segment(lab: &Lab) -> Result<Segment> {
        let segment = Segment::with(lab, DUAL, &["", "", "--offload=false"])?;
        for receiver in [1, 2] {
            traffic::ping_soon(&segment.sandboxes[0], segment.ipv4(receiver)?)?;
            traffic::ping_soon(&segment.sandboxes[0], segment.ipv6(receiver)?)?;
        }
        Ok(segment)
    }

    /// Tells whether the kernel cuts datagrams at the ports with offloads.
    fn is_offered(segment: &Segment) -> Result<bool> {
        let port = segment.cli().json("port show red/b")?;
        let names = port["offloads"].as_array().cloned().unwrap_or_default();
        Ok(names.iter().any(|name| name == "uso4"))
    }

    /// Sends bursts to a receiver and returns how many datagrams there were, how many frames the switch
    /// counted, and how many the receiving interface.
    fn burst(
        lab: &Lab,
        segment: &Segment,
        receiver: usize,
        address: IpAddr,
    ) -> Result<(u64, u64, u64)> {
        let (a, to) = (&segment.sandboxes[0], &segment.sandboxes[receiver]);
        let counted = || -> Result<_> {
            let port = segment.cli().counters(&format!("red/{}", to.name()))?;
            let received = datagrams::received_frames(to, "eth0")?;
            Ok((port.tx_frames, received))
        };
        let before = counted()?;
        let count = datagrams::bursts(lab, a, to, address)?;
        let after = counted()?;
        Ok((count, after.0 - before.0, after.1 - before.1))
    }

    #[test]
    fn bursts_of_datagrams_of_every_size_arrive_as_they_were_sent() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let is_offered = is_offered(&segment)?;
            for address in [segment.ipv4(1)?, segment.ipv6(1)?] {
                let (sent, counted, received) = burst(lab, &segment, 1, address)?;
                let seen = format!("{sent} sent, {counted} counted, {received} received");
                assert!(counted >= sent, "{seen}");
                assert_eq!(received < sent * 9 / 10, is_offered, "{seen}");
            }
            for address in [segment.ipv4(2)?, segment.ipv6(2)?] {
                let (sent, counted, received) = burst(lab, &segment, 2, address)?;
                let seen = format!("{sent} sent, {counted} counted, {received} received");
                assert!(counted >= sent && received >= sent, "{seen}");
            }
            segment.daemon.stop()
        })
    }

    #[test]
    fn what_must_not_be_merged_arrives_as_at_a_port_where_nothing_is() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let (sandboxes, endpoints) = (&segment.sandboxes, &segment.endpoints);
            let outcome = |receiver: usize| -> Result<_> {
                let to = &sandboxes[receiver];
                let before = datagrams::received_frames(to, "eth0")?;
                let outcome = datagrams::quirks(
                    lab,
                    [&sandboxes[0], to],
                    [&endpoints[0], &endpoints[receiver]],
                )?;
                let frames = datagrams::received_frames(to, "eth0")? - before;
                Ok((outcome, frames))
            };
            let (merged, merged_frames) = outcome(1)?;
            let (plain, plain_frames) = outcome(2)?;
            assert_eq!(merged, plain);
            assert_eq!(
                merged_frames < plain_frames * 9 / 10,
                is_offered(&segment)?,
                "{merged_frames} and {plain_frames} frames"
            );
            // Something of every flow arrives, and something is refused.
            assert_eq!(merged.split("; ").count(), 1 + 26, "{merged}");
            assert!(!merged.starts_with("sum 0 refused"), "{merged}");
            segment.daemon.stop()
        })
    }

    #[test]
    fn a_recorder_sees_well_formed_super_frames() -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab)?;
            let recorded = lab.capture(&segment.sandboxes[1], "eth0", Wanted::Everything)?;
            burst(lab, &segment, 1, segment.ipv4(1)?)?;
            let file = recorded.stop()?;
            let wrong = "udp.length.bad or ip.bogus_ip_length or ip.checksum.status == 0";
            assert_eq!(capture::verify(&file, wrong)?, []);
            let frames = capture::verify(&file, "udp.dstport == 5201")?;
            let longest = frames.iter().map(|seen| seen.len).max();
            assert_eq!(longest > Some(1514), is_offered(&segment)?, "{longest:?}");
            segment.daemon.stop()
        })
    }
}

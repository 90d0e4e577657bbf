//! A daemon with several workers: ports and queues that different threads read.
//!
//! ```text
//!   a    b    c    d      each a namespace with eth0; a and b with one queue, c and d with four
//!   |    |    |    |
//!     tapweave            network red, 2 or 4 workers
//! ```

#[cfg(test)]
mod everywhere {
    use anyhow::Result;
    use tapweave_integration::sequence::Sequence;
    use tapweave_integration::{Lab, Segment, listing, traffic};

    const DUAL: &str = "--subnet 10.211.0.0/24 --subnet fd77:1::/64 --ipv6";

    const QUEUES: [&str; 4] = ["--queues 1", "--queues 1", "--queues 4", "--queues 4"];

    /// Far more frames than the kernels send by themselves.
    const BUSY: u64 = 100;

    /// So many that no kernel's hash gives all of them to the queues of one worker.
    const FLOWS: u64 = 32;

    fn segment(lab: &Lab, worker_count: usize) -> Result<Segment> {
        let daemon = lab.daemon_with(&format!("--workers {worker_count}"))?;
        Segment::on(daemon, lab, DUAL, &QUEUES)
    }

    /// Returns how many frames each worker handled.
    fn frames_of_workers(segment: &Segment) -> Result<Vec<u64>> {
        let stats = segment.cli().json("stats")?;
        let workers = listing::rows(&stats["workers"])?.iter();
        workers
            .map(|worker| listing::number(worker, "frames"))
            .collect()
    }

    fn carries_streams(worker_count: usize) -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, worker_count)?;
            let [a, b, c, d] = &segment.sandboxes[..] else {
                unreachable!()
            };
            // The two ports of one queue each are read by different workers.
            traffic::tcp(lab, a, b, segment.ipv4(1)?, 16 << 20)?;
            traffic::tcp(lab, b, a, segment.ipv4(0)?, 16 << 20)?;
            let frames = frames_of_workers(&segment)?;
            assert_eq!(frames.len(), worker_count);
            let busy = frames.iter().filter(|&&count| count > BUSY).count();
            assert!(busy > 1, "frames of the workers: {frames:?}");

            assert!(traffic::iperf3(lab, c, d, segment.ipv4(3)?, 8, 1)? > 1e7);
            traffic::tcp(lab, a, c, segment.ipv4(2)?, 16 << 20)?;
            traffic::ping_soon(d, segment.ipv6(1)?)?;
            traffic::tcp(lab, d, b, segment.ipv6(1)?, 16 << 20)?;
            segment.daemon.stop()
        })
    }

    #[test]
    fn two_workers_carry_streams_between_ports_that_each_of_them_reads() -> Result<()> {
        carries_streams(2)
    }

    #[test]
    fn four_workers_carry_streams_between_ports_that_each_of_them_reads() -> Result<()> {
        carries_streams(4)
    }

    fn keeps_the_order(worker_count: usize) -> Result<()> {
        Lab::run(|lab| {
            let segment = segment(lab, worker_count)?;
            let [a, _, c, d] = &segment.sandboxes[..] else {
                unreachable!()
            };
            // A kernel that finds a neighbour lets new datagrams overtake those that waited for it.
            traffic::ping(c, segment.ipv4(3)?, 1)?;
            let before = frames_of_workers(&segment)?;
            let sequence = Sequence::start(lab, c, d, segment.ipv4(3)?, FLOWS)?;
            let guest = lab.sandbox("guest")?;
            for _ in 0..10 {
                let address = segment.cli().connect("red", &guest, "--queues 4")?.ipv4()?;
                traffic::ping(a, address, 3)?;
                segment.cli().ok("network disconnect red guest")?;
            }
            let outcome = sequence.finish()?;
            assert_eq!((outcome.late, outcome.flows), (0, FLOWS), "{outcome:?}");
            assert_eq!(outcome.answered_late, 0, "{outcome:?}");
            assert!(outcome.received > outcome.sent / 2, "{outcome:?}");
            assert!(outcome.answered > outcome.sent / 2, "{outcome:?}");
            let after = frames_of_workers(&segment)?;
            let busy = before.iter().zip(&after);
            let busy = busy.filter(|&(before, after)| after - before > BUSY);
            assert!(
                busy.count() > 1,
                "frames of the workers: {before:?}, {after:?}"
            );
            segment.daemon.stop()
        })
    }

    #[test]
    fn two_workers_keep_the_order_of_each_flow_while_ports_come_and_go() -> Result<()> {
        keeps_the_order(2)
    }

    #[test]
    fn four_workers_keep_the_order_of_each_flow_while_ports_come_and_go() -> Result<()> {
        keeps_the_order(4)
    }
}

//! The result of a run, as JSON and as a page of Markdown.

use std::fmt;

use serde::Serialize;

use crate::connections::ConnectionsResult;
use crate::datapath::Way;
use crate::frames::FramesResult;
use crate::idle::Idle;
use crate::iperf::CONGESTION_CONTROL;
use crate::machine::Machine;
use crate::mix::Mix;
use crate::names::{DEAD_RATE, FULL_RATE, HALF_RATE, NamesResult, NamesTcpResult};
use crate::ping_pong::PingPongResult;
use crate::plan::Plan;
use crate::rate::float;
use crate::series::Summary;
use crate::tcp::TcpResult;

/// Everything that one run measured, and under which conditions.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How much.
    pub plan: Plan,
    /// Datapaths that are not installed and so were not measured.
    pub missing: Vec<&'static str>,
    /// Runs that began although the machine was busy with something else.
    pub noisy_run_count: u32,
    /// TCP, by number of streams and datapath.
    pub tcp: Vec<TcpResult>,
    /// Frames, by mix and datapath.
    pub frames: Vec<FramesResult>,
    /// TCP through gateways, by number of streams, way and gateway.
    pub nat_tcp: Vec<TcpResult>,
    /// Frames through gateways.
    pub nat_frames: Vec<FramesResult>,
    /// Connections through gateways.
    pub nat_connections: Vec<ConnectionsResult>,
    /// TCP between hosts, by number of streams and overlay.
    pub overlay_tcp: Vec<TcpResult>,
    /// Frames between hosts.
    pub overlay_frames: Vec<FramesResult>,
    /// Round trips between hosts, by overlay.
    pub overlay_ping_pong: Vec<PingPongResult>,
    /// Round trips, by datapath.
    pub ping_pong: Vec<PingPongResult>,
    /// Names, by resolver.
    pub names: Vec<NamesResult>,
    /// TCP beside resolvers that are asked.
    pub names_tcp: Vec<NamesTcpResult>,
    /// Idle daemons, by number of ports.
    pub idle: Vec<Idle>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conditions(f)?;
        self.tcp(f, "between two namespaces", &self.tcp)?;
        self.frames(f, "", &self.frames)?;
        self.ping_pong(f, "", &self.ping_pong)?;
        self.tcp(
            f,
            "from a sandbox to an outside server and back",
            &self.nat_tcp,
        )?;
        self.frames(f, " behind the gateway", &self.nat_frames)?;
        self.connections(f)?;
        self.tcp(
            f,
            "between two hosts with an underlay of",
            &self.overlay_tcp,
        )?;
        self.frames(f, " of another host", &self.overlay_frames)?;
        self.ping_pong(f, " between two hosts", &self.overlay_ping_pong)?;
        self.names(f)?;
        self.names_tcp(f)?;
        self.idle(f)
    }
}

impl Report {
    fn conditions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            f,
            "{} UTC, commit {}, {}, {} cores, Linux {}, governor {}, load average {} at the start.\n\
             {} interleaved rounds; medians, with the smallest and the largest value; ratios are taken \
             within a round. Runs that began while the machine was busy with something else: {}.",
            machine.date,
            machine.commit.as_deref().unwrap_or("unknown"),
            machine.processor,
            machine.core_count,
            machine.kernel,
            machine.governor.as_deref().unwrap_or("not visible"),
            machine.load_average,
            self.plan.round_count,
            self.noisy_run_count,
        )?;
        for name in &self.missing {
            writeln!(f, "Not installed and not measured: {name}.")?;
        }
        Ok(())
    }

    fn tcp(&self, f: &mut fmt::Formatter<'_>, place: &str, rows: &[TcpResult]) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nTCP {place}, MTU 1500, {CONGESTION_CONTROL}, runs of {} s:\n",
            self.plan.tcp_secs
        )?;
        heading(
            f,
            &[
                "streams",
                "way",
                "datapath",
                "Gb/s",
                "ratio",
                "switch CPU s per GB",
                "machine CPU s per GB",
                "retransmits",
            ],
        )?;
        for row in rows {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                row.stream_count,
                match row.way {
                    Way::Up => "up",
                    Way::Down => "down",
                },
                row.datapath,
                spread(row.gbits_per_sec, 1),
                spread(row.ratio, 2),
                optional(row.switch_secs_per_gbyte, 2),
                spread(row.machine_secs_per_gbyte, 2),
                row.retransmit_count.median,
            )?;
        }
        Ok(())
    }

    fn frames(
        &self,
        f: &mut fmt::Formatter<'_>,
        place: &str,
        rows: &[FramesResult],
    ) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nUDP frames from a packet socket, counted by the UDP of the receiving namespace{place} for {} ms:\n",
            self.plan.frames_ms
        )?;
        heading(
            f,
            &[
                "frames",
                "datapath",
                "million a second",
                "ratio",
                "Gb/s",
                "datagrams a packet",
                "switch CPU s per million",
                "machine CPU s per million",
            ],
        )?;
        for row in rows {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {:.1} | {} | {} |",
                title(row.mix),
                row.datapath,
                spread(row.mframes_per_sec, 3),
                spread(row.ratio, 2),
                spread(row.gbits_per_sec, 2),
                row.datagrams_per_packet.median,
                optional(row.switch_secs_per_mframe, 2),
                spread(row.machine_secs_per_mframe, 2),
            )?;
        }
        Ok(())
    }

    fn connections(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nat_connections.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nShort TCP connections (64 bytes asked, 64 answered) to an outside server for {} ms:\n",
            self.plan.connections_ms
        )?;
        heading(
            f,
            &[
                "datapath",
                "thousand a second",
                "ratio",
                "switch CPU ms per thousand",
                "machine CPU ms per thousand",
            ],
        )?;
        for row in &self.nat_connections {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} |",
                row.datapath,
                spread(row.thousand_per_sec, 1),
                spread(row.ratio, 2),
                optional(row.switch_ms_per_thousand, 0),
                spread(row.machine_ms_per_thousand, 0),
            )?;
        }
        Ok(())
    }

    fn ping_pong(
        &self,
        f: &mut fmt::Formatter<'_>,
        place: &str,
        rows: &[PingPongResult],
    ) -> fmt::Result {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nUDP round trips of 64 bytes{place}, one at a time for {} ms, in microseconds:\n",
            self.plan.ping_pong_ms
        )?;
        heading(f, &["datapath", "p50", "ratio", "p99"])?;
        for row in rows {
            writeln!(
                f,
                "| {} | {} | {} | {} |",
                row.datapath,
                spread(row.p50_us, 0),
                spread(row.p50_ratio, 2),
                spread(row.p99_us, 0)
            )?;
        }
        Ok(())
    }

    fn names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nNames of the network, asked by dnsperf for {} s over UDP: as fast as they are answered, then {HALF_RATE} a \
             second, then the same beside {DEAD_RATE} a second that nobody answers; and other names, one at a time \
             for {} ms, from a server that answers at once. Times in microseconds:\n",
            self.plan.tcp_secs, self.plan.ping_pong_ms
        )?;
        heading(
            f,
            &[
                "resolver",
                "thousand answers a second",
                "ratio",
                "lost, %",
                "resolver CPU an answer",
                "p50",
                "p99",
                "p99 beside a dead server",
                "forwarded p50",
                "of it the server",
                "added",
            ],
        )?;
        for row in &self.names {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                row.resolver,
                spread(row.thousand_per_sec, 1),
                spread(row.ratio, 2),
                spread(row.lost_percent, 2),
                optional(row.resolver_us, 1),
                optional(row.p50_us, 0),
                optional(row.p99_us, 0),
                optional(row.p99_beside_dead_us, 0),
                spread(row.forwarded_us, 0),
                spread(row.server_us, 0),
                spread(row.added_us, 0),
            )?;
        }
        Ok(())
    }

    fn names_tcp(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names_tcp.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nTCP of one connection for {} s between two other sandboxes, alone and beside {FULL_RATE} names asked for a \
             second; `dnsmasq` stands for the kernel's bridge beside it. All of them share the processors. *Asking* is what is left \
             beside those who ask the cheapest of servers, in their own namespace; *resolver* compares with that. *Half* is what arrives beside the resolver of half of the \
             throughput alone:\n",
            self.plan.tcp_secs
        )?;
        heading(
            f,
            &[
                "resolver",
                "alone, Gb/s",
                "beside, Gb/s",
                "ratio",
                "asking, ratio",
                "resolver, ratio",
                "half, ratio",
                "thousand answers a second",
                "worker CPU per GB, ratio",
            ],
        )?;
        for row in &self.names_tcp {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                row.resolver,
                spread(row.alone_gbits_per_sec, 1),
                spread(row.beside_gbits_per_sec, 1),
                spread(row.ratio, 2),
                spread(row.asking_ratio, 2),
                spread(row.resolver_ratio, 2),
                spread(row.paced_ratio, 2),
                spread(row.thousand_per_sec, 1),
                optional(row.worker_ratio, 2),
            )?;
        }
        Ok(())
    }

    fn idle(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.idle.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\ntapweave without traffic, watched for {} s; all ports then carried traffic:\n",
            self.plan.idle_secs
        )?;
        heading(
            f,
            &[
                "ports",
                "MB resident",
                "KB a port",
                "threads",
                "% of a core",
                "connect, ms",
                "control CPU a connect, ms",
            ],
        )?;
        for idle in &self.idle {
            writeln!(
                f,
                "| {} | {:.1} | {:.1} | {} | {:.2} | {} | {:.2} |",
                idle.port_count,
                float(idle.resident_len) / 1e6,
                idle.len_per_port() / 1e3,
                idle.thread_count,
                idle.cpu_percent,
                spread(idle.connect_ms, 1),
                idle.connect_work_ms,
            )?;
        }
        Ok(())
    }
}

const fn title(mix: Mix) -> &'static str {
    match mix {
        Mix::OneFlow => "64 bytes, 1 flow",
        Mix::ManyFlows => "64 bytes, 64 flows",
        Mix::Imix => "IMIX, 64 flows",
        Mix::TunnelImix => "IMIX up to 1,400 bytes, 64 flows",
    }
}

/// The first two lines of a table.
fn heading(f: &mut fmt::Formatter<'_>, columns: &[&str]) -> fmt::Result {
    writeln!(f, "| {} |", columns.join(" | "))?;
    writeln!(f, "|{}", "---|".repeat(columns.len()))
}

/// `24.1 (22.0-25.9)`
fn spread(summary: Summary, digits: usize) -> String {
    let Summary { median, min, max } = summary;
    format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
}

fn optional(summary: Option<Summary>, digits: usize) -> String {
    summary.map_or_else(|| "-".to_owned(), |summary| spread(summary, digits))
}

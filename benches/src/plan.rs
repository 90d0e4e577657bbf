//! What a run of the benchmark measures, and how much of it.

use clap::ValueEnum;
use serde::Serialize;

/// One thing that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// TCP throughput of one connection
    #[value(name = "tcp-1")]
    #[serde(rename = "tcp-1")]
    Tcp1,
    /// TCP throughput of four connections at once
    #[value(name = "tcp-4")]
    #[serde(rename = "tcp-4")]
    Tcp4,
    /// 64-byte frames a second, one flow
    #[value(name = "frames-1")]
    #[serde(rename = "frames-1")]
    Frames1,
    /// 64-byte frames a second, 64 flows
    #[value(name = "frames-64")]
    #[serde(rename = "frames-64")]
    Frames64,
    /// Frames of mixed lengths (7 : 4 : 1 of 64, 594 and 1,518 bytes), 64 flows
    Imix,
    /// The time of a UDP round trip
    RoundTrip,
    /// TCP throughput of one connection through a gateway, from the sandbox
    NatUp,
    /// The same, to the sandbox
    NatDown,
    /// TCP throughput of four connections through a gateway, each way
    #[value(name = "nat-4")]
    #[serde(rename = "nat-4")]
    Nat4,
    /// New short TCP connections through a gateway
    NatCps,
    /// 64-byte UDP frames a second through a gateway, one flow
    NatUdp,
    /// TCP throughput of one connection between two hosts, over VXLAN
    #[value(name = "vxlan-1")]
    #[serde(rename = "vxlan-1")]
    Vxlan1,
    /// The same with four connections at once
    #[value(name = "vxlan-4")]
    #[serde(rename = "vxlan-4")]
    Vxlan4,
    /// 64-byte UDP frames a second between two hosts, over VXLAN, one flow
    VxlanUdp,
    /// Frames of mixed lengths (7 : 4 : 1 of 64, 594 and 1,400 bytes) between two hosts, over VXLAN
    VxlanImix,
    /// The time of a UDP round trip between two hosts, over VXLAN
    VxlanRoundTrip,
    /// Answers of a resolver, and what forwarding adds
    Names,
    /// TCP throughput of one connection beside 20,000 names asked for a second
    NamesTcp,
    /// Memory and processor time of an idle daemon with 10 ports
    Idle,
    /// The same with 1,000 ports, and what each connect takes
    Ports,
}

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// What is measured.
    pub cases: Vec<Case>,
    /// Rounds, each with one run of every datapath.
    pub round_count: u32,
    /// Seconds of one TCP run.
    pub tcp_secs: u32,
    /// Milliseconds in which frames are counted.
    pub frames_ms: u32,
    /// Milliseconds of one ping-pong run.
    pub ping_pong_ms: u32,
    /// Milliseconds for which connections are made.
    pub connections_ms: u32,
    /// Ports of the daemon that has many.
    pub port_count: usize,
    /// Seconds for which an idle daemon is watched.
    pub idle_secs: u32,
    /// Whether a run waits until the machine has nothing else to do.
    pub waits_for_quiet: bool,
}

/// What the datapaths of a case do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// They let sandboxes talk to each other.
    Switch,
    /// They let a sandbox talk to the outside.
    Gateway,
    /// They let sandboxes of two hosts talk to each other.
    Overlay,
    /// They answer a sandbox for names.
    Names,
}

impl Setting {
    /// Every setting, in the order in which they are measured.
    pub const ALL: [Self; 4] = [Self::Switch, Self::Gateway, Self::Overlay, Self::Names];
}

impl Case {
    /// Returns what its datapaths do; `None` where a daemon is only watched.
    pub const fn setting(self) -> Option<Setting> {
        match self {
            Self::Tcp1
            | Self::Tcp4
            | Self::Frames1
            | Self::Frames64
            | Self::Imix
            | Self::RoundTrip => Some(Setting::Switch),
            Self::NatUp | Self::NatDown | Self::Nat4 | Self::NatCps | Self::NatUdp => {
                Some(Setting::Gateway)
            }
            Self::Vxlan1
            | Self::Vxlan4
            | Self::VxlanUdp
            | Self::VxlanImix
            | Self::VxlanRoundTrip => Some(Setting::Overlay),
            Self::Names | Self::NamesTcp => Some(Setting::Names),
            Self::Idle | Self::Ports => None,
        }
    }
}

impl Plan {
    /// Tells whether it is measured.
    pub fn has(&self, case: Case) -> bool {
        self.cases.contains(&case)
    }

    /// Returns the cases of a setting that are measured.
    pub fn cases_in(&self, setting: Setting) -> impl Iterator<Item = Case> {
        let cases = self.cases.iter().copied();
        cases.filter(move |case| case.setting() == Some(setting))
    }
}

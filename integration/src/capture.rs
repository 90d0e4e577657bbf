//! What came in at an interface, recorded into the test's directory, and what tshark thinks of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::checker::Checker;
use crate::frame;
use crate::pcap;
use crate::process::{Background, expect_success};
use crate::sandbox::Sandbox;
use crate::traffic;
use crate::wait;

const RECORD: &str = include_str!("../tools/record.py");

/// Gives every file a number of its own.
static NEXT_FILE: AtomicU32 = AtomicU32::new(0);

/// `ETH_P_ALL` of `linux/if_ether.h`.
const ALL_TYPES: u16 = 3;

/// A running capture of the frames that come in at one interface.
#[derive(Debug)]
pub struct Capture {
    recorder: Background,
    file: PathBuf,
    place: String,
}

/// Which frames are recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Those of [`frame::TEST_TYPE`].
    TestFrames,
    /// All.
    Everything,
}

impl Capture {
    /// Starts to record and waits until it does.
    ///
    /// # Errors
    ///
    /// When it does not start, for example because there is no such interface.
    pub fn start(sandbox: &Sandbox, ifname: &str, wanted: Wanted, dir: &Path) -> Result<Self> {
        let place = format!("{}-{ifname}", sandbox.name());
        // Two records of one interface have files of their own.
        let stem = format!("{place}.{}", NEXT_FILE.fetch_add(1, Ordering::Relaxed));
        let file = dir.join(format!("{stem}.pcap"));
        let ether_type = match wanted {
            Wanted::TestFrames => frame::TEST_TYPE,
            Wanted::Everything => ALL_TYPES,
        };
        let mut command = traffic::python(sandbox, RECORD);
        command.arg(ifname).arg(&file).arg(ether_type.to_string());
        let mut recorder = Background::start(&mut command, &dir.join(format!("{stem}.log")))?;
        recorder.line("recording")?;
        Ok(Self {
            recorder,
            file,
            place,
        })
    }

    /// Returns what was recorded so far.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn frames(&self) -> Result<Vec<Vec<u8>>> {
        let file = fs::read(&self.file).with_context(|| self.file.display().to_string())?;
        pcap::frames(&file).with_context(|| self.file.display().to_string())
    }

    /// Returns a checker of what was recorded so far.
    ///
    /// # Errors
    ///
    /// As [`Capture::frames`].
    pub fn checker(&self) -> Result<Checker> {
        Ok(Checker::new(&self.place, self.frames()?))
    }

    /// Waits until what was recorded passes the check.
    ///
    /// # Errors
    ///
    /// The check's last complaint, when it does not pass soon.
    pub fn wait_for(&self, check: impl Fn(Checker) -> Result<()>) -> Result<()> {
        let mut complaint = None;
        let waited = wait::until_true(&format!("frames at {}", self.place), wait::SOON, || {
            complaint = check(self.checker()?).err();
            Ok(complaint.is_none())
        });
        match complaint {
            Some(complaint) => waited.context(complaint),
            None => waited,
        }
    }

    /// Ends the capture and returns its file; the kernel must not have left out a frame.
    ///
    /// # Errors
    ///
    /// When the recorder does not end or frames were left out.
    pub fn stop(mut self) -> Result<PathBuf> {
        self.recorder.signal(Signal::INT)?;
        let lost = self.recorder.line("frames lost")?;
        ensure!(
            lost.starts_with("0 frames"),
            "the record of {}: {lost}",
            self.place
        );
        self.recorder.exit(wait::SOON)?;
        Ok(self.file.clone())
    }
}

/// What tshark thinks of one frame that carries IP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Bytes of the frame.
    pub len: usize,
    /// Whether every checksum in it (IPv4 header, TCP, UDP) is right.
    pub checksums: Checksums,
}

/// What tshark thinks of the checksums of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksums {
    /// At least one was verified, and none is wrong.
    Good,
    /// At least one is wrong.
    Bad,
    /// None could be verified.
    Unknown,
}

/// Returns the fields that tshark sees in each frame of a capture that passes its display filter, the
/// occurrences of a field from the outermost header on.
///
/// # Errors
///
/// When tshark fails.
pub fn dissect(file: &Path, filter: &str, fields: &[&str]) -> Result<Vec<Vec<Vec<String>>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", filter, "-n"]);
    for protocol in ["ip", "udp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    command.args(["-T", "fields", "-E", "separator=;", "-E", "aggregator=,"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let said = expect_success(&mut command, "")?;
    let occurrences = |field: &str| field.split(',').map(str::to_owned).collect();
    let frames = said
        .lines()
        .map(|line| line.split(';').map(occurrences).collect());
    Ok(frames.collect())
}

/// Returns the MSS that each SYN of a capture that opens a connection promises.
///
/// # Errors
///
/// When tshark fails.
pub fn promised_mss(file: &Path) -> Result<Vec<String>> {
    let opening = "tcp.flags.syn == 1 && tcp.flags.ack == 0";
    let rows = dissect(file, opening, &["tcp.options.mss_val"])?;
    Ok(rows.into_iter().map(|row| row.concat().concat()).collect())
}

/// Lets tshark verify the checksums of the frames of a capture that pass its display filter.
///
/// # Errors
///
/// When tshark fails.
pub fn verify(file: &Path, filter: &str) -> Result<Vec<Verified>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", filter, "-n"]);
    for protocol in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    command.args(["-T", "fields", "-E", "separator=;"]);
    for field in [
        "frame.len",
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
    ] {
        command.args(["-e", field]);
    }
    expect_success(&mut command, "")?
        .lines()
        .map(|line| {
            let mut fields = line.split(';');
            let len = fields.next().context("tshark printed an empty line")?;
            let statuses: Vec<&str> = fields.filter(|status| !status.is_empty()).collect();
            Ok(Verified {
                len: len
                    .parse()
                    .with_context(|| format!("tshark printed {line}"))?,
                checksums: judge(&statuses),
            })
        })
        .collect()
}

/// Sums up the `checksum.status` fields of a frame: 0 bad, 1 good, 2 unverified.
fn judge(statuses: &[&str]) -> Checksums {
    if statuses.contains(&"0") {
        Checksums::Bad
    } else if statuses.contains(&"1") {
        Checksums::Good
    } else {
        Checksums::Unknown
    }
}

//! A virtual machine that boots behind a port and knows nothing of its network but what DHCP tells it.
//!
//! ```text
//!   a   b: --addr dhcp --guard=false
//!   |   eth0 ─ br0 ─┬─ tap0 ─ eth0 of the machine, with the MAC address of the endpoint
//!   |   |           └─ tap1 ─ eth1 of it, with another one
//!   red ── 10.213.0.1, the gateway
//! ```
//!
//! QEMU emulates the processor and the interfaces; the kernel is Debian's, and the programs are those of busybox
//! (`integration/guest/client`).

#[cfg(test)]
mod guest {
    use std::env;
    use std::path::PathBuf;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use serde_json::Value;
    use tapweave_integration::process::Background;
    use tapweave_integration::traffic::ping_soon;
    use tapweave_integration::{Lab, Sandbox, Segment};
    use tapweave_net::MacAddr;

    const NETWORK: &str =
        "--subnet 10.213.0.0/24 --subnet 10.214.0.0/24 --mtu 1400 -o tapweave.dhcp_lease=10m";

    /// The MAC address of the second interface.
    const OTHER: &str = "52:54:00:00:00:02";

    /// How long it may take from one line to the next: the first one comes after 4 s on a machine with nothing else to do.
    const BOOT_LIMIT: Duration = Duration::from_mins(2);

    /// Bridges two TAP devices to the interface of a sandbox, for machines that are seen from the network.
    fn bridge_taps(sandbox: &Sandbox) -> Result<()> {
        // A bridge keeps frames for the address of one of its ports to itself.
        sandbox.ip("link set eth0 address 02:ff:ff:ff:ff:01")?;
        sandbox.ip("link add br0 type bridge")?;
        for tap in ["tap0", "tap1"] {
            sandbox.ip(&format!("tuntap add {tap} mode tap"))?;
            sandbox.ip(&format!("link set {tap} master br0 up"))?;
        }
        sandbox.ip("link set eth0 master br0")?;
        sandbox.ip("link set br0 up")?;
        Ok(())
    }

    /// Starts the machine with both interfaces; what it says comes line by line.
    fn boot(lab: &Lab, sandbox: &Sandbox, own: MacAddr) -> Result<Background> {
        let image = env::var_os("TAPWEAVE_TEST_MACHINE").map(PathBuf::from);
        let image = image.context("no image to boot: use `./test guest`")?;
        let mut command = sandbox.command("qemu-system-x86_64");
        let accel = env::var("TAPWEAVE_GUEST_ACCEL").unwrap_or_else(|_| "tcg".to_owned());
        command.args(["-accel", &accel, "-machine", "q35", "-cpu", "qemu64"]);
        command.args(["-m", "128", "-nodefaults", "-no-user-config"]);
        command.args(["-display", "none", "-no-reboot"]);
        command.args(["-append", "console=ttyS0 loglevel=4 mitigations=off"]);
        command.arg("-kernel").arg(image.join("kernel"));
        command.arg("-initrd").arg(image.join("initramfs"));
        let console = format!("file:{}", lab.file("console.log").display());
        command.args(["-serial", &console, "-serial", "stdio"]);
        for (tap, mac) in [("tap0", own.to_string()), ("tap1", OTHER.to_owned())] {
            let netdev = format!("tap,id={tap},ifname={tap},script=no,downscript=no,vhost=off");
            let device = format!("virtio-net-pci,netdev={tap},mac={mac},romfile=");
            command.args(["-netdev", &netdev, "-device", &device]);
        }
        Background::start(&mut command, &lab.file("machine.log"))
    }

    #[test]
    fn a_virtual_machine_boots_over_dhcp_and_reaches_others_by_name() -> Result<()> {
        Lab::run(|lab| {
            let ports = ["", "--addr dhcp --guard=false"];
            let segment = Segment::with(lab, NETWORK, &ports)?;
            let cli = segment.cli();
            let b = &segment.sandboxes[1];
            bridge_taps(b)?;
            cli.ok(&format!("lease add red 10.213.0.77 --mac {OTHER}"))?;
            let mut machine = boot(lab, b, segment.endpoints[1].mac)?;
            let mut says = |text: &str| machine.line_within(text, BOOT_LIMIT);

            let (first, own) = (segment.ipv4(0)?, segment.ipv4(1)?);
            says(&format!(
                "told eth0 ip={own} mask=24 mtu=1400 router=10.213.0.1 dns=10.213.0.1 domain=red search=red"
            ))?;
            says(
                "told eth0 lease=600 hostname=b routes=10.214.0.0/24 10.213.0.1 0.0.0.0/0 10.213.0.1",
            )?;
            says("mtu 1400")?;
            says("route default via 10.213.0.1")?;
            says("route 10.214.0.0/24 via 10.213.0.1")?;
            says("resolv.conf nameserver 10.213.0.1")?;
            says(&format!("PING a ({first})"))?;
            says("1 packets received")?;
            says(&format!("PING a.red ({first})"))?;
            says("1 packets received")?;
            says(&format!("Address: {first}"))?;
            says("PING gateway.internal (10.21")?;
            says("1 packets received")?;
            says("told eth1 ip=10.213.0.77 mask=24")?;
            says("booted")?;

            // The others reach it by its name too.
            ping_soon(&segment.sandboxes[0], own)?;
            ensure!(cli.ok("-q dns query red b A")? == format!("{own}\n"));
            let leases = cli.json("lease ls red")?;
            let lease = |mac: &str| {
                let mut leases = leases.as_array().into_iter().flatten();
                let lease = leases.find(|lease| lease["mac"] == mac);
                lease.cloned().unwrap_or_default()
            };
            let is = |lease: &Value, origin: &str| {
                lease["origin"] == origin && lease["state"] == "bound" && lease["port"] == "red/b"
            };
            let own = lease(&segment.endpoints[1].mac.to_string());
            ensure!(
                is(&own, "endpoint") && is(&lease(OTHER), "static"),
                "{leases}"
            );
            machine.kill()
        })
    }
}

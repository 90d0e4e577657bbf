//! The units of systemd in `packaging/systemd`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use super::parse;

fn unit(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging/systemd")
        .join(name);
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

/// Returns the value of `key`.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[test]
fn units_start_the_daemon_with_options_that_there_are() {
    for name in ["tapweave.service", "user/tapweave.service"] {
        let (_, text) = unit(name);
        let command = value(&text, "ExecStart").unwrap();
        let options = command.strip_prefix("/usr/bin/tapweave ").unwrap();
        parse(options).unwrap();
        // The daemon tells the manager that it is ready, reloads on SIGHUP, and gives signs of life.
        assert_eq!(value(&text, "Type"), Some("notify"));
        assert_eq!(value(&text, "ExecReload"), Some("/bin/kill -HUP $MAINPID"));
        assert!(value(&text, "WatchdogSec").is_some());
        assert_eq!(value(&text, "RuntimeDirectory"), Some("tapweave"));
    }
}

#[test]
fn units_leave_the_daemon_what_it_works_with() {
    let (_, root) = unit("tapweave.service");
    let (_, user) = unit("user/tapweave.service");
    for text in [&root, &user] {
        for namespaced in [
            "PrivateNetwork",
            "PrivateUsers",
            "RestrictNamespaces",
            "ProtectProc",
            "PrivateDevices",
            "PrivateTmp",
        ] {
            assert_eq!(value(text, namespaced), None);
        }
        let families = value(text, "RestrictAddressFamilies").unwrap();
        for family in ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"] {
            assert!(families.split(' ').any(|one| one == family), "{family}");
        }
    }
    assert_eq!(value(&root, "DeviceAllow"), Some("/dev/net/tun rw"));
    let capabilities = value(&root, "CapabilityBoundingSet").unwrap();
    for capability in [
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_SYS_ADMIN",
        "CAP_SYS_PTRACE",
    ] {
        assert!(capabilities.contains(capability), "{capability}");
    }
}

/// Where systemd is not installed, the checks above have to do.
#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    for (name, manager) in [
        ("tapweave.service", "--system"),
        ("user/tapweave.service", "--user"),
    ] {
        let (_, text) = unit(name);
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("tapweave.service");
        // What is not installed here would be found missing.
        let text = text.replace("/usr/bin/tapweave daemon", "/bin/true");
        let lines = text.lines();
        let checked: Vec<_> = lines
            .filter(|line| !line.starts_with("Documentation="))
            .collect();
        fs::write(&copy, checked.join("\n") + "\n").unwrap();
        let verify = Process::new("systemd-analyze")
            .args(["verify", manager])
            .arg(&copy)
            .env("XDG_RUNTIME_DIR", folder.path())
            .output();
        let Ok(verify) = verify else {
            continue;
        };
        let said = String::from_utf8_lossy(&verify.stderr);
        let about_it: Vec<_> = said
            .lines()
            .filter(|line| line.contains("tapweave"))
            .collect();
        assert!(about_it.is_empty(), "{about_it:?}");
    }
}

//! What is to be known of each key beyond its help: default, range, cost, and whether a change applies
//! while the daemon runs.
//!
//! The reference (`docs/config.md`), `config show` and the reload read this table. Tests hold it
//! against the fields of [`super::settings::Settings`] and against the daemon's own defaults.

/// One key of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What the value is, with unit and range.
    pub(crate) value: &'static str,
    /// The default as TOML; empty where the default is a rule, which then stands in `otherwise`.
    pub(crate) default: &'static str,
    /// What is done when neither a source nor `default` says anything.
    pub(crate) otherwise: &'static str,
    /// The variable of the environment that says the same.
    pub(crate) variable: Option<&'static str>,
    /// Memory and processor time.
    pub(crate) cost: &'static str,
    pub(crate) applies: Applies,
}

/// When a change of a key that is in the file takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Applies {
    /// On a reload.
    OnReload,
    /// On a reload, for networks that are made from then on.
    ToNewNetworks,
    /// When the daemon is started again.
    AfterRestart,
}

impl Applies {
    pub(crate) const fn needs_restart(self) -> bool {
        matches!(self, Self::AfterRestart)
    }

    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::OnReload => "on a reload (SIGHUP)",
            Self::ToNewNetworks => {
                "on a reload (SIGHUP), to networks that are made from then on; those that exist keep what \
                 they have"
            }
            Self::AfterRestart => "after a restart; a reload says so by name",
        }
    }
}

/// The keys in the order of the reference. Those that are tables come last, as in a file.
pub(crate) const KEYS: [Key; 20] = [
    Key {
        name: "socket",
        value: "path of the control socket, at most 107 bytes",
        default: "",
        otherwise: "`/run/tapweave/tapweave.sock` for root, else `$XDG_RUNTIME_DIR/tapweave/tapweave.sock`, \
                    else `/tmp/tapweave-UID/tapweave.sock`. Commands do not read this file: tell them by \
                    `--socket` or `$TAPWEAVE_SOCKET`",
        variable: Some("TAPWEAVE_SOCKET"),
        cost: "none",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "state-dir",
        value: "path of a directory for this daemon alone; it is made with mode 0700",
        default: "",
        otherwise: "`/var/lib/tapweave/NODE` for root, else `$XDG_STATE_HOME/tapweave/NODE`, else \
                    `~/.local/state/tapweave/NODE`, where `NODE` is the key `node`",
        variable: None,
        cost: "some hundred bytes of disk for each network and endpoint",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "node",
        value: "name of this daemon among others: letters, digits, `_`, `.` and `-`",
        default: "",
        otherwise: "the name of the host",
        variable: None,
        cost: "none",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "store",
        value: "`\"file:\"` (in the state directory) or `\"memory:\"` (nothing is kept)",
        default: "\"file:\"",
        otherwise: "",
        variable: None,
        cost: "`file:` waits for the disk once for each change, or once for several that come together",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "hold",
        value: "seconds, 0 to 86400; 0 keeps nothing, and neither does `memory:`",
        default: "120",
        otherwise: "",
        variable: None,
        cost: "a process that sleeps, with a descriptor for each queue and socket",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "log",
        value: "a level (`error`, `warn`, `info`, `debug`, `trace`), or several filters joined by commas, each \
                `MODULE=LEVEL`",
        default: "\"info\"",
        otherwise: "",
        variable: Some("TAPWEAVE_LOG"),
        cost: "`debug` and `trace` write a line for minor changes; releases have no lines for single packets",
        applies: Applies::OnReload,
    },
    Key {
        name: "workers",
        value: "number of threads, 1 to 256",
        default: "1",
        otherwise: "",
        variable: None,
        cost: "about 2 MB of buffers for each; a busy one takes a processor",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "backend",
        value: "`\"auto\"`, `\"io_uring\"` or `\"epoll\"`",
        default: "\"auto\"",
        otherwise: "",
        variable: None,
        cost: "`epoll` takes more system calls for each frame",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "busy-poll",
        value: "microseconds, 0 to 50",
        default: "0",
        otherwise: "",
        variable: None,
        cost: "processor time: that long after each batch of frames, for each worker",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "underlay",
        value: "IP address or interface, or a list of them, at most one address of each family",
        default: "",
        otherwise: "the addresses of the interfaces of the default routes",
        variable: None,
        cost: "sockets for each worker and overlay, some MB of buffers each",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "vxlan-port",
        value: "UDP port, 1 to 65535",
        default: "4789",
        otherwise: "",
        variable: None,
        cost: "none",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "metrics",
        value: "`\"ADDR:PORT\"`, IPv6 addresses in brackets",
        default: "",
        otherwise: "only on the control socket, under `/v1/metrics`",
        variable: None,
        cost: "a socket. Whoever reaches it reads names of networks and sandboxes, and figures of their traffic",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "uplink",
        value: "`\"auto\"`, `\"tun\"`, `\"tun:CIDR[,CIDR]\"`, `\"nic:IFNAME[:CIDR[@GATEWAY]][,…]\"` or `\"none\"`",
        default: "\"auto\"",
        otherwise: "",
        variable: None,
        cost: "one interface",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "uplink-mtu",
        value: "bytes, 1280 to 65535; of an interface of the host at most what that has",
        default: "1500",
        otherwise: "",
        variable: None,
        cost: "none",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "dns",
        value: "IP address, `\"IP:PORT\"`, or a file in the form of `resolv.conf(5)` with a slash in its path; or a list",
        default: "\"/etc/resolv.conf\"",
        otherwise: "",
        variable: None,
        cost: "none",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "nat-flows",
        value: "number of flows and mappings together, 16 to 16777216",
        default: "131072",
        otherwise: "",
        variable: None,
        cost: "up to 200 bytes for each",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "nat-ports",
        value: "ports, `\"FIRST-LAST\"`, 1 to 65535",
        default: "\"1024-65535\"",
        otherwise: "",
        variable: None,
        cost: "one flow to one destination takes one of them",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "default-address-pools",
        value: "list of `{ base = \"CIDR\", size = LENGTH }`: blocks that are handed out in subnets with a \
                prefix of `LENGTH` bits, asked in this order; a family that none is of keeps its default",
        default: "[{ base = \"10.192.0.0/12\", size = 24 }]",
        otherwise: "a generated unique local /64 for IPv6",
        variable: None,
        cost: "none",
        applies: Applies::ToNewNetworks,
    },
    Key {
        name: "nat-timeout",
        value: "table of seconds, 1 to 604800, by kind of flow",
        default: "{ tcp-established = 7440, tcp-transitory = 240, tcp-syn = 240, tcp-reset = 240, udp = 300, \
                  udp-brief = 120, icmp = 60 }",
        otherwise: "",
        variable: None,
        cost: "a flow holds its place and its port for this long after its last packet",
        applies: Applies::AfterRestart,
    },
    Key {
        name: "default-network-opts",
        value: "for each driver (`bridge`, `overlay`, `nic`) a table of the options of `network create -o`, as \
                strings, numbers or booleans",
        default: "",
        otherwise: "no options; each has its own default",
        variable: None,
        cost: "that of the options",
        applies: Applies::ToNewNetworks,
    },
];

/// Returns the key called `name`.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Returns the defaults as a document of the same form as the file.
pub(crate) fn defaults() -> String {
    let given = KEYS.iter().filter(|key| !key.default.is_empty());
    given.fold(String::new(), |document, key| {
        format!("{document}{} = {}\n", key.name, key.default)
    })
}

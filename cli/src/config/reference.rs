//! Prints `docs/config.md`: a section for each key, from its help, its option, and the table of keys.

use std::fmt::Write as _;

use clap::{Arg, Args as _, Command};

use super::keys::{KEYS, Key};
use super::settings::Settings;

const HEAD: &str = "\
# Configuration

<!-- Printed by `tapweave config reference`; a test compares. Change cli/src/config/ and print it again:
     cargo run -- config reference > docs/config.md -->

`tapweave daemon` takes each of its options from the command line, else from the environment, else from a file, else by default.
The file is that of `--config FILE` (or `$TAPWEAVE_CONFIG`), which must be there; else `/etc/tapweave/tapweave.toml` for root and
`$XDG_CONFIG_HOME/tapweave/tapweave.toml` (`~/.config/tapweave/tapweave.toml`) for others, if it is there. It is written in [TOML](https://toml.io). A key that
is not known, a value that does not fit and options that contradict each other are refused, with line and column.

- `tapweave config check [FILE]` says whether a file is in order, and does nothing else.
- `tapweave config show [OPTIONS OF THE DAEMON]` prints the values that a daemon would run with, as a file, each with its source.
- SIGHUP (`systemctl reload`) has the daemon read its file again. It is checked first: one with a mistake changes nothing, and the log says where the mistake is. What can be applied is applied; what
  needs a restart is named in the log.

Tables are merged key by key with what the command line says; lists are not merged. An example:

```toml
log = \"info,tapweave_control=debug\"
workers = 2
underlay = \"eth1\"
default-address-pools = [
  { base = \"10.192.0.0/12\", size = 24 },
  { base = \"172.20.0.0/14\", size = 26 },
]

[nat-timeout]
udp = 60

[default-network-opts.bridge]
\"tapweave.storm\" = 1000
\"com.docker.network.driver.mtu\" = 1400
```
";

/// Returns the whole page.
pub(super) fn reference() -> String {
    let options = Settings::augment_args(Command::new("daemon"));
    let mut page = HEAD.to_owned();
    for key in KEYS {
        section(&key, option(&options, &key), &mut page);
    }
    page
}

/// Returns the option of the command line that says the same as `key`.
fn option<'c>(options: &'c Command, key: &Key) -> Option<&'c Arg> {
    let id = key.name.replace('-', "_");
    options
        .get_arguments()
        .find(|option| option.get_id() == id.as_str())
}

fn section(key: &Key, option: Option<&Arg>, page: &mut String) {
    let mut write = |text: String| {
        // Writing to a string does not fail.
        let _written = writeln!(page, "{text}");
    };
    write(format!("\n## {}\n", key.name));
    if let Some(help) = option.and_then(|option| option.get_help()) {
        let help = help.to_string().replace('\n', " ");
        let without_default = help.split(" [").next().unwrap_or(&help);
        write(format!("{without_default}.\n"));
    } else {
        write("The control socket.\n".to_owned());
    }
    write(format!("- Value: {}.", key.value));
    write(match (key.default, key.otherwise) {
        ("", otherwise) => format!("- Default: {otherwise}."),
        (default, "") => format!("- Default: `{default}`."),
        (default, otherwise) => format!("- Default: `{default}`; {otherwise}."),
    });
    write(format!("- Option: {}.", flag(option)));
    if let Some(variable) = key.variable {
        write(format!("- Environment: `${variable}`."));
    }
    write(format!("- Cost: {}.", key.cost));
    write(format!("- A change applies {}.", key.applies.sentence()));
}

fn flag(option: Option<&Arg>) -> String {
    let Some(long) = option.and_then(Arg::get_long) else {
        return "`--socket PATH`".to_owned();
    };
    let names = option.and_then(Arg::get_value_names).unwrap_or_default();
    let value = names.first().map_or("", |name| name.as_str());
    format!("`--{long} {value}`")
}

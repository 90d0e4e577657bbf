//! The text that Prometheus reads: version 0.0.4 of its exposition format.
//!
//! A family of figures has a line of help, a line with its type, and its samples, all together.

use std::fmt::{Display, Write as _};

/// What kind of figures a family has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// They only grow, as long as the daemon runs.
    Counter,
    /// They go up and down.
    Gauge,
    /// They are counts of durations, by class.
    Histogram,
}

/// Families of figures, written one after another.
#[derive(Debug, Default)]
pub(crate) struct Text {
    text: String,
    family: String,
}

impl Text {
    /// Media type of the text.
    pub(crate) const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a family. Its name is of letters, digits and `_`, and no other family has it.
    pub(crate) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        name.clone_into(&mut self.family);
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}."));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// Adds a sample to the family.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.sample_of("", labels, value);
    }

    /// Adds a sample with a suffix to the name of its family, as histograms have them.
    pub(crate) fn sample_of(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let mut written = String::new();
        for (name, value) in labels {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let before = if written.is_empty() { '{' } else { ',' };
            // Writing to a string cannot fail.
            let _written = write!(written, "{before}{name}=\"{value}\"");
        }
        if !written.is_empty() {
            written.push('}');
        }
        let family = std::mem::take(&mut self.family);
        self.line(format_args!("{family}{suffix}{written} {value}"));
        self.family = family;
    }

    /// Returns everything that was written.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string cannot fail.
        let _written = writeln!(self.text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "What\\is\nsaid");
        text.sample(&[], 7);
        text.sample(&[("x", "1"), ("y", "a \"b\"\\\n")], u64::MAX);
        text.family("b_seconds", Kind::Histogram, "Durations");
        text.sample_of("_bucket", &[("le", "0.5")], 3);
        text.sample_of("_sum", &[], 1.25);
        let expected = "# HELP a_total What\\\\is\\nsaid.\n\
                        # TYPE a_total counter\n\
                        a_total 7\n\
                        a_total{x=\"1\",y=\"a \\\"b\\\"\\\\\\n\"} 18446744073709551615\n\
                        # HELP b_seconds Durations.\n\
                        # TYPE b_seconds histogram\n\
                        b_seconds_bucket{le=\"0.5\"} 3\n\
                        b_seconds_sum 1.25\n";
        assert_eq!(text.finish(), expected);
    }
}

//! "Did you mean": the known word that is nearest to one that is not known, for messages.

/// How alike two words must be (Jaro-Winkler, 0 to 1) for one to be suggested; a slip or two in a word
/// of usual length are above it, other words below.
const ALIKE: f64 = 0.8;

/// Returns the member of `known` that `word` may have been meant to be.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let likeness = |known: &'k str| (likeness(&word, &known.to_lowercase()), known);
    let best = known.into_iter().map(likeness);
    let best = best.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// One slip makes a short word very unlike itself by that measure, so it is counted first.
fn likeness(word: &str, known: &str) -> f64 {
    let is_one_slip = word.chars().count() >= 3 && strsim::osa_distance(word, known) == 1;
    if is_one_slip {
        1.0
    } else {
        strsim::jaro_winkler(word, known)
    }
}

/// Returns `; did you mean WORD?` if there is such a word, otherwise nothing.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map_or_else(String::new, |it| format!("; did you mean {it}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["workers", "uplink", "uplink-mtu", "default-address-pools"];
        for (word, meant) in [
            ("wrokers", Some("workers")),
            ("worker", Some("workers")),
            ("Uplink", Some("uplink")),
            ("uplink_mtu", Some("uplink-mtu")),
            ("default-address-pool", Some("default-address-pools")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word:?}");
        }
        assert_eq!(nearest("wbe", ["db", "web"]), Some("web"));
        assert_eq!(nearest("ab", ["cb"]), None);
        assert_eq!(nearest("x", []), None);
    }
}

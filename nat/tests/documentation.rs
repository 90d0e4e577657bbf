//! The page that says which requirements are kept names the tests that show it. They have to exist.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// Where tests are.
    const SOURCES: [&str; 5] = [
        "nat/src",
        "switch/src",
        "integration/src",
        "integration/tests",
        "integration/tools",
    ];

    /// Returns what is defined as a function in the Rust and Python files below `folder`.
    fn functions(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                functions(&path, found);
            } else if path
                .extension()
                .is_some_and(|name| name == "rs" || name == "py")
            {
                let text = fs::read_to_string(&path).unwrap();
                let lines = text.lines().map(str::trim_start);
                let names = lines.filter_map(|line| {
                    let rest = line
                        .strip_prefix("fn ")
                        .or_else(|| line.strip_prefix("def "))?;
                    rest.split(['(', '<']).next()
                });
                found.extend(names.map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_test_that_the_page_names_is_one() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = BTreeSet::new();
        for folder in SOURCES {
            functions(&root.join(folder), &mut found);
        }
        let page = fs::read_to_string(root.join("docs/nat.md")).unwrap();
        // Code of several words joined by underscores: nothing else on the page looks so.
        let named = page.split('`').skip(1).step_by(2).filter(|code| {
            code.matches('_').count() > 2
                && code.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        });
        let (mut count, mut missing) = (0, Vec::new());
        for name in named {
            count += 1;
            if !found.contains(name) {
                missing.push(name);
            }
        }
        assert!(missing.is_empty(), "no such tests: {missing:?}");
        assert!(count > 100, "only {count} tests are named");
    }
}

//! Tables that align: a line of headings, two spaces between columns, no lines.

use std::fmt;
use std::net::IpAddr;

use unicode_width::UnicodeWidthStr as _;

/// A table. Cells that are missing are empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table with headings only.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()],
        }
    }

    /// Adds a row below the others. Empty cells are shown as `-`.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let shown = |cell: String| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = cell.width();
                match widths.get_mut(column) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        widths
    }
}

/// Returns the cell of where a station is: a port of this host, or another host.
pub(crate) fn place(port: Option<&str>, vtep: Option<IpAddr>) -> String {
    match (port, vtep) {
        (Some(port), _) => port.to_owned(),
        (None, Some(vtep)) => format!("vtep {vtep}"),
        (None, None) => String::new(),
    }
}

/// Returns a cell that may be empty.
pub(crate) fn optional(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let last = row.len().saturating_sub(1);
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column == last {
                    writeln!(f, "{cell}")?;
                } else {
                    let padding = width.saturating_sub(cell.width()) + 2;
                    write!(f, "{cell}{:padding$}", "")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_marks_none() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row(["網路".to_owned(), "1".to_owned()]);
        table.row(["cafe\u{301}".to_owned(), "2".to_owned()]);
        assert_eq!(table.to_string(), "NAME  N\n網路  1\ncafe\u{301}  2\n");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "N", "REST"]);
        table.row(["bücher".to_owned(), "10000".to_owned(), "x".to_owned()]);
        table.row(["a".to_owned(), String::new(), "long text".to_owned()]);
        let expected = "NAME    N      REST\n\
                        bücher  10000  x\n\
                        a       -      long text\n";
        assert_eq!(table.to_string(), expected);
    }
}

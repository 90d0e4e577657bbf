//! `--filter KEY=VALUE` of every list, with Docker's rules: of several values of one key one has to match,
//! of several keys all; of labels all.
//!
//! A list says by a table of [`Field`]s which keys it has. The keys of a command line are checked before
//! the daemon is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;
use tapweave_control::did_you_mean;

use crate::output::UsageError;

/// The option of a list.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only those that have it (repeatable: one of the values of each key); a key that is not known is
    /// refused with those that are
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = condition)]
    filters: Vec<(String, String)>,
}

/// A key of a list of `T`.
#[derive(Debug)]
pub(crate) struct Field<T> {
    name: &'static str,
    test: Test<T>,
}

/// What a key compares.
#[derive(Debug)]
enum Test<T> {
    Text(fn(&T, &str) -> bool),
    Flag(fn(&T) -> bool),
    Addresses(fn(&T) -> Vec<IpAddr>),
    Labels(fn(&T) -> &BTreeMap<String, String>),
}

/// Conditions whose keys and values a list knows.
#[derive(Debug)]
pub(crate) struct Filter<'a, T> {
    conditions: Vec<(&'a Field<T>, &'a str)>,
}

impl FilterArgs {
    /// Returns the conditions, of a list with `fields`.
    pub(crate) fn on<'a, T>(&'a self, fields: &'a [Field<T>]) -> Result<Filter<'a, T>, UsageError> {
        let condition = |(key, value): &'a (String, String)| {
            let field = fields.iter().find(|field| field.name == key);
            let field = field.ok_or_else(|| unknown(key, fields))?;
            if let Some(expected) = field.test.refusal(value) {
                let message = format!("--filter {key}={value}: should be {expected}");
                return Err(UsageError::new(message));
            }
            Ok((field, value.as_str()))
        };
        let conditions = self.filters.iter().map(condition);
        Ok(Filter {
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }
}

impl<T> Field<T> {
    /// A key whose values `matches` compares.
    pub(crate) const fn text(name: &'static str, matches: fn(&T, &str) -> bool) -> Self {
        let test = Test::Text(matches);
        Self { name, test }
    }

    /// A key with the values `true` and `false`.
    pub(crate) const fn flag(name: &'static str, is: fn(&T) -> bool) -> Self {
        let test = Test::Flag(is);
        Self { name, test }
    }

    /// A key whose values are addresses, or prefixes that one of the addresses is in.
    pub(crate) const fn addresses(name: &'static str, of: fn(&T) -> Vec<IpAddr>) -> Self {
        let test = Test::Addresses(of);
        Self { name, test }
    }

    /// The key `label`, with the values `KEY` and `KEY=VALUE`.
    pub(crate) const fn labels(of: fn(&T) -> &BTreeMap<String, String>) -> Self {
        let test = Test::Labels(of);
        Self {
            name: "label",
            test,
        }
    }
}

impl<T> Test<T> {
    /// Returns what a value should be, if it is not that.
    fn refusal(&self, value: &str) -> Option<&'static str> {
        match self {
            Self::Flag(_) if value.parse::<bool>().is_err() => Some("true or false"),
            Self::Addresses(_) if prefix(value).is_none() => Some("an address or a prefix"),
            Self::Text(_) | Self::Flag(_) | Self::Addresses(_) | Self::Labels(_) => None,
        }
    }

    fn holds(&self, of: &T, value: &str) -> bool {
        match self {
            Self::Text(matches) => matches(of, value),
            Self::Flag(is) => value == if is(of) { "true" } else { "false" },
            Self::Addresses(addresses) => prefix(value)
                .is_some_and(|prefix| addresses(of).iter().any(|it| prefix.contains(it))),
            Self::Labels(labels) => match value.split_once('=') {
                Some((key, value)) => labels(of).get(key).is_some_and(|it| it == value),
                None => labels(of).contains_key(value),
            },
        }
    }
}

impl<T> Filter<'_, T> {
    /// Tells whether the conditions hold of `value`.
    pub(crate) fn holds(&self, value: &T) -> bool {
        let (labels, others): (Vec<_>, Vec<_>) = self
            .conditions
            .iter()
            .partition(|(field, _)| matches!(field.test, Test::Labels(_)));
        let keys: BTreeSet<_> = others.iter().map(|(field, _)| field.name).collect();
        let any_of_key = |key: &&str| {
            let of_key = others.iter().filter(|(field, _)| field.name == *key);
            of_key
                .into_iter()
                .any(|(field, wanted)| field.test.holds(value, wanted))
        };
        labels
            .iter()
            .all(|(field, wanted)| field.test.holds(value, wanted))
            && keys.iter().all(any_of_key)
    }

    /// Removes the values of which the conditions do not hold.
    pub(crate) fn apply(&self, values: &mut Vec<T>) {
        values.retain(|value| self.holds(value));
    }
}

fn unknown<T>(key: &str, fields: &[Field<T>]) -> UsageError {
    let known: Vec<_> = fields.iter().map(|field| field.name).collect();
    let suggestion = did_you_mean(key, known.iter().copied());
    UsageError::new(format!(
        "--filter {key}: no such key{suggestion}; there are {}",
        known.join(", ")
    ))
}

fn prefix(text: &str) -> Option<IpNet> {
    let of_address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(of_address)
}

fn condition(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("should be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Thing {
        name: &'static str,
        big: bool,
        address: &'static str,
        labels: BTreeMap<String, String>,
    }

    const FIELDS: [Field<Thing>; 4] = [
        Field::text("name", |thing, part| thing.name.contains(part)),
        Field::flag("big", |thing| thing.big),
        Field::addresses("address", |thing| vec![thing.address.parse().unwrap()]),
        Field::labels(|thing| &thing.labels),
    ];

    fn args(filters: &[&str]) -> FilterArgs {
        let filters = filters.iter().map(|text| condition(text).unwrap());
        FilterArgs {
            filters: filters.collect(),
        }
    }

    fn holds(filters: &[&str]) -> bool {
        let labels = [("tier", "front"), ("team", "a")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let thing = Thing {
            name: "web-1",
            big: true,
            address: "10.0.0.7",
            labels: BTreeMap::from(labels),
        };
        args(filters).on(&FIELDS).unwrap().holds(&thing)
    }

    #[test]
    fn values_of_one_key_are_alternatives_and_keys_are_not() {
        assert!(holds(&[]));
        assert!(holds(&["name=db", "name=web"]));
        assert!(!holds(&["name=web", "big=false"]));
        assert!(holds(&["name=web", "big=true"]));
        assert!(holds(&["address=10.0.0.0/24"]) && holds(&["address=10.0.0.7"]));
        assert!(!holds(&["address=10.0.0.8"]) && !holds(&["address=fd00::/8"]));
        assert!(holds(&["label=tier", "label=team=a"]));
        assert!(!holds(&["label=tier", "label=team=b"]));
    }

    #[test]
    fn keys_and_values_that_mean_nothing_are_refused() {
        let refusal = |text| args(&[text]).on(&FIELDS).unwrap_err().to_string();
        assert_eq!(
            refusal("nmae=x"),
            "--filter nmae: no such key; did you mean name?; there are name, big, address, label; see --help"
        );
        assert_eq!(
            refusal("big=very"),
            "--filter big=very: should be true or false; see --help"
        );
        assert!(refusal("address=home").contains("an address or a prefix"));
    }
}

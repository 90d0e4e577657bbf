//! How values that are repeated on the command line stand in the file: as lists and tables.

/// A list of values, or a value alone.
pub(crate) mod lists {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        One(String),
        Many(Vec<String>),
    }

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        values.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
        D: Deserializer<'de>,
    {
        use serde::de::Error as _;

        let wrong_type = |_which| D::Error::custom("should be a string, or a list of strings");
        let texts = match Form::deserialize(deserializer).map_err(wrong_type)? {
            Form::One(text) => vec![text],
            Form::Many(texts) => texts,
        };
        let value = |text: &String| {
            text.parse()
                .map_err(|error| D::Error::custom(format!("{text:?} {error}")))
        };
        texts.iter().map(value).collect()
    }
}

/// A table of seconds by the name of a kind of flow.
pub(crate) mod nat_timeouts {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tapweave_daemon::NatTimeout;

    pub(crate) fn serialize<S: Serializer>(
        timeouts: &[NatTimeout],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let by_name = timeouts.iter().map(|t| (t.name(), t.time().as_secs()));
        by_name.collect::<BTreeMap<_, _>>().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<NatTimeout>, D::Error> {
        let by_name = BTreeMap::<String, u64>::deserialize(deserializer)?;
        let timeout = |(name, secs): (&String, &u64)| format!("{name}={secs}").parse();
        let timeouts = by_name.iter().map(timeout).collect::<Result<_, _>>();
        timeouts.map_err(D::Error::custom)
    }
}

/// A table of options for each driver. Values are strings, numbers or booleans.
pub(crate) mod network_options {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::config::network_option::NetworkOption;

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "should be a string, a number or a boolean")]
    enum Scalar {
        Boolean(bool),
        Integer(i64),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(
        options: &[NetworkOption],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut by_driver = BTreeMap::<_, BTreeMap<_, _>>::new();
        for option in options {
            let of_driver = by_driver.entry(&option.driver).or_default();
            of_driver.insert(&option.key, &option.value);
        }
        by_driver.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<NetworkOption>, D::Error> {
        let by_driver = BTreeMap::<String, BTreeMap<String, Scalar>>::deserialize(deserializer)?;
        let mut options = Vec::new();
        for (driver, of_driver) in by_driver {
            for (key, value) in of_driver {
                options.push(NetworkOption {
                    driver: driver.clone(),
                    key,
                    value: match value {
                        Scalar::Boolean(value) => value.to_string(),
                        Scalar::Integer(value) => value.to_string(),
                        Scalar::Text(value) => value,
                    },
                });
            }
        }
        Ok(options)
    }
}

//! A census of a JSON document: what a map of it forgets, because it keeps one member of each name.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// What stands in a document, duplicates counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Census {
    /// Members of all objects.
    pub(crate) members: usize,
    /// Members called like the map.
    pub(crate) named_like_the_map: usize,
    /// Objects and lists around the innermost value.
    pub(crate) depth: usize,
}

impl Census {
    /// The census of a document as it is written; none if it is no JSON.
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The census of a document as a map keeps it.
    pub(crate) fn of_value(value: &Value) -> Self {
        let mut census = Self::default();
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| census.add(Some(key), Self::of_value(value)));
                census.depth += 1;
            }
            Value::Array(items) => {
                items.iter().for_each(|item| census.add(None, Self::of_value(item)));
                census.depth += 1;
            }
            _ => {}
        }
        census
    }

    fn add(&mut self, key: Option<&str>, value: Self) {
        self.members += value.members + usize::from(key.is_some());
        self.named_like_the_map +=
            value.named_like_the_map + usize::from(matches!(key, Some("extra-info" | "extra_info")));
        self.depth = self.depth.max(value.depth);
    }
}

impl<'de> Deserialize<'de> for Census {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counter)
    }
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = Census;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Census, E> {
        Ok(Census::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Census, E> {
        Ok(Census::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Census, E> {
        Ok(Census::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Census, E> {
        Ok(Census::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Census, E> {
        Ok(Census::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Census, E> {
        Ok(Census::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Census, A::Error> {
        let mut census = Census::default();
        while let Some(item) = list.next_element()? {
            census.add(None, item);
        }
        census.depth += 1;
        Ok(census)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Census, A::Error> {
        let mut census = Census::default();
        while let Some((key, value)) = map.next_entry::<String, Census>()? {
            census.add(Some(&key), value);
        }
        census.depth += 1;
        Ok(census)
    }
}

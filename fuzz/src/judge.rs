//! A second judge: the rules as the documentation words them, on `serde_json::Value`, which reads like
//! Karbor: of equal keys the last.

use serde_json::{Map, Value};

/// What a tenant may send.
pub(crate) struct Rules {
    pub(crate) entries: usize,
    pub(crate) key_bytes: usize,
    pub(crate) value_bytes: usize,
    pub(crate) total_bytes: usize,
    /// Exact names, or starts followed by `*`.
    pub(crate) applications: &'static [&'static str],
    /// Recognised keys; no values means any.
    pub(crate) karbor_keys: &'static [(&'static str, &'static [&'static str])],
    pub(crate) bridged_keys: &'static [&'static str],
    pub(crate) max_depth: usize,
}

/// Whether a creation has the shape that Karbor or, if `flat`, the short form takes; its map, if it has one.
pub(crate) fn shape(document: &Value, flat: bool) -> Result<Option<&Map<String, Value>>, &'static str> {
    let top = document.as_object().ok_or("not an object")?;
    let checkpoint = match top.get("checkpoint") {
        Some(checkpoint) if top.len() == 1 => checkpoint.as_object().ok_or("checkpoint is no object")?,
        Some(_) => return Err("something beside checkpoint"),
        None if flat => top,
        None => return Err("no checkpoint"),
    };
    if checkpoint.keys().any(|key| key != "plan_id" && key != "extra-info") {
        return Err("a member that a creation does not have");
    }
    if flat {
        let id = checkpoint.get("plan_id").and_then(Value::as_str).ok_or("no plan_id")?;
        let plain = id.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
        if !plain || id.is_empty() || id.len() > 64 {
            return Err("plan_id is no id");
        }
    }
    match checkpoint.get("extra-info") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) if map.values().all(Value::is_string) => Ok(Some(map)),
        Some(_) => Err("extra-info is no map of strings"),
    }
}

impl Rules {
    /// Whether these entries may be set; why not.
    pub(crate) fn judge(&self, map: &Map<String, Value>) -> Result<(), &'static str> {
        let mut total = 0;
        for (key, value) in map {
            let value = value.as_str().ok_or("a value that is no string")?;
            total += key.len() + value.len();
            if key.len() > self.key_bytes {
                return Err("a key too long");
            }
            if value.len() > self.value_bytes {
                return Err("a value too long");
            }
            self.judge_name(key, value)?;
        }
        if map.len() > self.entries {
            return Err("too many entries");
        }
        if total > self.total_bytes {
            return Err("too much in all");
        }
        Ok(())
    }

    fn judge_name(&self, key: &str, value: &str) -> Result<(), &'static str> {
        if self.bridged_keys.contains(&key) {
            return Ok(());
        }
        if let Some((_, values)) = self.karbor_keys.iter().find(|(known, _)| *known == key) {
            let among = values.is_empty() || values.contains(&value);
            return if among { Ok(()) } else { Err("a value that is not allowed") };
        }
        let rest = key.strip_prefix("x-").ok_or("no namespace, or none known")?;
        let at = rest.find("--").ok_or("no name")?;
        let (application, name) = (&rest[..at], &rest[at + 2..]);
        let mut after_joint = true;
        for char in application.chars() {
            let joint = matches!(char, '-' | '.' | '_');
            if joint && after_joint || !joint && !matches!(char, 'a'..='z' | '0'..='9') {
                return Err("no application");
            }
            after_joint = joint;
        }
        if after_joint {
            return Err("no application");
        }
        let plain = |char: char| matches!(char, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | ':' | '.' | '#' | ' ');
        if name.is_empty() || !name.chars().all(plain) || name.trim() != name {
            return Err("no name");
        }
        let admitted = self.applications.iter().any(|pattern| match pattern.find('*') {
            Some(end) => application.starts_with(&pattern[..end]),
            None => application == *pattern,
        });
        if admitted { Ok(()) } else { Err("an application of others") }
    }
}

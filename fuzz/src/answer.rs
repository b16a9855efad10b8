//! Bodies of Karbor's answers: read without failing, to ids that are safe in a path.

use karbor_admission::karbor::answer::{created_checkpoint, provider_of_plan};
use serde_json::Value;

use crate::json::Census;

/// `data` is the body of an answer.
pub fn check(data: &[u8]) {
    let checkpoint = created_checkpoint(data).map(|id| id.as_str().to_owned());
    let provider = provider_of_plan(data).map(|id| id.as_str().to_owned());
    for id in [&checkpoint, &provider].into_iter().flatten() {
        assert!(is_plain(id), "{id:?}");
    }
    let Some((document, census)) = serde_json::from_slice::<Value>(data).ok().zip(Census::of(data)) else {
        return;
    };
    // Where a list stands for an object, its items are taken by position: harmless, and no answer of Karbor's.
    let lists = document.is_array() || ["checkpoint", "plan"].iter().any(|name| document[*name].is_array());
    if !lists && census.members == Census::of_value(&document).members {
        assert_eq!(checkpoint, named(&document, "checkpoint", "id"), "the checkpoint");
        assert_eq!(provider, named(&document, "plan", "provider_id"), "the provider");
    }
}

fn named(document: &Value, outer: &str, inner: &str) -> Option<String> {
    let id = document.get(outer)?.get(inner)?.as_str()?;
    is_plain(id).then(|| id.to_owned())
}

fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
}

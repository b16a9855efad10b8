//! What the proxy reads in Karbor's answers. Pure; whatever cannot be read is `None`.

use std::borrow::Cow;

use serde::Deserialize;

use super::{CheckpointId, ProviderId, is_plain_id};

/// The id of the checkpoint in the answer to a creation.
#[must_use]
pub fn created_checkpoint(body: &[u8]) -> Option<CheckpointId> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        checkpoint: Named<'a>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    is_plain_id(&answer.checkpoint.id).then(|| CheckpointId::new(&*answer.checkpoint.id))
}

/// The provider in the answer to a question for a plan. It becomes part of a path, so it must be an id.
#[must_use]
pub fn provider_of_plan(body: &[u8]) -> Option<ProviderId> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        plan: Plan<'a>,
    }
    #[derive(Deserialize)]
    struct Plan<'a> {
        #[serde(borrow)]
        provider_id: Cow<'a, str>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    is_plain_id(&answer.plan.provider_id).then(|| ProviderId::new(&*answer.plan.provider_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_checkpoint() {
        let id = |body: &str| created_checkpoint(body.as_bytes()).map(|id| id.to_string());
        assert_eq!(id(r#"{"checkpoint": {"x": [1], "id": "a-1"}, "y": 1}"#).as_deref(), Some("a-1"));
        for body in [
            "",
            "{}",
            r#"{"checkpoint": {}}"#,
            r#"{"checkpoint": {"id": 1}}"#,
            r#"{"checkpoint": {"id": "../x"}}"#,
        ] {
            assert_eq!(id(body), None, "{body}");
        }
    }

    #[test]
    fn reads_the_provider() {
        let id = |body: &str| provider_of_plan(body.as_bytes()).map(|id| id.to_string());
        assert_eq!(id(r#"{"plan": {"provider_id": "\u0061b"}}"#).as_deref(), Some("ab"));
        for body in [
            "[]",
            r#"{"plan": null}"#,
            r#"{"plan": {"provider_id": ""}}"#,
            r#"{"plan": {"provider_id": "a/b"}}"#,
        ] {
            assert_eq!(id(body), None, "{body}");
        }
    }
}

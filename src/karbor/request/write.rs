//! Creations written anew, where Karbor cannot be sent the very bytes that were reviewed.

use serde::Serialize;

use super::{CreateRequest, ExtraInfo};

/// A flat creation as Karbor takes it: the same bytes inside `checkpoint`. Only for a body that was read
/// and found [flat](super::Form::Flat).
#[must_use]
pub fn wrap_flat(body: &[u8]) -> Vec<u8> {
    [br#"{"checkpoint":"#, body, b"}"].concat()
}

impl CreateRequest<'_> {
    /// This creation for a Karbor before 1.0, which reads the map under `extra_info` (facts, section 12).
    ///
    /// None where the body says more than was read, which is only where there were findings or the
    /// `plan_id` is not a string: then only the body itself can be sent.
    #[must_use]
    pub fn with_underscore(&self) -> Option<Vec<u8>> {
        if !self.whole {
            return None;
        }
        let checkpoint = Checkpoint { plan_id: self.plan_id.as_deref(), extra_info: &self.extra_info };
        serde_json::to_vec(&Body { checkpoint }).ok()
    }
}

#[derive(Serialize)]
struct Body<'b> {
    checkpoint: Checkpoint<'b>,
}

#[derive(Serialize)]
struct Checkpoint<'b> {
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<&'b str>,
    #[serde(skip_serializing_if = "ExtraInfo::is_empty")]
    extra_info: &'b ExtraInfo<'b>,
}

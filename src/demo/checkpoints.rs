//! What can be done with checkpoints.
//!
//! The map of a creation is accepted and dropped, as Karbor 1.x does (facts, section 1).

use std::sync::Arc;

use super::answers::{self, Fault};
use super::controller::{Act, fresh_id, known_provider};
use super::json::Json;
use super::schema::is_uuid;
use super::store::{Checkpoint, Origin, Plan, Status};

impl Act<'_> {
    pub(super) fn create(&mut self, provider: &str, document: &Json) -> Result<Json, Fault> {
        let plan = self.named_plan(document.get("checkpoint"))?;
        if plan.provider != provider {
            return Err(Fault::bad_request(
                "Invalid plan: The parameter provider_id is not the same as the value in the plan.",
            ));
        }
        let checkpoint = self.make(plan, Origin::Manual);
        Ok(Json::map([("checkpoint", answers::new_checkpoint(&checkpoint))]))
    }

    pub(super) fn list(&mut self, provider: &str) -> Result<Json, Fault> {
        let plan = self.query.and_then(|query| query.last("plan_id"));
        let ids = self.store.listed(self.project, plan);
        let page = self.page(self.store.bank, ids)?;
        known_provider(provider)?;
        let mut items = Vec::with_capacity(page.ids.len());
        for id in &page.ids {
            items.extend(self.store.checkpoint_mut(id).map(read));
        }
        Ok(self.collection("checkpoints", items, &page))
    }

    pub(super) fn show(&mut self, provider: &str, id: &str) -> Result<Json, Fault> {
        Ok(Json::map([("checkpoint", read(self.checkpoint(provider, id)?))]))
    }

    pub(super) fn reset(&mut self, provider: &str, id: &str, document: &Json) -> Result<Json, Fault> {
        let state =
            document.get("os-resetState").and_then(|reset| reset.get("state")).and_then(Json::as_text);
        let state = if state == Some("available") { Status::Available } else { Status::Error };
        let checkpoint = self.checkpoint(provider, id)?;
        if checkpoint.status == Status::Deleted {
            return Err(Fault::bad_request(format!("The checkpoint {id} can not be reset.")));
        }
        checkpoint.status = state;
        Ok(Json::map([]))
    }

    pub(super) fn delete(&mut self, provider: &str, id: &str) -> Result<Json, Fault> {
        let checkpoint = self.checkpoint(provider, id)?;
        if checkpoint.status == Status::Deleted {
            return Err(Fault::failed(format!("The checkpoint {id} can not be deleted.")));
        }
        checkpoint.status = Status::Deleted;
        Ok(Json::map([]))
    }

    /// One new checkpoint for each available one of the plan that is not itself a copy.
    pub(super) fn copy(&mut self, provider: &str, document: &Json) -> Result<Json, Fault> {
        let body = document.get("copy");
        let plan = self.named_plan(body)?;
        if plan.provider != provider {
            return Err(Fault::bad_request(
                "Invalid input received: The provider id is not the same as the value in the plan.",
            ));
        }
        let ids = self.store.listed(self.project, Some(&plan.id));
        if ids.is_empty() {
            return Err(Fault::bad_request("Invalid input received: The plan has not been protected."));
        }
        let mut pairs = Vec::new();
        for id in &ids {
            let original = self.store.checkpoint_mut(id);
            if original.is_some_and(|one| one.status == Status::Available && one.origin == Origin::Manual) {
                let copy = self.make(Arc::clone(&plan), Origin::Copy);
                let pair = [("checkpoint_protect_id", id), ("checkpoint_copy_id", &copy.id)];
                pairs.push(Json::map(pair.map(|(key, id)| (key, Json::text(id)))));
            }
        }
        let copy = Json::map([
            ("project_id", Json::text(self.project)),
            ("provider_id", Json::text(provider)),
            ("plan_id", Json::text(&plan.id)),
            ("checkpoint_id", Json::List(pairs)),
            ("parameters", body.and_then(|body| body.get("parameters")).cloned().unwrap_or(Json::Null)),
        ]);
        Ok(Json::map([("copy", copy)]))
    }

    /// The plan a body names. Unlike in a path, any text that passed the schema is looked for.
    fn named_plan(&self, body: Option<&Json>) -> Result<Arc<Plan>, Fault> {
        let id = body.and_then(|body| body.get("plan_id")).and_then(Json::as_text).unwrap_or_default();
        self.store.plan(self.project, id).cloned().ok_or_else(|| Fault::not_found("Plan", id))
    }

    fn make(&mut self, plan: Arc<Plan>, origin: Origin) -> Checkpoint {
        let status = if origin == Origin::Copy { Status::Copying } else { Status::Available };
        let created = self.request.today.to_owned();
        let checkpoint = Checkpoint { id: fresh_id(), plan, created, status, origin };
        self.made.push(checkpoint.id.clone());
        self.store.keep_checkpoint(checkpoint.clone());
        checkpoint
    }

    fn checkpoint(&mut self, provider: &str, id: &str) -> Result<&mut Checkpoint, Fault> {
        if !is_uuid(id) {
            return Err(Fault::bad_request("Invalid checkpoint id provided."));
        }
        known_provider(provider)?;
        let checkpoint = self.store.checkpoint_mut(id).ok_or_else(|| Fault::not_found("Checkpoint", id))?;
        if checkpoint.plan.project == self.project { Ok(checkpoint) } else { Err(Fault::forbidden(id)) }
    }
}

/// Shows a checkpoint. A copy is in progress until it has been seen so once.
fn read(checkpoint: &mut Checkpoint) -> Json {
    let view = answers::checkpoint(checkpoint);
    if checkpoint.status == Status::Copying {
        checkpoint.status = Status::Available;
    }
    view
}

//! What can be done with plans: as much as a client needs to have one.
//!
//! Leaves checkpoints to `checkpoints`, the cutting of lists to `pages`.

use std::sync::Arc;

use super::answers::{self, Answer, Fault, PROVIDER_ID};
use super::controller::{Act, fresh_id};
use super::json::Json;
use super::pages::Bank;
use super::schema::is_uuid;
use super::store::Plan;

/// The largest plan that is taken, in bytes of its body.
const MAX_PLAN_BYTES: usize = 16 * 1024;

impl Act<'_> {
    pub(super) fn plan(&self, id: &str) -> Result<&Arc<Plan>, Fault> {
        if !is_uuid(id) {
            return Err(Fault::bad_request("Invalid plan id provided."));
        }
        self.store.plan(self.project, id).ok_or_else(|| Fault::not_found("Plan", id))
    }

    pub(super) fn create_plan(&mut self, document: &Json) -> Result<Json, Fault> {
        if self.request.body.len() > MAX_PLAN_BYTES {
            return Err(Fault::too_large(MAX_PLAN_BYTES));
        }
        let member = |key| document.get("plan").and_then(|plan| plan.get(key)).cloned().unwrap_or(Json::Null);
        let resources = resources(&member("resources"))?;
        if member("provider_id").as_text() != Some(PROVIDER_ID) {
            return Err(Fault::bad_request("The provider could not be found."));
        }
        let plan = Plan {
            id: fresh_id(),
            project: self.project.to_owned(),
            name: member("name"),
            description: member("description"),
            resources,
            provider: PROVIDER_ID.to_owned(),
            status: Json::text("suspended"),
            parameters: member("parameters"),
        };
        let view = answers::plan(&plan);
        self.store.keep_plan(plan);
        Ok(Json::map([("plan", view)]))
    }

    pub(super) fn update_plan(&mut self, id: &str, document: &Json) -> Result<Json, Fault> {
        if self.request.body.len() > MAX_PLAN_BYTES {
            return Err(Fault::too_large(MAX_PLAN_BYTES));
        }
        self.plan(id)?;
        let member = |key| document.get("plan").and_then(|plan| plan.get(key)).cloned();
        let changed = member("resources").map(|given| resources(&given)).transpose()?;
        let Some(plan) = self.store.plan_mut(self.project, id) else { return Err(Fault::unexpected()) };
        if plan.status.as_text() == Some("started") && member("status").is_none() {
            return Err(Fault::bad_request(
                "Invalid plan: The plan can be only updated in suspended status.",
            ));
        }
        plan.resources = changed.unwrap_or_else(|| plan.resources.clone());
        for (key, place) in
            [("name", &mut plan.name), ("status", &mut plan.status), ("description", &mut plan.description)]
        {
            *place = member(key).unwrap_or_else(|| place.clone());
        }
        Ok(Json::map([("plan", answers::plan(plan))]))
    }

    pub(super) fn list_plans(&self) -> Result<Json, Fault> {
        let ids: Vec<String> = self.store.plans(self.project).map(|plan| plan.id.clone()).collect();
        let page = self.page(Bank::Paging, ids)?;
        let plans = page.ids.iter().filter_map(|id| self.store.plan(self.project, id));
        let plans = plans.map(|plan| answers::plan(plan)).collect();
        Ok(self.collection("plans", plans, &page))
    }

    pub(super) fn delete_plan(&mut self, id: &str) -> Result<Answer, Fault> {
        self.plan(id)?;
        self.store.drop_plan(self.project, id);
        Ok(Answer { body: String::new(), ..Answer::done(&Json::Null) })
    }
}

fn resources(given: &Json) -> Result<Vec<Json>, Fault> {
    let resources = match given {
        Json::List(resources) if !resources.is_empty() => resources,
        _ => {
            let text = "Invalid input received: list resources must be provided when creating a plan.";
            return Err(Fault::bad_request(text));
        }
    };
    let complete = |resource: &Json| {
        ["id", "type", "name"].iter().all(|key| resource.get(key).and_then(Json::as_text).is_some())
    };
    if resources.iter().all(complete) {
        return Ok(resources.clone());
    }
    Err(Fault::bad_request(
        "Invalid input received: Resource in list must be a dict when creating a plan.The keys of resource are \
         id,type and name.",
    ))
}

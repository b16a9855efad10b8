//! Request → answer, in Karbor's order: authentication, routing, body syntax, project, schema, the act.
//!
//! Pure but for fresh ids. Tokens are `USER:PROJECT` and nobody is an administrator, so that tenants are kept
//! apart as members are (facts, section 7). Leaves sockets, framing and the record to `exchange`.

use super::answers::{self, Answer, Fault, PROVIDER_ID};
use super::json::{self, Json, Unreadable};
use super::query::Query;
use super::routes::{Call, Place};
use super::schema::{self, Shape, first_problem, is_uuid};
use super::store::Store;

/// A request as Karbor's application sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// Path and query, as sent.
    pub(super) target: &'a str,
    /// Empty is the same as none.
    pub(super) token: &'a str,
    pub(super) content_type: &'a str,
    pub(super) accept: Option<&'a str>,
    /// What links begin with: `Host`, or what a proxy says it was.
    pub(super) host: &'a str,
    /// Empty is the same as none; a chunked body is none (facts, section 5).
    pub(super) body: &'a [u8],
    /// `YYYY-MM-DD`.
    pub(super) today: &'a str,
}

/// An answer, and the checkpoints made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) answer: Answer,
    pub(super) made: Vec<String>,
}

/// Carries out a request.
pub(super) fn carry_out(store: &mut Store, place: &Place, request: &Request<'_>) -> Outcome {
    let mut made = Vec::new();
    let answer = refuse_early(place, request).unwrap_or_else(|| match place {
        Place::At { project, call, query } => {
            let mut act = Act { store, request, project, query: query.as_ref(), made: &mut made };
            act.run(call).unwrap_or_else(Answer::from)
        }
        _ => Answer::unrouted(request.accept),
    });
    Outcome { answer, made }
}

/// The project a token speaks for; nothing without a token.
pub(super) fn token_project(token: &str) -> Option<&str> {
    let (user, project) = token.split_once(':').unwrap_or((token, ""));
    Some(if project.is_empty() { user } else { project }).filter(|project| !project.is_empty())
}

/// What is answered before a route's own business begins: by no token, by no route.
pub(super) fn refuse_early(place: &Place, request: &Request<'_>) -> Option<Answer> {
    if *place == Place::Outside {
        return Some(Answer::outside());
    }
    if token_project(request.token).is_none() {
        let path = request.target.split('?').next().unwrap_or_default();
        return Some(Answer::offered(
            "admin:admin".to_owned(),
            format!("http://{}{path}/admin", request.host),
        ));
    }
    match place {
        Place::Outside | Place::At { .. } => None,
        Place::Nowhere => Some(Answer::unrouted(request.accept)),
        Place::Broken => Some(Fault::unexpected().into()),
    }
}

/// One act of a controller; `plans` and `checkpoints` hold what it can be.
pub(super) struct Act<'a> {
    pub(super) store: &'a mut Store,
    pub(super) request: &'a Request<'a>,
    pub(super) project: &'a str,
    pub(super) query: Option<&'a Query>,
    pub(super) made: &'a mut Vec<String>,
}

impl Act<'_> {
    fn run(&mut self, call: &Call) -> Result<Answer, Fault> {
        let document = self.document()?;
        if token_project(self.request.token) != Some(self.project) {
            return Err(Fault::malformed_url());
        }
        if document.is_some() && !call.takes_document() {
            return Err(Fault::unwanted_body());
        }
        let wanted = |shape: &Shape| {
            let document = document.as_ref().ok_or_else(Fault::unexpected)?;
            // A member of the schema that is no schema: Karbor's validator trips over it (facts, row I47).
            if document.get("type").is_some() {
                return Err(Fault::unexpected());
            }
            first_problem(document, shape).map_or(Ok(document), |problem| Err(Fault::bad_request(problem)))
        };
        let document = match call {
            Call::ListProviders => Json::map([("providers", Json::List(vec![answers::provider()]))]),
            Call::ShowProvider { id } => Json::map([("provider", show_provider(id)?)]),
            Call::ShowInstance { kind, id } => {
                let unknown =
                    || Fault::bad_request("Invalid input received: Invalid protectable type provided.");
                Json::map([("instance", answers::instance(kind, id).ok_or_else(unknown)?)])
            }
            Call::CreatePlan => self.create_plan(wanted(&schema::NEW_PLAN)?)?,
            Call::ListPlans => self.list_plans()?,
            Call::ShowPlan { id } => Json::map([("plan", answers::plan(self.plan(id)?))]),
            Call::UpdatePlan { id } => self.update_plan(id, wanted(&schema::PLAN_CHANGE)?)?,
            Call::DeletePlan { id } => return self.delete_plan(id),
            Call::CreateCheckpoint { provider } => self.create(provider, wanted(&schema::CHECKPOINT)?)?,
            Call::ListCheckpoints { provider } => self.list(provider)?,
            Call::ShowCheckpoint { provider, id } => self.show(provider, id)?,
            Call::ResetCheckpoint { provider, id } => self.reset(provider, id, wanted(&schema::RESET)?)?,
            Call::DeleteCheckpoint { provider, id } => self.delete(provider, id)?,
            Call::CopyCheckpoints { provider } => self.copy(provider, wanted(&schema::COPY)?)?,
            Call::PutBlob | Call::GetBlob => return Ok(Answer::unrouted(self.request.accept)),
        };
        Ok(Answer::done(&document))
    }

    /// The body, if it is read as JSON at all: the media type must be exact (facts, section 2).
    fn document(&self) -> Result<Option<Json>, Fault> {
        let media_type = self.request.content_type.split(';').next();
        if self.request.body.is_empty() || media_type != Some("application/json") {
            return Ok(None);
        }
        match json::parse(self.request.body) {
            Ok(document) => Ok(Some(document)),
            Err(Unreadable::Malformed) => Err(Fault::malformed_body()),
            Err(Unreadable::TooDeep) => Err(Fault::unexpected()),
        }
    }
}

/// A version 4 UUID; unique, not secret.
pub(super) fn fresh_id() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{bits:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn show_provider(id: &str) -> Result<Json, Fault> {
    if !is_uuid(id) {
        return Err(Fault::bad_request("Invalid provider id provided."));
    }
    known_provider(id)?;
    Ok(answers::provider())
}

/// Refuses every provider but the one.
pub(super) fn known_provider(id: &str) -> Result<(), Fault> {
    if id == PROVIDER_ID { Ok(()) } else { Err(Fault::not_found("Provider", id)) }
}

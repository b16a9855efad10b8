//! `GET {prefix}/v1/{tenant}/extra-info-limits`: what this tenant may store, and how much of it is used.
//!
//! Only for a caller whose token Karbor accepts for that project; anybody else gets Karbor's own word. A limit
//! that is null is none.

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::peer::Peer;
use super::proof::{Proof, prove};
use super::{AnswerBody, Proxy, forward, request_id, respond};
use crate::karbor::TenantId;
use crate::karbor::ascii;
use crate::karbor::target::{Target, decode_segment};
use crate::ledger::Holding;
use crate::policy::{Policy, Quota, Rule, Standing, TenantRules};
use crate::telemetry::exchange::Exchange;
use crate::telemetry::metrics::LedgerOperation;

/// Answers what holds for the tenant, a canonical segment.
pub(super) async fn limits(
    proxy: &Proxy,
    mut exchange: Box<Exchange>,
    peer: &Peer,
    parts: Parts,
    target: Target,
    tenant: &str,
) -> Response<AnswerBody> {
    let caller = Caller::of(&parts);
    let request = forward::head(proxy, peer, parts, target);
    exchange.hands_over();
    match prove(proxy, &request, tenant).await {
        Ok(Proof::Accepted) => exchange.takes_back(),
        Ok(Proof::Answer(answer)) => return forward::stream(proxy, exchange, *answer),
        Err(failure) => return caller.fail(proxy, exchange, &failure),
    }
    let tenant = TenantId::new(decode_segment(tenant));
    let policy = proxy.policy.clone();
    let standings = match &proxy.ledger {
        None => None,
        Some(ledger) => proxy
            .ask(LedgerOperation::Usage, ledger.usage(&tenant, &policy.rules_of(tenant.as_str()).quotas))
            .await
            .ok(),
    };
    let unread = proxy.ledger.is_some() && standings.is_none();
    let mut body = Vec::with_capacity(2048);
    // Cannot fail: it is JSON already.
    let _ = ascii::write(&mut body, &document(&tenant, &policy, standings.as_deref()));
    let mut answer = respond::document(exchange, body, request_id::fresh());
    respond::add_warning(&mut answer, unread.then_some(respond::UNREAD_USAGE));
    answer
}

fn document(tenant: &TenantId, policy: &Arc<Policy>, standings: Option<&[Holding]>) -> Value {
    let rules = policy.rules_of(tenant.as_str());
    let enforcement: Map<String, Value> =
        Rule::ALL.iter().map(|&rule| (rule.code().into(), rules.stances.of(rule).word().into())).collect();
    let keys: Map<String, Value> = policy
        .karbor_keys()
        .iter()
        .map(|(key, values)| (key.to_string(), if values.is_empty() { Value::Null } else { json!(values) }))
        .collect();
    json!({
        "extra_info_limits": {
            "project_id": tenant.as_str(),
            "limits": {
                "entries": rules.limits.entries.number(),
                "key_bytes": rules.limits.key_bytes.number(),
                "value_bytes": rules.limits.value_bytes.number(),
                "total_bytes": rules.limits.total_bytes.number(),
                "body_bytes": rules.limits.body_bytes,
            },
            "quotas": quotas(rules, standings),
            "applications": rules.applications.patterns().collect::<Vec<_>>(),
            "recognised_keys": keys,
            "bridged_keys": policy.bridged_keys(),
            "enforcement": enforcement,
        }
    })
}

/// Each quota with what is used of it: of the tenant as a whole, and of the applications that are named or have
/// something. Usage is null where there is no ledger, or where it does not answer.
fn quotas(rules: &TenantRules, standings: Option<&[Holding]>) -> Value {
    let used = |application: Option<&str>| {
        standings.map(|standings| {
            let own = standings.iter().find(|holding| holding.application.as_deref() == application);
            own.map_or_else(Standing::default, |holding| holding.standing)
        })
    };
    let mut names: Vec<&str> = rules.quotas.applications.keys().map(AsRef::as_ref).collect();
    let present = standings.into_iter().flatten().filter_map(|holding| holding.application.as_deref());
    names.extend(present);
    names.sort_unstable();
    names.dedup();
    let applications: Map<String, Value> = names
        .into_iter()
        .map(|name| (name.to_owned(), quota(rules.quotas.of(Some(name)), used(Some(name)))))
        .collect();
    json!({
        "project": quota(&rules.quotas.whole, used(None)),
        "each_application": quota(&rules.quotas.each, None),
        "applications": applications,
    })
}

fn quota(quota: &Quota, standing: Option<Standing>) -> Value {
    let usage = standing.map(|standing| standing.usage);
    let creations = quota.creations.map(|rate| {
        json!({
            "allowed": rate.count,
            "window_seconds": rate.window.as_secs(),
            "used": standing.map(|standing| standing.recent.count),
        })
    });
    json!({
        "checkpoints": {
            "allowed": quota.checkpoints.number(),
            "used": usage.map(|usage| usage.checkpoints),
        },
        "stored_bytes": {
            "allowed": quota.stored_bytes.number(),
            "used": usage.map(|usage| usage.bytes),
        },
        "stored_entries": {
            "allowed": quota.stored_entries.number(),
            "used": usage.map(|usage| usage.entries),
        },
        "creations": creations,
    })
}

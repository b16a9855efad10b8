//! What clients do: what tenants use of their quotas, what was turned away, and why.

use serde_json::Value;

use super::markup::Markup;
use super::plot::{bar, columns, percent};
use super::trend::{MINUTES, Series};
use super::{QuotaUsage, Rejections, Status, TenantUsage, parts};

/// The most rules of one request that the page names; the JSON has all.
const MOST_REASONS: usize = 4;

pub(super) fn usage(page: &mut Markup, status: &Status) {
    let usage = &status.report.usage;
    page.raw(
        "<section aria-labelledby=\"usage\">\n<h2 id=\"usage\">Usage by tenant</h2>\n<p class=\"soft\">",
    );
    match usage.at {
        _ if status.report.ledger.is_none() => page.raw("Without a ledger nothing is counted."),
        None => page.raw("Not known yet."),
        Some(at) => {
            page.raw(if usage.is_of_all {
                "The fullest first, as it was "
            } else {
                "The fullest of those looked at first, as it was "
            });
            parts::moment(page, at, status.time);
            page.raw(".")
        }
    };
    page.raw("</p>\n");
    if !usage.tenants.is_empty() {
        page.raw("<ol class=\"cards\">\n").each(&usage.tenants, tenant).raw("</ol>\n");
    }
    if usage.not_shown > 0 {
        page.raw("<p>").number(usage.not_shown).raw(" more tenants are not shown: ");
        page.raw("<code>karbor-admission usage</code> lists all.</p>\n");
    }
    page.raw("</section>\n");
}

fn tenant(page: &mut Markup, usage: &TenantUsage) {
    page.raw("<li class=\"tenant\">\n<h3 class=\"code\">")
        .text(&usage.tenant)
        .raw("</h3>\n<dl class=\"quotas\">\n");
    page.each(&usage.quotas, quota).raw("</dl>\n</li>\n");
}

fn quota(page: &mut Markup, usage: &QuotaUsage) {
    let amount = |page: &mut Markup, amount| match usage.quota {
        "stored_bytes" => parts::size(page, amount),
        _ => _ = page.number(amount),
    };
    page.raw("<div><dt>").raw(match usage.quota {
        "checkpoints" => "Checkpoints",
        "stored_bytes" => "Bytes",
        "stored_entries" => "Entries",
        _ => "Creations",
    });
    if let Some(window) = usage.window_seconds {
        page.raw(" within ");
        parts::duration(page, window);
    }
    page.raw("</dt><dd>");
    amount(page, usage.used);
    if let Some(allowed) = usage.allowed {
        page.raw(" of ");
        amount(page, allowed);
        let share = percent(usage.used, allowed);
        page.raw(", ").number(share).raw("\u{a0}%");
        bar(page, share);
    }
    page.raw("</dd></div>\n");
}

pub(super) fn rejections(page: &mut Markup, rejections: &Rejections, uptime_seconds: u64) {
    page.raw("<section aria-labelledby=\"rejections\">\n");
    page.raw("<h2 id=\"rejections\">Rejections in the last hour</h2>\n");
    if uptime_seconds < MINUTES as u64 * 60 {
        page.raw("<p class=\"soft\">The process has been running for ");
        parts::duration(page, uptime_seconds);
        page.raw(".</p>\n");
    }
    if rejections.series.is_empty() {
        page.raw("<p>None.</p>\n</section>\n");
        return;
    }
    page.raw("<table>\n<thead><tr><th scope=\"col\">Rule or refusal</th>");
    page.raw("<th scope=\"col\" class=\"count\">Count</th>");
    page.raw("<th scope=\"col\">By minute, now to the right</th></tr></thead>\n<tbody>\n");
    page.each(&rejections.series, series).raw("</tbody>\n</table>\n</section>\n");
}

fn series(page: &mut Markup, series: &Series) {
    page.raw("<tr><th scope=\"row\"><span class=\"code\">").raw(series.reason).raw("</span> ");
    outcome(page, series.outcome);
    page.raw("</th><td class=\"count\">").number(series.count).raw("</td><td>");
    columns(page, &series.by_minute);
    page.raw("</td></tr>\n");
}

/// What became of a request, in the words of the metrics or of the audit log.
fn outcome(page: &mut Markup, word: &str) {
    page.raw(match word {
        "enforced" | "denied" => "<span class=\"bad\">denied</span>",
        "refused" => "<span class=\"bad\">refused</span>",
        "warned" => "<span class=\"warn\">warned</span>",
        "observed" => "<span class=\"soft\">observed</span>",
        _ => "<span class=\"soft\">would have been denied</span>",
    });
}

pub(super) fn latest(page: &mut Markup, lines: &[Value]) {
    page.raw("<section aria-labelledby=\"latest\">\n<h2 id=\"latest\">Latest rejections</h2>\n");
    if lines.is_empty() {
        page.raw("<p>None since the start.</p>\n</section>\n");
        return;
    }
    page.raw("<ol class=\"cards\">\n").each(lines, line).raw("</ol>\n</section>\n");
}

/// One audit line; `docs/audit.md` has its members.
fn line(page: &mut Markup, line: &Value) {
    page.raw("<li>\n<p>");
    outcome(page, word(line, "verdict"));
    page.raw(" <time class=\"soft\">").text(word(line, "time")).raw("</time></p>\n<p>");
    if let Some(refusal) = line.get("refusal").and_then(Value::as_str) {
        page.raw("<span class=\"code\">").text(refusal).raw("</span>");
    }
    let violations = line.get("violations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, violation) in violations.iter().take(MOST_REASONS).enumerate() {
        page.raw(if at > 0 { "; " } else { "" });
        reason(page, violation);
    }
    let more = violations.len().saturating_sub(MOST_REASONS) as u64;
    let more = more + line.get("violations_left_out").and_then(Value::as_u64).unwrap_or_default();
    if more > 0 {
        page.raw("; and ").number(more).raw(" more");
    }
    page.raw("</p>\n<p class=\"soft\">");
    for (name, member) in [
        ("tenant", "tenant"),
        ("from", "peer"),
        ("route", "route"),
        ("method", "method"),
        ("request", "request_id"),
    ] {
        if let Some(text) = line.get(member).and_then(Value::as_str) {
            page.raw(name).raw(" <span class=\"code\">").text(text).raw("</span> ");
        }
    }
    if let Some(status) = line.get("status").and_then(Value::as_u64) {
        page.raw("status ").number(status);
    }
    page.raw("</p>\n</li>\n");
}

fn reason(page: &mut Markup, violation: &Value) {
    page.raw("<span class=\"code\">").text(word(violation, "rule")).raw("</span>");
    let of_key = if violation.get("quota").is_some() { " of application " } else { " by key " };
    for (before, member) in [(" of ", "quota"), (of_key, "key"), (" by the key of digest ", "key_digest")] {
        if let Some(text) = violation.get(member).and_then(Value::as_str) {
            page.raw(before).raw("<span class=\"code\">").text(text).raw("</span>");
        }
    }
    let number = |member| violation.get(member).and_then(Value::as_u64);
    if let Some(measured) = number("measured") {
        page.raw(": ").number(measured);
        if let Some(allowed) = number("allowed") {
            page.raw(", ").number(allowed).raw(" allowed");
        }
    }
}

fn word<'l>(line: &'l Value, member: &str) -> &'l str {
    line.get(member).and_then(Value::as_str).unwrap_or_default()
}

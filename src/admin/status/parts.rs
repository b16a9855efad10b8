//! What the process is made of: ways to Karbor, the configuration, the ledger, listeners.

use std::time::SystemTime;

use super::markup::Markup;
use super::{Attempt, LedgerState, Listening, Reloading, Upstream, in_words, since};
use crate::telemetry::metrics::Endpoint;

pub(super) fn upstream(page: &mut Markup, upstream: &Upstream) {
    page.raw("<section aria-labelledby=\"karbor\">\n<h2 id=\"karbor\">Karbor</h2>\n");
    page.raw("<table class=\"ways\">\n<thead><tr><th scope=\"col\">Endpoint</th><th scope=\"col\">State</th></tr></thead>\n");
    page.raw("<tbody>\n");
    page.each(&upstream.endpoints, |page, endpoint| {
        page.raw("<tr><th scope=\"row\" class=\"code\">").text(&endpoint.endpoint).raw("</th><td>");
        health(page, endpoint);
        page.raw("</td></tr>\n");
    });
    page.raw("</tbody>\n</table>\n");
    page.raw("<p class=\"soft\">Each worker judges each address for itself.</p>\n");
    if upstream.waiting_requests > 0 {
        page.raw("<p class=\"warn\">Requests that wait for a place there: ");
        page.number(upstream.waiting_requests).raw("</p>\n");
    }
    page.raw("</section>\n");
}

fn health(page: &mut Markup, endpoint: &Endpoint) {
    let all = endpoint.up + endpoint.ejected;
    match (endpoint.up, endpoint.ejected) {
        (0, 0) => page.raw("<span class=\"warn\">No address known</span>"),
        (0, _) => page.raw("<span class=\"bad\">Left alone</span>"),
        (_, 0) => page.raw("<span class=\"good\">Up</span>"),
        (up, _) => {
            page.raw("<span class=\"warn\">In part left alone</span>, ");
            page.number(up).raw(" of ").number(all).raw(" up")
        }
    };
    if endpoint.ejections > 0 {
        page.raw(" <span class=\"soft\">(ejections: ").number(endpoint.ejections).raw(")</span>");
    }
}

pub(super) fn reload(page: &mut Markup, reload: &Reloading, now: SystemTime) {
    page.raw("<section aria-labelledby=\"configuration\">\n<h2 id=\"configuration\">Configuration</h2>\n<p>");
    if reload.successful {
        page.raw("<span class=\"good\">In force as it stands in the files</span>, read ");
    } else {
        page.raw("<span class=\"bad\">The files have a problem</span>: in force is what was read ");
    }
    moment(page, reload.succeeded_at, now);
    page.raw(".</p>\n");
    if let Some(last) = &reload.last {
        attempt(page, last, now);
    }
    page.raw("</section>\n");
}

fn attempt(page: &mut Markup, last: &Attempt, now: SystemTime) {
    page.raw("<p>Last reload, ");
    moment(page, last.at, now);
    page.raw(": ").raw(match last.outcome {
        "applied" => "applied",
        "unchanged" => "nothing differed",
        "needs-restart" => "nothing changed, as this needs a restart",
        _ => "nothing changed, as this is wrong",
    });
    page.raw(".</p>\n");
    if !last.words.is_empty() {
        page.raw("<ul class=\"plain\">\n");
        page.each(&last.words, |page, words| _ = page.raw("<li class=\"lines\">").text(words).raw("</li>\n"));
        page.raw("</ul>\n");
    }
    if last.left_out > 0 {
        page.raw("<p>And ").number(last.left_out as u64).raw(" more: see the log.</p>\n");
    }
}

pub(super) fn ledger(page: &mut Markup, ledger: Option<&LedgerState>) {
    page.raw("<section aria-labelledby=\"ledger\">\n<h2 id=\"ledger\">Ledger</h2>\n<p>");
    match ledger {
        None => page.raw("Off: maps are judged and not kept, quotas do nothing."),
        Some(ledger) => {
            page.raw(if ledger.up {
                "<span class=\"good\">Within reach</span>, "
            } else {
                "<span class=\"bad\">Out of reach</span>, "
            });
            page.raw("<span class=\"code\">").text(&ledger.place).raw("</span>");
            if let Some(bytes) = ledger.size_bytes {
                page.raw(", ");
                size(page, bytes);
            }
            page.raw(".")
        }
    };
    page.raw("</p>\n</section>\n");
}

pub(super) fn listeners(page: &mut Markup, listeners: &[Listening]) {
    page.raw("<section aria-labelledby=\"listeners\">\n<h2 id=\"listeners\">Listeners</h2>\n");
    page.raw("<table>\n<thead><tr><th scope=\"col\">Address</th><th scope=\"col\">For</th>");
    page.raw("<th scope=\"col\">TLS</th></tr></thead>\n<tbody>\n");
    page.each(listeners, |page, listening| {
        page.raw("<tr><th scope=\"row\" class=\"code\">").text(&listening.address);
        page.raw("</th><td>").raw(listening.side).raw("</td><td>");
        page.raw(if listening.tls { "yes" } else { "no" }).raw("</td></tr>\n");
    });
    page.raw("</tbody>\n</table>\n</section>\n");
}

/// When something was, and how long ago.
pub(super) fn moment(page: &mut Markup, then: SystemTime, now: SystemTime) {
    duration(page, since(then, now).as_secs());
    page.raw(" ago <span class=\"soft\">(<time>").text(&in_words(then)).raw("</time>)</span>");
}

/// So many seconds, in the two largest units that say something.
pub(super) fn duration(page: &mut Markup, seconds: u64) {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => page.number(seconds).raw(" s"),
        (0, 0, _) => page.number(minutes).raw(" min"),
        (0, _, 0) => page.number(hours).raw(" h"),
        (0, ..) => page.number(hours).raw(" h ").number(minutes).raw(" min"),
        (_, 0, _) => page.number(days).raw(" d"),
        _ => page.number(days).raw(" d ").number(hours).raw(" h"),
    };
}

/// So many bytes, with one decimal of the largest unit that has a whole one.
pub(super) fn size(page: &mut Markup, bytes: u64) {
    let units = [(30, "\u{a0}GiB"), (20, "\u{a0}MiB"), (10, "\u{a0}KiB")];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => {
            page.number(bytes >> bits).raw(".");
            page.number((bytes >> (bits - 10) & 1023) * 10 / 1024).raw(unit)
        }
        None => page.number(bytes).raw("\u{a0}B"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl Fn(&mut Markup), expected: &str) {
        let mut page = Markup::default();
        write(&mut page);
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn durations() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d"),
            (400 * 86_400 + 7200, "400 d 2 h"),
        ] {
            check(|page| duration(page, seconds), expected);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            check(|page| size(page, bytes), &expected.replace(' ', "\u{a0}"));
        }
    }
}

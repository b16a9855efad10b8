//! The page and the JSON of made-up states, hostile ones among them.

use serde_json::json;

use super::super::status::prefers_json;
use super::*;

/// What a client, a tenant or an operator's file could hold that must stay text.
const HOSTILE: &str = "\"'><script>alert(1)</script><svg onload=x>&amp;\u{202e}\0\r</style><!--";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// Everything that is a text of others is this one.
fn report(text: &str) -> Report {
    let quota = |quota, used, allowed, window_seconds| QuotaUsage { quota, used, allowed, window_seconds };
    Report {
        started_at: at(0),
        workers: 2,
        listeners: vec![
            Listening { side: "clients", address: text.to_owned(), tls: true },
            Listening { side: "admin", address: text.to_owned(), tls: false },
        ],
        policy: text.to_owned(),
        reload: Reloading {
            successful: false,
            succeeded_at: at(0),
            last: Some(Attempt { at: at(50), outcome: "invalid", words: vec![text.to_owned()], left_out: 3 }),
        },
        ledger: Some(LedgerState { place: text.to_owned(), up: true, size_bytes: Some(4096) }),
        usage: UsageReport {
            at: Some(at(90)),
            tenants: vec![TenantUsage {
                tenant: text.to_owned(),
                quotas: vec![
                    quota("checkpoints", 9, Some(10), None),
                    quota("stored_bytes", 2048, None, None),
                    quota("creations", 5, Some(5), Some(3600)),
                ],
            }],
            not_shown: 7,
            is_of_all: false,
        },
        latest_rejections: vec![
            json!({
                "v": 1, "time": text, "request_id": text, "peer": text, "tenant": text, "route": text,
                "method": text, "verdict": "denied", "status": 400,
                "violations": [
                    {"rule": text, "enforcement": text, "key": text, "measured": 9, "allowed": 8},
                    {"rule": text, "quota": text, "key": text},
                    {"rule": text, "key_digest": text},
                ],
                "violations_left_out": 4,
            }),
            json!({"verdict": "refused", "refusal": text, "time": text}),
        ],
    }
}

fn status(text: &str) -> Status {
    let mut trend = Trend::default();
    let tally = |reason, outcome, count| Tally { reason, outcome, count };
    trend.close(&[tally("malformed-key", "enforced", 4), tally("chunk", "refused", 0)]);
    let numbers = Numbers {
        reasons: vec![text.to_owned()],
        glance: Glance {
            connections: 3,
            requests_in_flight: 2,
            waiting_for_upstream: 1,
            endpoints: vec![
                Endpoint { endpoint: text.to_owned(), up: 1, ejected: 1, ejections: 5 },
                Endpoint { endpoint: text.to_owned(), up: 0, ejected: 2, ejections: 1 },
                Endpoint { endpoint: text.to_owned(), up: 0, ejected: 0, ejections: 0 },
            ],
        },
        tallies: vec![tally("malformed-key", "enforced", 6), tally("chunk", "refused", 1)],
        trend: &trend,
    };
    Status::of(report(text), numbers, at(100))
}

/// Everything between `<` and `>`, in order.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect()
}

#[test]
fn no_text_of_others_changes_the_page() {
    let (plain, hostile) = (status("plain").to_html(None), status(HOSTILE).to_html(None));
    assert!(plain.contains("plain"));
    assert_eq!(tags(&plain), tags(&hostile));
    assert!(!hostile.contains('\u{202e}') && !hostile.contains('\0') && !hostile.contains('\r'));
    assert!(hostile.contains("&lt;script&gt;alert(1)"));
}

/// No script, no style but the one that is allowed, nothing from elsewhere.
#[test]
fn the_page_holds_nothing_that_runs() {
    let page = status(HOSTILE).to_html(Some(10));
    for tag in tags(&page) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        assert!(!["script", "iframe", "object", "img", "link", "form", "base"].contains(&name), "{tag}");
        for attribute in [" style=", " on", " src=", "javascript:", "http://", "https://"] {
            assert!(!tag.contains(attribute), "{tag}");
        }
    }
    assert_eq!(page.matches("<style>").count(), 1);
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"10\">"));
    assert!(!status("").to_html(None).contains("http-equiv"));
}

#[test]
fn the_page_says_everything() {
    let page = status("what others say").to_html(None);
    for words in [
        "Not ready",
        "1 min",
        "In part left alone",
        "No address known",
        "1 of 2 up",
        "The files have a problem",
        "nothing changed, as this is wrong",
        "And 3 more",
        "Within reach",
        "4.0\u{a0}KiB",
        "9 of 10, 90\u{a0}%",
        "2.0\u{a0}KiB",
        "Creations within 1 h<",
        "7 more tenants are not shown",
        "malformed-key",
        "by key",
        ": 9, 8 allowed",
        "of application",
        "and 4 more",
        "wait for a place there: 1<",
    ] {
        assert!(page.contains(words), "no {words:?} in {page}");
    }
}

#[test]
fn the_json_has_these_names() {
    let status: Value = serde_json::from_str(&status(HOSTILE).to_json()).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&status),
        "commit connections latest_rejections ledger listeners policy ready rejections reload \
         requests_in_flight started_at time upstream uptime_seconds usage v version waiting_for workers"
    );
    assert_eq!(names(&status["upstream"]), "endpoints waiting_requests");
    assert_eq!(names(&status["upstream"]["endpoints"][0]), "ejected ejections endpoint up");
    assert_eq!(names(&status["reload"]), "last succeeded_at successful");
    assert_eq!(names(&status["reload"]["last"]), "at left_out outcome words");
    assert_eq!(names(&status["ledger"]), "place size_bytes up");
    assert_eq!(names(&status["usage"]), "at is_of_all not_shown tenants");
    assert_eq!(names(&status["usage"]["tenants"][0]["quotas"][0]), "allowed quota used window_seconds");
    assert_eq!(names(&status["rejections"]), "minutes series");
    let series = &status["rejections"]["series"][0];
    assert_eq!(names(series), "by_minute count outcome reason");
    assert_eq!((&series["count"], series["by_minute"].as_array().unwrap().len()), (&json!(6), 60));
    assert_eq!(status["usage"]["tenants"][0]["tenant"], HOSTILE);
    assert_eq!(status["started_at"], "2023-11-14T22:13:20Z");
    assert_eq!(status["uptime_seconds"], 100);
}

/// Every member but those of audit lines, which have a page of their own.
#[test]
fn the_documentation_has_every_name() {
    fn names(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    into.push(name.clone());
                    if name != "latest_rejections" {
                        names(value, into);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| names(item, into)),
            _ => {}
        }
    }
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin.md")).unwrap();
    let (_, table) = documented.split_once("\n| member | meaning |\n").unwrap();
    let mut all = Vec::new();
    names(&serde_json::from_str(&status("").to_json()).unwrap(), &mut all);
    assert!(all.len() > 50, "{all:?}");
    for name in all {
        let found = [format!("`{name}`"), format!("`{name}[]`")].iter().any(|name| table.contains(name));
        assert!(found, "{name} is not documented");
    }
}

#[test]
fn json_goes_to_who_would_rather_have_it() {
    for (accept, json) in [
        (&[][..], false),
        (&[""], false),
        (&["*/*"], false),
        (&["application/*"], false),
        (&["application/json"], true),
        (&["Application/JSON; charset=utf-8"], true),
        (&["application/json;q=0"], false),
        (&["application/json;q=x"], false),
        (&["text/html", "application/json"], false),
        (&["text/html;q=0.5, application/json;q=0.9"], true),
        (&["text/html,application/xhtml+xml,*/*;q=0.8"], false),
        (&["application/json, */*"], true),
        (&["application/jsonp"], false),
    ] {
        assert_eq!(prefers_json(accept.iter().copied()), json, "{accept:?}");
    }
}

//! What `/status` shows: the page and the JSON say the same, and no text of others is more than text.

use serde_json::Value;

use crate::support::{
    Client, LedgerFolder, PROJECT, Page, Reply, Request, Stage, TestApp, body_of, checkpoints, eventually,
    refusing, stage,
};

/// A page of the admin side, asked for in that form.
#[track_caller]
fn asked(app: &TestApp, path: &str, accept: &str) -> Reply {
    Client::to(app.admin).ask(&Request::new("GET", path).with("Host", "localhost").field("Accept", accept))
}

#[track_caller]
fn json(app: &TestApp) -> Value {
    let reply = asked(app, "/status", "application/json");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.fields.one("content-type"), Some("application/json"));
    reply.json()
}

#[track_caller]
fn page(app: &TestApp) -> Page {
    let reply = asked(app, "/status", "text/html");
    assert_eq!(reply.status, 200);
    Page::read(&reply.text())
}

/// Waits for what comes a moment after the answer of the request that it is about.
#[track_caller]
fn until(app: &TestApp, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || holds(&json(app)));
    json(app)
}

#[test]
fn says_what_runs_and_where() {
    let stage = stage("");
    let status = json(&stage.app);
    assert_eq!((&status["v"], &status["ready"]), (&1.into(), &true.into()));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["workers"], 1);
    let listeners = status["listeners"].as_array().unwrap();
    let listener = |at: usize, side: &str, address: String| {
        assert_eq!((&listeners[at]["side"], &listeners[at]["address"]), (&side.into(), &address.into()));
        assert_eq!(listeners[at]["tls"], false);
    };
    listener(0, "clients", stage.app.address.to_string());
    listener(1, "admin", stage.app.admin.to_string());
    assert_eq!(status["ledger"], Value::Null);
    assert_eq!(status["reload"]["successful"], true);
    assert_eq!(status["rejections"]["series"].as_array().unwrap().len(), 0);
    let page = page(&stage.app);
    for words in
        ["Ready", stage.app.address.to_string().as_str(), "Off: maps are judged", "None since the start"]
    {
        page.check_says(words);
    }
    let revision = status["policy"].as_str().unwrap();
    page.check_says(revision);
    assert_eq!(stage.app.metrics().sum("policy_info", &[("revision", revision)]), 1.0);
}

#[test]
fn the_form_is_as_the_reader_wants_it() {
    let stage = stage("");
    for (path, accept, form) in [
        ("/status", "*/*", "text/html; charset=utf-8"),
        ("/status?refresh=5", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("/status", "application/json", "application/json"),
        ("/", "*/*", "text/html; charset=utf-8"),
    ] {
        let reply = asked(&stage.app, path, accept);
        assert_eq!(reply.fields.one("content-type"), Some(form), "{path} {accept}");
        assert_eq!(reply.fields.one("cache-control"), Some("no-store"));
        assert_eq!(reply.fields.one("x-content-type-options"), Some("nosniff"));
        if form.starts_with("text/html") {
            let policy = reply.fields.one("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none';"), "{policy}");
            assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
            Page::read(&reply.text());
        }
    }
    let refreshed = asked(&stage.app, "/status?refresh=5", "*/*").text();
    assert!(refreshed.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
}

/// Denies a request for its key, one for its method on what is read-only, refuses one, and lets one pass.
fn traffic(stage: &Stage) {
    stage.ask(&stage.creation(r#"{"ticket": "", "x-a--b": ""}"#)).own_fault(400);
    stage.ask(&Request::new("DELETE", &format!("{}/c/extra-info", checkpoints(PROJECT)))).own_fault(403);
    stage.ask(&Request::new("GET", "/v1/p%2f")).own_fault(400);
    assert_eq!(stage.ask(&stage.creation("null")).status, 200);
}

#[test]
fn counts_rejections_by_the_minute_and_shows_the_latest() {
    let stage = stage("");
    traffic(&stage);
    stage.ask(&stage.creation(r#"{"ticket": ""}"#)).own_fault(400);
    let status = until(&stage.app, "the latest is there", |status| {
        status["latest_rejections"].as_array().unwrap().len() == 4
    });
    let series: Vec<_> = status["rejections"]["series"].as_array().unwrap().iter().collect();
    let words = |series: &Value| format!("{} {} {}", series["reason"], series["outcome"], series["count"]);
    let mut told: Vec<String> = series.iter().map(|series| words(series).replace('"', "")).collect();
    told.sort();
    assert_eq!(told, ["malformed-key enforced 2", "read-only enforced 1", "target-slash refused 1"]);
    assert_eq!(told.len(), series.len());
    for series in series {
        let minutes = series["by_minute"].as_array().unwrap();
        assert_eq!(minutes.len(), 60);
        let sum: u64 = minutes.iter().map(|minute| minute.as_u64().unwrap()).sum();
        assert_eq!(series["count"], sum);
    }
    page(&stage.app).check_says("malformed-key");
    // They are the audit lines themselves, less the one that was admitted.
    let mut latest = status["latest_rejections"].as_array().unwrap().clone();
    latest.reverse();
    let mut lines = stage.end();
    lines.retain(|line| line["verdict"] != "admitted");
    assert_eq!(latest, lines);
}

#[test]
fn shows_the_latest_without_an_audit_log_too() {
    let stage =
        stage("[audit]\nfile = \"\"\nkey_names = \"hashed\"\n[policy.rules]\nmalformed-key = \"observe\"");
    assert_eq!(stage.ask(&stage.creation(r#"{"ticket": ""}"#)).status, 200);
    assert_eq!(stage.ask(&stage.creation("null")).status, 200);
    let status = until(&stage.app, "the latest is there", |status| {
        status["latest_rejections"].as_array().unwrap().len() == 1
    });
    let line = &status["latest_rejections"][0];
    assert_eq!(line["verdict"], "would-have-been-denied");
    assert!(line["violations"][0]["key_digest"].is_string() && line["violations"][0]["key"].is_null());
    assert!(!page(&stage.app).text.contains("ticket"));
}

#[test]
fn says_who_of_karbor_is_left_alone() {
    let dead = refusing();
    let up = stage("");
    let app = TestApp::before_all(&[up.karbor.addr(), dead], "");
    let of = |status: &Value, address: std::net::SocketAddr| {
        let endpoints = status["upstream"]["endpoints"].as_array().unwrap().clone();
        endpoints.into_iter().find(|endpoint| endpoint["endpoint"] == format!("http://{address}")).unwrap()
    };
    let gone = |status: &Value| of(status, dead)["ejected"] == 1;
    eventually("it is left alone", || {
        app.client().ask(&Request::new("GET", &format!("/v1/{PROJECT}/plans")));
        gone(&json(&app))
    });
    let status = json(&app);
    assert_eq!(of(&status, dead)["up"], 0);
    assert_eq!(
        (&of(&status, up.karbor.addr())["up"], &of(&status, up.karbor.addr())["ejected"]),
        (&1.into(), &0.into())
    );
    page(&app).check_says("Left alone");
}

#[test]
fn says_what_a_reload_came_to() {
    let stage = stage("");
    let app = TestApp::of_file(stage.karbor.addr(), "[limits]\nentries = 1");
    app.rewrite("[limits]\nentriess = 2\n[tenants.\"<b>x</b>\"]\ngroup = \"</li><script>\"");
    app.reload();
    let reload = json(&app)["reload"].clone();
    assert_eq!((&reload["successful"], &reload["last"]["outcome"]), (&false.into(), &"invalid".into()));
    let words = reload["last"]["words"].as_array().unwrap();
    assert!(
        words.iter().any(|words| words.as_str().unwrap().contains("`limits.entriess`: no such setting")),
        "{words:?}"
    );
    let shown = page(&app);
    for word in words {
        shown.check_says(word.as_str().unwrap());
    }
    shown.check_says("The files have a problem");
    assert!(!shown.elements.iter().any(|element| ["script", "b"].contains(&element.as_str())));
    app.rewrite("[limits]\nentries = 2");
    app.reload();
    let reload = json(&app)["reload"].clone();
    assert_eq!((&reload["successful"], &reload["last"]["outcome"]), (&true.into(), &"applied".into()));
    assert_eq!(reload["last"]["words"][0], "limits of all tenants not named raised");
}

/// The fullest first, also tenants that nobody configured.
#[test]
fn says_what_tenants_use() {
    let (stage, folder) = (stage(""), LedgerFolder::new());
    let settings = |more: &str| {
        let quotas = "[quotas]\ncheckpoints = 10\n[tenants.\"<i>t\"]\n";
        let own = format!("[tenants.{PROJECT}.quotas]\ncheckpoints = 4\ncreations = \"8 / 1h\"\n");
        folder.settings(&format!("{quotas}{own}{more}"))
    };
    let app = TestApp::of_file(stage.karbor.addr(), &settings(""));
    let other = "0123456789abcdef0123456789abcdef";
    for (tenant, count) in [(PROJECT, 1), (other, 3)] {
        let plan = stage.karbor.create_plan(tenant);
        for _ in 0..count {
            let creation =
                Request::new("POST", &checkpoints(tenant)).json(body_of(&plan, r#"{"x-a--b": "12"}"#));
            assert_eq!(app.client().ask(&creation.token_of(tenant)).status, 200);
        }
    }
    // It is asked anew with each reload.
    app.rewrite(&settings("[limits]\nentries = 7"));
    app.reload();
    let status =
        until(&app, "usage is seen", |status| status["usage"]["tenants"][0]["quotas"][0]["used"] == 3);
    let usage = &status["usage"];
    assert_eq!((&usage["not_shown"], &usage["is_of_all"]), (&0.into(), &true.into()));
    let told = |at: usize| {
        let tenant = &usage["tenants"][at];
        let quotas = tenant["quotas"].as_array().unwrap().iter();
        let quotas: Vec<_> = quotas.map(|quota| format!("{}/{}", quota["used"], quota["allowed"])).collect();
        (tenant["tenant"].as_str().unwrap().to_owned(), quotas.join(" "))
    };
    assert_eq!(told(0), (other.to_owned(), "3/10 24/null 3/null".to_owned()));
    assert_eq!(told(1), (PROJECT.to_owned(), "1/4 8/null 1/null 1/8".to_owned()));
    assert_eq!(told(2), ("<i>t".to_owned(), "0/10 0/null 0/null".to_owned()));
    assert_eq!(usage["tenants"].as_array().unwrap().len(), 3);
    assert_eq!(status["ledger"]["up"], true);
    assert!(status["ledger"]["size_bytes"].as_u64().unwrap() > 4096, "{}", status["ledger"]);
    let page = page(&app);
    for words in ["3 of 10, 30\u{a0}%", "1 of 4, 25\u{a0}%", "<i>t", "Creations within 1 h", "Within reach"] {
        page.check_says(words);
    }
}

/// Also with more connections to itself than it serves, none of which asks anything.
#[test]
fn answers_while_clients_are_turned_away() {
    let stage = stage("[server]\nmax_connections = 1");
    let mut held = stage.client();
    assert_eq!(held.ask(&stage.creation("null")).status, 200);
    let silent: Vec<_> = (0..100).map(|_| Client::to(stage.app.admin)).collect();
    for _ in 0..5 {
        assert_eq!(stage.client().reply().status, 503);
        assert_eq!(json(&stage.app)["connections"], 1);
        page(&stage.app).check_says("Ready");
    }
    drop(silent);
}

/// Whatever a client sends, or an operator's file holds, is text on the page.
#[test]
fn nothing_that_a_client_sends_is_more_than_text() {
    let stage = stage("[tenants.\"\\\"><script>x\"]\n[limits]\nkey_bytes = 60");
    let elements = |page: &Page| {
        let mut names = page.elements.clone();
        names.sort();
        names.dedup();
        names
    };
    traffic(&stage);
    until(&stage.app, "four are there", |status| status["latest_rejections"].as_array().unwrap().len() == 3);
    let plain = elements(&page(&stage.app));
    let hostile = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E".replace("%2F", "");
    for map in [
        r#"{"<script>alert(1)</script>": ""}"#,
        r#"{"\"><img src=x onerror=alert(1)>": ""}"#,
        r#"{"&lt;b&gt;": "", "\u202e\u0000</p>": ""}"#,
        "{\"x-<svg onload=x>--k\": \"\"}",
    ] {
        stage.ask(&stage.creation(map)).own_fault(400);
        let request = Request::new("POST", &checkpoints(&hostile)).json(body_of("</style>", map));
        stage.ask(&request).own_fault(400);
    }
    stage.ask(&Request::new("<b>", "/v1/p")).own_fault(400);
    stage.ask(&Request::new("GET", "/v1/<script>")).own_fault(400);
    let status = until(&stage.app, "all are there", |status| {
        status["latest_rejections"].as_array().unwrap().len() >= 12
    });
    assert!(status.to_string().contains("<script>alert(1)"), "the JSON has them as they are");
    let shown = page(&stage.app);
    assert_eq!(elements(&shown), plain);
    shown.check_says("<script>alert(1)</script>");
    shown.check_says("\\u{202e}\\u{0}</p>");
}

//! What is written down and counted, and what must never be.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use karbor_admission::demo::StandIn;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{PROJECT, Request, Stage, TestApp, body_of, checkpoints, eventually, refusing, stage};

const OTHER: &str = "0123456789abcdef0123456789abcdef";

/// The log of this process, from the first test on that looks at it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn of_this_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let lines = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
            tracing::subscriber::set_global_default(lines.with_writer(log.clone()).finish()).unwrap();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[test]
fn writes_one_line_for_what_is_judged_or_refused_and_none_for_what_passes() {
    let stage = stage("");
    let checkpoint = stage.checkpoint();
    let cp = checkpoints(PROJECT);
    let reset = r#"{"os-resetState": {"state": "available"}}"#;
    let copy = format!(r#"{{"copy": {{"plan_id": "{}"}}}}"#, stage.plan);
    let flat = format!(r#"{{"plan_id": "{}"}}"#, stage.plan);
    let (read, write) = ("read", "write");
    for (request, route, method, outcome, verdict) in [
        (stage.creation("null"), "create", write, "forwarded", Some("admitted")),
        (stage.creation(r#"{"ticket": ""}"#), "create", write, "denied", Some("denied")),
        (
            Request::new("POST", &format!("/v1/{PROJECT}/checkpoint")).json(flat.as_str()),
            "create-short",
            write,
            "forwarded",
            Some("admitted"),
        ),
        (Request::new("PUT", &checkpoint).json(reset), "update", write, "forwarded", Some("admitted")),
        (
            Request::new("DELETE", &format!("{checkpoint}/extra-info")),
            "extra-info-write",
            write,
            "denied",
            Some("denied"),
        ),
        (Request::new("GET", &cp), "list", read, "forwarded", None),
        (Request::new("GET", &checkpoint), "show", read, "forwarded", None),
        (Request::new("POST", &format!("{cp}/action")).json(copy.as_str()), "copy", write, "forwarded", None),
        (Request::new("DELETE", &checkpoint), "delete", write, "forwarded", None),
        (Request::new("HEAD", &cp), "pass", read, "forwarded", None),
        (Request::new("GET", &format!("/v1/{PROJECT}/plans")), "pass", read, "forwarded", None),
        (Request::new("PROPFIND", "/v1/p"), "pass", "other", "forwarded", None),
        (Request::new("GET", "/v1/p%2f"), "pass", read, "refused", Some("refused")),
        (Request::new("GET", "/v1/p").field("X_A", "b"), "pass", "other", "refused", Some("refused")),
    ] {
        let labels = [("route", route), ("method", method), ("outcome", outcome)];
        let (series, all) = (
            stage.app.metrics().sum("requests_total", &labels),
            stage.app.metrics().sum("requests_total", &[]),
        );
        let lines = stage.app.audit_text().lines().count();
        stage.ask(&request);
        stage.app.until_counted("requests_total", &labels, series + 1.0);
        stage.app.until_counted("requests_total", &[], all + 1.0);
        stage.app.until_counted("requests_in_flight", &[], 0.0);
        if let Some(verdict) = verdict {
            let audit = stage.app.audit(lines + 1);
            assert_eq!((audit.len(), &audit[lines]["verdict"]), (lines + 1, &verdict.into()), "{request:?}");
        }
    }
    stage.app.until_counted("audit_lines_total", &[], 7.0);
    stage.app.until_counted("audit_dropped_lines_total", &[], 0.0);
    stage.app.until_counted("upstream_requests_total", &[("status", "5xx")], 0.0);
    stage.app.until_counted("added_seconds_count", &[("route", "create")], 2.0);
    assert_eq!(stage.end().len(), 7);
}

#[test]
fn keeps_values_and_tokens_out_of_everything_it_writes() {
    const VALUE: &str = "value-4711-never-written";
    const TOKEN_PART: &str = "token-4711-never-written";
    let log = Log::of_this_process();
    let stage = stage("[limits]\nvalue_bytes = 100\n");
    let token = format!("{TOKEN_PART}:{PROJECT}");
    let with_token = |request: Request| request.with("X-Auth-Token", &token);
    let long = format!("{VALUE}{}", "v".repeat(100));
    for (request, status) in [
        (stage.creation(&format!("{{\"x-a--b\": \"{VALUE}\"}}")), 200),
        (stage.creation(&format!("{{\"ticket\": \"{VALUE}\"}}")), 400),
        (stage.creation(&format!("{{\"x-a--b\": \"{long}\"}}")), 400),
        (stage.creation(&format!("{{\"x-a--b\": [\"{VALUE}\"]}}")), 400),
        (stage.creation(&format!("{{\"x-a--b\": \"{VALUE}\", \"x-a--b\": \"\"}}")), 400),
        (stage.creation(&format!("\"{VALUE}\"")), 400),
        (stage.creation_of(&format!("{VALUE}{{")), 400),
        (stage.creation("null").at(&format!("{}?_method={VALUE}", checkpoints(PROJECT))), 400),
        (stage.creation("null").field("X_A", VALUE), 400),
        (
            Request::new("PUT", &format!("{}/c", checkpoints(PROJECT)))
                .json(format!("{{\"extra-info\": \"{VALUE}\"}}")),
            403,
        ),
        (Request::new("GET", &format!("/v1/{PROJECT}/plans?x={VALUE}")), 200),
    ] {
        let reply = stage.ask(&with_token(request));
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(!reply.text().contains(TOKEN_PART));
    }
    let metrics = stage.app.page("/metrics").unwrap().text();
    let audit: String = stage.app.audit(10).iter().map(ToString::to_string).collect();
    let log = log.text();
    assert!(log.contains("\"exchange\"") && log.contains("malformed-key"), "the log is looked at");
    for (what, text) in [("metrics", metrics), ("audit", audit), ("log", log)] {
        assert!(!text.contains(VALUE), "a value is in the {what}");
        assert!(!text.contains(TOKEN_PART), "a token is in the {what}");
    }
}

#[test]
fn hashes_the_keys_in_the_audit_log_where_told() {
    let stage = stage("[audit]\nkey_names = \"hashed\"");
    for _ in 0..2 {
        stage.ask(&stage.creation(r#"{"ticket-4711": "", "other-4711": ""}"#)).own_fault(400);
    }
    let text = stage.app.audit(2).iter().map(ToString::to_string).collect::<String>();
    assert!(!text.contains("4711"), "{text}");
    let lines = stage.end();
    let digest = |line: usize, key: usize| lines[line]["violations"][key]["key_digest"].as_str().unwrap();
    assert_eq!(digest(0, 0), digest(1, 0));
    assert_ne!(digest(0, 0), digest(0, 1));
}

#[test]
fn gives_labels_to_few_tenants_and_counts_all() {
    let stage =
        stage(&format!("[metrics]\nfurther_tenants = 1\n[tenants.{PROJECT}]\nenforcement = \"enforce\"\n"));
    let denied = |tenant: &str| {
        let request = Request::new("POST", &checkpoints(tenant)).json(body_of("p", r#"{"ticket": ""}"#));
        stage.ask(&request).own_fault(400);
    };
    let count = |tenant: &str| stage.app.metrics().sum("rejections_total", &[("tenant", tenant)]);
    // Names alone take no place: who sends them may have made them up.
    for at in 0..30 {
        denied(&format!("stranger-{at}"));
    }
    denied(OTHER);
    let plan = stage.karbor.create_plan(OTHER);
    let creation = Request::new("POST", &checkpoints(OTHER)).json(body_of(&plan, "null"));
    assert_eq!(stage.ask(&creation.clone().token_of(PROJECT)).status, 400);
    denied(OTHER);
    stage.app.until_counted("rejections_total", &[], 32.0);
    assert_eq!((count(OTHER), count("other")), (0.0, 32.0));
    assert_eq!(stage.ask(&creation.token_of(OTHER)).status, 200);
    stage.app.until_counted("admitted_checkpoints_total", &[("tenant", OTHER)], 1.0);
    denied(OTHER);
    denied(PROJECT);
    stage.app.until_counted("rejections_total", &[], 34.0);
    assert_eq!((count(OTHER), count(PROJECT), count("other")), (1.0, 1.0, 32.0));
    let metrics = stage.app.metrics();
    let tenants = metrics.values("rejections_total", "tenant");
    assert_eq!(tenants.into_iter().collect::<Vec<_>>(), [OTHER, PROJECT, "other"]);
    let limits = metrics.values("limit", "tenant");
    assert_eq!(limits.into_iter().collect::<Vec<_>>(), [PROJECT, "default"]);
}

#[test]
fn serves_its_pages() {
    let stage: Stage = stage("[limits]\nentries = \"unlimited\"\nvalue_bytes = 77\n");
    let page = |path: &str| stage.app.page(path).unwrap();
    assert_eq!((page("/livez").status, page("/readyz").status, page("/nothing").status), (200, 200, 404));
    let metrics = page("/metrics");
    assert_eq!(metrics.fields.one("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    stage.ask(&stage.creation("null"));
    let line = stage.app.audit(1).remove(0);
    let revision = line["policy"].as_str().unwrap();
    let metrics = stage.app.metrics();
    assert_eq!(metrics.sum("policy_info", &[("revision", revision)]), 1.0);
    assert_eq!(metrics.sum("build_info", &[]), 1.0);
    let limit = |name| metrics.sum("limit", &[("tenant", "default"), ("limit", name)]);
    assert_eq!(
        (limit("entries"), limit("value_bytes"), limit("body_bytes")),
        (f64::INFINITY, 77.0, 131_072.0)
    );
}

#[test]
fn measures_what_admitted_creations_use() {
    let stage = stage("");
    stage.ask(&stage.creation(r#"{"x-a--1": "12345", "x-a--2": "12345"}"#));
    stage.ask(&stage.creation(r#"{"ticket": ""}"#));
    // Admitted, but not carried out by Karbor: not a checkpoint.
    stage.ask(&stage.creation_of(&body_of("11111111-2222-4333-8444-555555555555", r#"{"x-a--1": "1"}"#)));
    stage.app.until_counted("requests_total", &[("route", "create")], 3.0);
    for (name, expected) in [
        ("admitted_checkpoints_total", 1.0),
        ("admitted_entries_sum", 2.0),
        ("admitted_entries_count", 1.0),
        ("admitted_bytes_sum", 22.0),
    ] {
        stage.app.until_counted(name, &[], expected);
    }
    stage.app.until_counted("upstream_requests_total", &[("status", "2xx")], 1.0);
    stage.app.until_counted("upstream_requests_total", &[("status", "4xx")], 1.0);
    stage.app.until_counted("upstream_first_byte_seconds_count", &[], 2.0);
}

#[test]
fn hints_at_the_cause_in_the_log_only() {
    let log = Log::of_this_process();
    let karbor = StandIn::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = karbor.addr();
    karbor.shutdown();
    let app = TestApp::before(address, "");
    let request = Request::new("POST", &checkpoints(PROJECT)).json(body_of("p", "null"));
    let reply = app.client().ask(&request);
    let message = reply.own_fault(502).message;
    assert!(!message.contains("upstream") && !message.contains("endpoints"), "{message}");
    let text = log.text();
    let line = text.lines().find(|line| line.contains(reply.request_id())).unwrap();
    assert!(line.contains("upstream.endpoints") && line.contains(&address.to_string()), "{line}");
}

#[test]
fn the_log_says_what_a_failed_request_is_part_of() {
    const ID: &str = "req-1d8fad5b-d9cb-469f-a165-70867728950e";
    const UNSOUND: &str = "req-not-to-be-logged";
    let log = Log::of_this_process();
    let app = TestApp::before(refusing(), "");
    let plans = || Request::new("GET", "/v1/p/plans");
    let traceparent = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00";
    app.client().ask(&plans().field("X-Openstack-Request-Id", ID).field("traceparent", traceparent));
    app.client().ask(&plans().field("X-Openstack-Request-Id", UNSOUND).field("traceparent", UNSOUND));
    // Libraries log more at this level, and no operator asks for it.
    let ours = |line: &&str| line.contains("\"target\":\"karbor_admission::");
    let about = |text: &str, message: &str| {
        text.lines().filter(ours).any(|line| {
            let parts = [
                ID,
                "\"1af7651916cd43dd8448eb211c80319c\"",
                "\"c7ad6b7169203331\"",
                &format!("\"{message}\""),
            ];
            parts.iter().all(|part| line.contains(part))
        })
    };
    for message in ["karbor gave no answer", "exchange"] {
        eventually(message, || about(&log.text(), message));
    }
    app.stop();
    assert!(!log.text().lines().filter(ours).any(|line| line.contains(UNSOUND)));
}

#[test]
fn refuses_a_broken_passed_body_with_a_line_that_names_it() {
    let stage = stage("");
    let head =
        Request::new("PUT", &format!("/v1/{PROJECT}/blob")).field("Transfer-Encoding", "chunked").head();
    let mut client = stage.client();
    client.send(&[head, b"2\r\nab\r\nzz\r\n".to_vec()].concat());
    let reply = client.reply();
    assert_eq!(reply.own_fault(400).codes, ["chunk"]);
    client.expect_end();
    let lines = stage.end();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!((&line["verdict"], &line["refusal"]), (&"refused".into(), &"chunk".into()));
    assert_eq!((&line["method"], &line["route"]), (&"PUT".into(), &"pass".into()), "{line}");
    assert_eq!(line["request_id"], reply.request_id());
}

//! What is refused by its bytes: nothing reaches Karbor, the connection ends, one line and one count each.
//!
//! The table of them stands in `rows`.

mod rows;

use karbor_admission::wire::Refusal;

use self::rows::{BODY, CP, Row, chunked, framed, rows};
use crate::support::{Stage, stage, until_read};

/// Refused as told; Karbor sees nothing of it; the connection ends after the answer.
#[track_caller]
fn check(stage: &Stage, bytes: &[u8], status: u16, refusal: Refusal) {
    let mut client = stage.client();
    client.send(bytes);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let reply = client.try_reply(false).unwrap_or_else(|broken| panic!("{shown}: {broken:?}"));
    assert_eq!(reply.status, status, "{shown}: {}", reply.text());
    let fault = reply.own_fault(status);
    assert_eq!(fault.codes, [refusal.code()], "{shown}");
    assert!(fault.message.starts_with(refusal.text()), "{shown}: {}", fault.message);
    assert_eq!(reply.fields.one("connection"), Some("close"), "{shown}");
    client.expect_end();
    assert!(stage.karbor.log().is_empty(), "{shown}: {:?}", stage.karbor.log());
}

#[test]
fn refuses_what_cannot_be_reviewed_with_certainty() {
    let stage = stage("");
    let rows = rows();
    for (at, Row { bytes, status, refusal }) in rows.iter().enumerate() {
        check(&stage, bytes, *status, *refusal);
        let lines = stage.app.audit(at + 1);
        assert_eq!(lines.len(), at + 1);
        let line = &lines[at];
        assert_eq!(
            (&line["verdict"], &line["refusal"]),
            (&"refused".into(), &refusal.code().into()),
            "{line}"
        );
        assert_eq!((&line["status"], &line["outcome_unknown"]), (&(*status).into(), &false.into()), "{line}");
        assert!(line.get("upstream_status").is_none() && line.get("violations").is_none(), "{line}");
    }
    for refusal in Refusal::ALL {
        let expected = rows.iter().filter(|row| row.refusal == *refusal).count();
        // What depends on time, load, the ledger or HTTP/2 has tests of its own.
        let elsewhere = [
            "head-timeout",
            "body-timeout",
            "body-budget",
            "no-room",
            "ledger",
            "filter",
            "connection-field",
        ];
        assert!(expected > 0 || elsewhere.contains(&refusal.code()), "no row for {refusal:?}");
        stage.app.until_counted("refusals_total", &[("reason", refusal.code())], expected as f64);
    }
    stage.app.until_counted("requests_total", &[("outcome", "refused")], rows.len() as f64);
    stage.app.until_counted("requests_in_flight", &[], 0.0);
    assert_eq!(stage.end().len(), rows.len());
}

#[test]
fn refuses_the_same_however_the_bytes_are_cut() {
    let stage = stage("");
    for (bytes, refusal) in [
        (format!("POST {CP} HTTP/1.1\r\nHost: h\r\nTransfer_Encoding: chunked\r\n\r\n"), Refusal::FieldName),
        (format!("POST {CP}?_method=PUT HTTP/1.1\r\nHost: h\r\n\r\n"), Refusal::MethodOverride),
        (
            format!(
                "POST {CP} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"
            ),
            Refusal::LengthAndChunked,
        ),
        (
            format!(
                "POST {CP} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\nx\r\n"
            ),
            Refusal::Chunk,
        ),
    ] {
        for cut in 1..bytes.len() {
            let (first, rest) = bytes.as_bytes().split_at(cut);
            let mut client = stage.client();
            client.send(first);
            until_read(&client.wire.stream);
            client.send(rest);
            let reply =
                client.try_reply(false).unwrap_or_else(|broken| panic!("{bytes} cut at {cut}: {broken:?}"));
            assert_eq!(reply.own_fault(400).codes, [refusal.code()], "cut at {cut}");
            client.expect_end();
        }
    }
    assert!(stage.karbor.log().is_empty(), "{:?}", stage.karbor.log());
}

#[test]
fn refuses_a_head_that_does_not_come_in_time() {
    let stage = stage("[server]\nhead_timeout = \"200ms\"");
    for start in ["P", "POST /v1/p HTTP/1.1\r\nHost: h\r\n"] {
        check(&stage, start.as_bytes(), 408, Refusal::HeadTimeout);
    }
    let mut client = stage.client();
    client.send(b"GET /v1/p HTTP/1.1\r\nHost: h\r\nX-Auth-Token: u:p\r\n\r\nGET /v1/p HTTP/1.1\r\n");
    assert_eq!(client.reply().status, 404);
    assert_eq!(client.reply().own_fault(408).codes, ["head-timeout"]);
    client.expect_end();
    stage.app.until_counted("refusals_total", &[("reason", "head-timeout")], 3.0);
    let lines = stage.end();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["refusal"] == "head-timeout"), "{lines:?}");
}

#[test]
fn refuses_a_reviewed_body_that_does_not_come_in_time() {
    let stage = stage("[server]\nbody_timeout = \"200ms\"");
    let started = [
        framed("Content-Length: 32\r\n", &BODY[..20]),
        framed("Content-Length: 32\r\n", ""),
        chunked("5\r\nhel"),
        format!("PUT {CP}/c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n{{").into_bytes(),
    ];
    for bytes in &started {
        check(&stage, bytes, 408, Refusal::BodyTimeout);
    }
    stage.app.until_counted("refusals_total", &[("reason", "body-timeout")], 4.0);
    let lines = stage.end();
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert_eq!((&line["verdict"], &line["tenant"]), (&"refused".into(), &"p".into()), "{line}");
    }
}

#[test]
fn a_dribbled_head_is_one_head() {
    let stage = stage("");
    let mut client = stage.client();
    for byte in b"GET /v1/p/providers HTTP/1.1\r\nHost: h\r\nX-Auth-Token: u:p\r\n\r\n" {
        client.send(&[*byte]);
    }
    assert_eq!(client.reply().status, 200);
    assert_eq!(stage.received(1).len(), 1);
}

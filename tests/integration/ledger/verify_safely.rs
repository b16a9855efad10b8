//! `verify --mend` where Karbor fails, says 404 of what is there, or changes while it is asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::verifying::{ID, MAP, PLAN, checkpoint_as, verify};
use super::{Kept, kept, member};
use crate::support::{
    Client, LedgerFolder, Link, PROJECT, Request, Scripted, TOKEN, TestApp, body_of, checkpoints, json_answer,
};

/// Karbor's own.
const NOT_FOUND: &str = r#"{"itemNotFound": {"code": 404, "message": "Checkpoint x could not be found."}}"#;

fn answer(status: u16, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn not_found() -> String {
    answer(404, "application/json", NOT_FOUND)
}

fn broken() -> String {
    answer(500, "application/json", r#"{"computeFault": {"code": 500, "message": "…"}}"#)
}

/// A list of these, with a link to a next page or without.
fn list(ids: &[&str], has_next: bool) -> String {
    let items: Vec<String> = ids.iter().map(|id| checkpoint_as(id, PROJECT, "available")).collect();
    let links =
        if has_next { r#", "checkpoints_links": [{"rel": "next", "href": "http://k/v1"}]"# } else { "" };
    json_answer(&format!(r#"{{"checkpoints": [{}]{links}}}"#, items.join(", ")))
}

fn show(id: &str, status: &str) -> String {
    json_answer(&format!(r#"{{"checkpoint": {}}}"#, checkpoint_as(id, PROJECT, status)))
}

/// Karbor, answering to lists, and to shows of ids, by how often that was asked before.
fn karbor(
    lists: impl Fn(usize) -> String + Send + Sync + 'static,
    shows: impl Fn(&str, usize) -> String + Send + Sync + 'static,
) -> Scripted {
    let asked: std::sync::Mutex<std::collections::HashMap<String, usize>> = std::sync::Mutex::default();
    Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            let target = seen.target.split('?').next().unwrap().to_owned();
            let id =
                target.strip_prefix(&format!("{}/", checkpoints(PROJECT))).unwrap_or_default().to_owned();
            let before = {
                let mut asked = asked.lock().unwrap();
                let number = asked.entry(id.clone()).or_default();
                *number += 1;
                *number - 1
            };
            link.send(if id.is_empty() { lists(before) } else { shows(&id, before) });
        }
    })
}

/// How many entries the ledger has as there.
fn entries(kept: &Kept) -> usize {
    let all_deleted = karbor(|_| list(&[], false), |id, _| show(id, "deleted"));
    verify(&kept.folder, all_deleted.address, TOKEN, &[]).0.len()
}

/// `there` is listed and `lost` is not; what is printed of `lost`, with `--mend`, and whether it is still there.
#[track_caller]
fn check(
    lists: impl Fn(&str, usize) -> String + Send + Sync + 'static,
    shows: impl Fn(bool, &str, usize) -> String + Send + Sync + 'static,
    expected: Result<Option<&str>, ()>,
    is_forgotten: bool,
) {
    let kept = kept("");
    let (there, lost) = (kept.create(MAP), kept.create(MAP));
    let listed = there.clone();
    let missed = lost.clone();
    let karbor =
        karbor(move |before| lists(&listed, before), move |id, before| shows(id == missed, id, before));
    let (said, code) = verify(&kept.folder, karbor.address, TOKEN, &["--mend"]);
    let told = said.iter().find_map(|line| line.strip_prefix(&format!("{lost}: ")));
    match expected {
        Ok(words) => {
            assert_eq!((told, code), (words, if words.is_none_or(|w| w.contains("mended")) { 0 } else { 4 }))
        }
        Err(()) => assert_eq!((&*said, code), (&[][..], 1)),
    }
    assert_eq!(entries(&kept), 2 - usize::from(is_forgotten));
}

#[test]
fn mends_what_is_not_found_only_while_another_is() {
    let one = |there: &str, _: usize| list(&[there], false);
    let missing =
        |is_lost: bool, id: &str, _: usize| if is_lost { not_found() } else { show(id, "available") };
    check(one, missing, Ok(Some("unfound, mended")), true);
    // The bank does not answer, or the role may not show.
    check(one, |_, _, _| not_found(), Ok(Some("unfound")), false);
    // Nor from then on.
    let failing = |is_lost: bool, id: &str, before: usize| {
        if is_lost || before > 0 { not_found() } else { show(id, "available") }
    };
    check(one, failing, Ok(Some("unfound")), false);
    // It failed for a moment.
    let at_first = |is_lost: bool, id: &str, before: usize| {
        if is_lost && before == 0 { not_found() } else { show(id, "available") }
    };
    check(one, at_first, Ok(None), false);
}

#[test]
fn mends_nothing_of_a_bank_that_is_empty() {
    let kept = kept("");
    let ids = [kept.create(MAP), kept.create(MAP)];
    let karbor = karbor(|_| list(&[], false), |_, _| not_found());
    let (mut said, code) = verify(&kept.folder, karbor.address, TOKEN, &["--mend"]);
    said.sort();
    let mut expected = ids.map(|id| format!("{id}: unfound"));
    expected.sort();
    assert_eq!((&*said, code), (&expected[..], 4));
    assert_eq!(entries(&kept), 2);
}

#[test]
fn mends_nothing_where_karbor_fails() {
    let one = |there: &str, _: usize| list(&[there], false);
    let deleted = |_: bool, id: &str, _: usize| show(id, "deleted");
    check(|_, _| broken(), deleted, Err(()), false);
    // The second page.
    check(|there, before| if before == 0 { list(&[there], true) } else { broken() }, deleted, Err(()), false);
    check(one, |_, _, _| broken(), Err(()), false);
    // Somebody's on the way, who knows nothing of the path.
    check(one, |_, _, _| answer(404, "text/html", "<html></html>"), Err(()), false);
    check(one, |_, _, _| answer(503, "text/plain", "busy"), Err(()), false);
}

/// One of two that are gone cannot be had.
#[test]
fn mends_nothing_before_all_was_seen() {
    let kept = kept("");
    let (one, other) = (kept.create(MAP), kept.create(MAP));
    let asked = AtomicUsize::new(0);
    let karbor = karbor(
        |_| list(&[], false),
        move |id, _| if asked.fetch_add(1, Ordering::AcqRel) == 0 { show(id, "deleted") } else { broken() },
    );
    assert_eq!(verify(&kept.folder, karbor.address, TOKEN, &["--mend"]), (Vec::new(), 1));
    assert_eq!(entries(&kept), 2, "{one} {other}");
}

#[test]
fn says_nothing_of_what_is_deleted_meanwhile() {
    let kept = kept("");
    let proxy = kept.stage.app.address;
    let karbor = karbor(
        |_| list(&[], false),
        move |id, _| {
            assert_eq!(Client::to(proxy).ask(&Request::new("DELETE", &member(id))).status, 200);
            show(id, "deleted")
        },
    );
    for more in [&[][..], &["--mend"]] {
        let id = kept.create(MAP);
        assert_eq!(verify(&kept.folder, karbor.address, TOKEN, more), (Vec::new(), 0), "{id}");
    }
}

#[test]
fn says_nothing_of_what_is_created_meanwhile() {
    let proxy: Arc<OnceLock<SocketAddr>> = Arc::default();
    let knows = proxy.clone();
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            link.send(if seen.method == "POST" {
                show(ID, "protecting")
            } else if seen.target.contains("marker=") {
                // Karbor listed it before the proxy had its answer.
                let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of(PLAN, MAP));
                assert_eq!(Client::to(*knows.get().unwrap()).ask(&creation).status, 200);
                list(&[], false)
            } else {
                list(&[ID], true)
            });
        }
    });
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings(""));
    proxy.set(app.address).unwrap();
    assert_eq!(verify(&folder, karbor.address, TOKEN, &[]), (Vec::new(), 0));
}

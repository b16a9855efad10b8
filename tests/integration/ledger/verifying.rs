//! `karbor-admission verify`, as an operator types it, at Karbor itself.

use std::net::SocketAddr;
use std::process::Command;

use karbor_admission::demo::PROVIDER_ID;

use super::{Kept, kept, map_of, member};
use crate::support::{
    Client, LedgerFolder, Link, PROJECT, Request, Scripted, TOKEN, TestApp, body_of, checkpoints, json_answer,
};

pub(crate) const MAP: &str = r#"{"x-app--key": "value"}"#;
pub(crate) const ID: &str = "0b9f2d0b-2c37-4b5e-9d0e-6f2f1f2f3f4f";
pub(crate) const PLAN: &str = "5a9f2d0b-2c37-4b5e-9d0e-6f2f1f2f3f4f";

/// What it prints without the provider, and its exit code.
#[track_caller]
pub(crate) fn verify(
    folder: &LedgerFolder,
    karbor: SocketAddr,
    token: &str,
    more: &[&str],
) -> (Vec<String>, i32) {
    let (config, token_file) = (folder.file().with_extension("toml"), folder.file().with_extension("token"));
    std::fs::write(&config, folder.settings("")).unwrap();
    std::fs::write(&token_file, format!("{token}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_karbor-admission"));
    command.env_clear().arg("verify").arg("--config").arg(config).arg("--token-file").arg(token_file);
    command.args([
        "--tenant",
        PROJECT,
        "--provider",
        PROVIDER_ID,
        "--karbor-url",
        &format!("http://{karbor}/"),
    ]);
    let output = command.args(more).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.lines().map(|line| line.strip_prefix(&format!("{PROVIDER_ID} ")).unwrap().to_owned());
    (said.collect(), output.status.code().unwrap_or_else(|| panic!("{:?}", output.stderr)))
}

#[track_caller]
fn check(kept: &Kept, more: &[&str], said: &[String], code: i32) {
    assert_eq!(verify(&kept.folder, kept.stage.karbor.addr(), TOKEN, more), (said.to_vec(), code));
}

#[test]
fn tells_what_is_missing_and_what_is_gone_and_forgets_that() {
    let kept = kept("quotas.checkpoints = 2");
    let (there, gone) = (kept.create(MAP), kept.create(MAP));
    kept.create("null");
    check(&kept, &[], &[], 0);

    let past = kept.stage.checkpoint();
    let missing = format!("{}: missing", past.rsplit('/').next().unwrap());
    check(&kept, &[], std::slice::from_ref(&missing), 4);

    let mut karbor = Client::to(kept.stage.karbor.addr());
    assert_eq!(karbor.ask(&Request::new("DELETE", &member(&gone))).status, 200);
    check(&kept, &[], &[missing.clone(), format!("{gone}: gone")], 4);
    kept.stage.ask(&kept.stage.creation(MAP)).own_fault(413);
    check(&kept, &["--mend"], &[missing.clone(), format!("{gone}: gone, mended")], 4);
    check(&kept, &["--mend"], std::slice::from_ref(&missing), 4);
    kept.create(MAP);

    assert_eq!(karbor.ask(&Request::new("DELETE", &past)).status, 200);
    check(&kept, &[], &[], 0);
    assert_eq!(kept.show(&there)["x-app--key"], "value");
}

fn checkpoint(project: &str) -> String {
    checkpoint_as(ID, project, "available")
}

pub(crate) fn checkpoint_as(id: &str, project: &str, status: &str) -> String {
    let plan = format!(r#""protection_plan": {{"id": "{PLAN}", "provider_id": "{PROVIDER_ID}"}}"#);
    format!(
        r#"{{"id": "{id}", "project_id": "{project}", "status": "{status}", {plan}, "created_at": "2999-01-01"}}"#
    )
}

/// What was created, and the answer lost: bound by what Karbor lists.
#[test]
fn binds_what_a_lease_explains() {
    let listed = format!(r#"{{"checkpoints": [{}]}}"#, checkpoint(PROJECT));
    let karbor = Scripted::new(move |mut link: Link| {
        while let Some(seen) = link.request() {
            if seen.method == "POST" {
                return link.reset();
            }
            link.send(json_answer(&listed));
        }
    });
    let folder = LedgerFolder::new();
    let app = TestApp::before(karbor.address, &folder.settings(""));
    let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of(PLAN, MAP));
    assert_eq!(app.client().ask(&creation).status, 502);
    assert_eq!(verify(&folder, karbor.address, TOKEN, &[]), (vec![format!("{ID}: missing")], 4));
    let mended = (vec![format!("{ID}: missing, mended")], 0);
    assert_eq!(verify(&folder, karbor.address, TOKEN, &["--mend"]), mended);
    assert_eq!(verify(&folder, karbor.address, TOKEN, &[]), (Vec::new(), 0));
    let reply = app.client().ask(&Request::new("GET", &checkpoints(PROJECT)));
    assert_eq!(map_of(&reply.json()["checkpoints"][0])["x-app--key"], "value");
}

/// Karbor says that it is another project's, in a list or alone.
#[test]
fn tells_what_is_another_projects() {
    for is_listed in [true, false] {
        let made = format!(r#"{{"checkpoint": {}}}"#, checkpoint(PROJECT));
        let shown = format!(r#"{{"checkpoint": {}}}"#, checkpoint("other"));
        let listed = if is_listed { checkpoint("other") } else { String::new() };
        let listed = format!(r#"{{"checkpoints": [{listed}]}}"#);
        let karbor = Scripted::new(move |mut link: Link| {
            while let Some(seen) = link.request() {
                let answer = match (&*seen.method, seen.target.contains(ID)) {
                    ("POST", _) => &made,
                    (_, true) => &shown,
                    _ => &listed,
                };
                link.send(json_answer(answer));
            }
        });
        let folder = LedgerFolder::new();
        let app = TestApp::before(karbor.address, &folder.settings(""));
        let creation = Request::new("POST", &checkpoints(PROJECT)).json(body_of(PLAN, MAP));
        assert_eq!(app.client().ask(&creation).status, 200);
        let foreign = (vec![format!("{ID}: foreign")], 4);
        assert_eq!(verify(&folder, karbor.address, TOKEN, &["--mend"]), foreign, "{is_listed}");
    }
}

/// Nothing is called gone because Karbor did not say.
#[test]
fn fails_where_karbor_does_not_say() {
    let kept = kept("");
    kept.create(MAP);
    let address = kept.stage.karbor.addr();
    assert_eq!(verify(&kept.folder, address, "user:another", &["--mend"]), (Vec::new(), 1));
    assert_eq!(
        verify(&kept.folder, SocketAddr::from(([127, 0, 0, 1], 1)), TOKEN, &["--mend"]),
        (Vec::new(), 1)
    );
    check(&kept, &[], &[], 0);
}

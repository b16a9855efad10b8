//! Answers: faults written, Karbor's read and filled.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use karbor_admission::karbor::answer::{Filling, Seen, created_checkpoint, fill, read_list};
use karbor_admission::karbor::fault::{Detail, Fault};

const PROJECT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";

#[divan::bench(args = [0, 1, 16])]
fn builds_fault(bencher: Bencher<'_, '_>, details: usize) {
    let detail = Detail {
        rule: "malformed-key",
        enforcement: "enforced",
        key: Some("Not a key"),
        measured: None,
        allowed: None,
        quota: None,
        hint: Some("a key is karbor-NAME or x-APPLICATION--NAME"),
        message: "key 'Not a key' is neither karbor-NAME nor x-APPLICATION--NAME (malformed-key)".to_owned(),
    };
    let message = vec![detail.message.as_str(); details.max(1)].join("; ");
    let fault = Fault { details: vec![detail.clone(); details], ..Fault::new(400, &message) };
    assert!(fault.to_body().starts_with(b"{\"badRequest\""));
    bencher.bench_local(|| black_box(&fault).to_body());
}

/// A checkpoint as Karbor shows it, without the map.
fn checkpoint(at: usize) -> String {
    let provider = "cf56bd3e-97a7-4078-b6d5-f36246333fd9";
    let resource =
        r#"{"id": "64e51e85-4f31-441f-9a5d-6e93e3196628", "type": "OS::Nova::Server", "name": "db-1"}"#;
    let plan = format!(
        r#"{{"id": "2a9ce1f3-cc1a-4516-9435-0ebb13caa398", "provider_id": "{provider}", "resources": [{resource}]}}"#
    );
    [
        r#"{"status": "available", "resource_graph": null, "created_at": "2026-01-01", "#,
        &format!(r#""provider_id": "{provider}", "project_id": "{PROJECT}", "protection_plan": {plan}, "#),
        r#""extra_info": "{\"created_by\": \"manual\"}", "#,
        &format!(r#""id": "{at:08x}-975d-4621-a872-fa9afb43cb6c"}}"#),
    ]
    .concat()
}

fn list(number: usize) -> String {
    let items: Vec<String> = (0..number).map(checkpoint).collect();
    format!(r#"{{"checkpoints": [{}]}}"#, items.join(", "))
}

#[divan::bench]
fn reads_created(bencher: Bencher<'_, '_>) {
    let body = format!(r#"{{"checkpoint": {}}}"#, checkpoint(7));
    let read = || created_checkpoint(black_box(body.as_bytes()));
    assert_eq!(read().unwrap().as_str(), "00000007-975d-4621-a872-fa9afb43cb6c");
    bencher.counter(BytesCount::of_str(&body)).bench_local(read);
}

#[divan::bench(args = [10, 100, 1000])]
fn reads_list(bencher: Bencher<'_, '_>, number: usize) {
    let body = list(number);
    let read = || read_list(black_box(body.as_bytes()));
    assert_eq!(read().unwrap().checkpoints.len(), number);
    bencher.counter(BytesCount::of_str(&body)).bench_local(read);
}

#[divan::bench(args = [10, 100, 1000])]
fn fills_list(bencher: Bencher<'_, '_>, number: usize) {
    let body = list(number);
    let sketch = read_list(body.as_bytes()).unwrap();
    let map = [
        ("karbor-created-by", "trigger"),
        ("x-trigger-master--environment", "prod"),
        ("x-trigger-master--trigger-id", "4711"),
    ];
    let kept = |seen: &Seen| (seen.project.as_str() == PROJECT).then_some(&map[..]);
    let fill = || fill(black_box(body.as_bytes()), &sketch, kept);
    assert_eq!(fill().results, vec![Filling::Restored; number]);
    bencher.counter(BytesCount::of_str(&body)).bench_local(fill);
}

//! What a client is answered, route by route.

use karbor_admission::demo::{Bank, PROVIDER_ID};
use serde_json::{Value, json};

use crate::lab::{Lab, NO_ID, PROJECT, checkpoints};

#[test]
fn a_creation_succeeds_and_loses_its_map() {
    let lab = Lab::new();
    let created = lab.ask("POST", &checkpoints(), &lab.creation());
    let id = created.json()["checkpoint"]["id"].as_str().unwrap().to_owned();
    let resources = &created.json()["checkpoint"]["protection_plan"]["resources"];
    let resource = resources[0]["id"].as_str().unwrap().to_owned();
    let plan = &lab.plan;
    let resources = format!(
        r#"[{{"id": "{resource}", "type": "OS::Glance::Image", "name": "demo-resource", "extra_info": null}}]"#
    );
    let extra_info = r#""extra_info": "{\"created_by\": \"manual\"}""#;
    assert_eq!(
        created.text(),
        format!(
            r#"{{"checkpoint": {{"id": "{id}", "project_id": "{PROJECT}", "status": "protecting", "protection_plan": {{"id": "{plan}", "name": "demo-plan", "resources": {resources}}}, "resource_graph": null, "created_at": null, {extra_info}}}}}"#
        )
    );

    let shown = lab.ask("GET", &format!("{}/{id}", checkpoints()), "");
    let date = shown.json()["checkpoint"]["created_at"].as_str().unwrap().to_owned();
    let graph =
        format!(r#"[{{\"0x0\": [\"OS::Glance::Image\", \"{resource}\", \"demo-resource\", null]}}, []]"#);
    let document = format!(
        r#"{{"id": "{id}", "project_id": "{PROJECT}", "status": "available", "protection_plan": {{"id": "{plan}", "name": "demo-plan", "provider_id": "{PROVIDER_ID}", "resources": {resources}}}, "resource_graph": "{graph}", "created_at": "{date}", {extra_info}}}"#
    );
    assert_eq!(date.len(), "2026-11-23".len());
    assert_eq!(shown.text(), format!(r#"{{"checkpoint": {document}}}"#));
    assert_eq!(lab.ask("GET", &checkpoints(), "").text(), format!(r#"{{"checkpoints": [{document}]}}"#));
    assert_eq!(lab.karbor.created(), 1);
}

#[test]
fn answers_carry_karbors_fields() {
    let lab = Lab::new();
    for path in ["/providers", "/plans/zz"] {
        let reply = lab.ask("GET", path, "");
        let ids = [reply.field("X-Compute-Request-Id"), reply.field("X-Openstack-Request-Id")];
        assert!(
            ids.iter().all(|id| id.is_some_and(|id| id.starts_with("req-") && id.len() == 40)),
            "{ids:?}"
        );
        assert_ne!(ids[0], ids[1]);
        assert_eq!(reply.field("Content-Type"), Some("application/json"));
        assert_eq!(reply.field("Content-Length"), Some(reply.body.len().to_string().as_str()));
    }
}

#[test]
fn what_is_not_routed_is_answered_as_karbor_does() {
    let lab = Lab::new();
    let token = format!("X-Auth-Token: demo:{PROJECT}\r\n");
    let nowhere = format!("GET /v1/{PROJECT}/nope");
    for (fields, kind, start) in [
        ("", "text/plain; charset=UTF-8", "404 Not Found\n\nThe resource could not be found."),
        ("Accept: */*\r\n", "text/html; charset=UTF-8", "<html>\n <head>\n  <title>404 Not Found</title>"),
        (
            "Accept: application/json\r\n",
            "application/json",
            r#"{"message": "The resource could not be found."#,
        ),
    ] {
        let reply = lab.request(&nowhere, &format!("{token}{fields}"), "");
        assert_eq!((reply.status, reply.field("Content-Type")), (404, Some(kind)));
        assert!(reply.text().starts_with(start), "{}", reply.text());
    }
    let head = lab.request(&format!("HEAD /v1/{PROJECT}{}", checkpoints()), &token, "");
    assert_eq!((head.status, head.field("Content-Length"), head.text()), (404, Some("0"), ""));
    let outside = lab.request("GET /", &token, "");
    assert_eq!((outside.status, outside.text()), (500, ""));
    let offered = lab.request(&nowhere, "", "");
    assert_eq!((offered.status, offered.field("X-Auth-Token")), (204, Some("admin:admin")));
}

#[track_caller]
fn check(lab: &Lab, [method, path, body]: [&str; 3], status: u16, name: &str, message: &str) {
    let reply = lab.ask(method, path, body);
    assert_eq!(reply.status, status, "{method} {path} {body}: {}", reply.text());
    let expected = format!(r#"{{"{name}": {{"code": {status}, "message": "{message}"}}}}"#);
    assert_eq!(reply.text(), expected, "{method} {path} {body}");
}

#[test]
fn faults_have_karbors_status_and_words() {
    let lab = Lab::new();
    let id = lab.create();
    let (plan, all) = (&lab.plan, checkpoints());
    let one = format!("{all}/{id}");
    let good = lab.creation();
    let unexpected = "The server has either erred or is incapable of performing the requested operation.";
    let unwanted =
        "The server could not comply with the request since it is either malformed or otherwise incorrect.";
    for (method, path, body, message) in [
        ("POST", &all, "{", "Malformed request body"),
        ("POST", &all, "{}", "'checkpoint' is a required property"),
        (
            "POST",
            &format!("/providers/{NO_ID}/checkpoints"),
            &good,
            "Invalid plan: The parameter provider_id is not the same as the value in the plan.",
        ),
        ("GET", &format!("{all}/zz"), "", "Invalid checkpoint id provided."),
        ("GET", &all, "{}", unwanted),
        ("PUT", &one, r#"{"extra-info": {}}"#, "'os-resetState' is a required property"),
        ("GET", &format!("{all}?limit=0"), "", "limit param must be positive"),
        ("GET", &format!("{all}?limit=x"), "", "limit param must be an integer"),
        ("GET", &"/plans/zz".to_owned(), "", "Invalid plan id provided."),
    ] {
        check(&lab, [method, path, body], 400, "badRequest", message);
    }
    for (method, path, body) in
        [("POST", &all, r#"{"type": 1}"#), ("POST", &all, ""), ("GET", &format!("{all}?x=%ff"), "")]
    {
        check(&lab, [method, path, body], 500, "computeFault", unexpected);
    }
    let no_plan = format!("Plan {NO_ID} could not be found.");
    check(&lab, ["POST", &all, &good.replace(plan, NO_ID)], 404, "itemNotFound", &no_plan);
    let no_checkpoint = format!("Checkpoint {NO_ID} could not be found.");
    for method in ["GET", "DELETE"] {
        check(&lab, [method, &format!("{all}/{NO_ID}"), ""], 404, "itemNotFound", &no_checkpoint);
    }
    let malformed = r#"{"badRequest": {"code": 400, "message": "Malformed request url"}}"#;
    let fields = format!("X-Auth-Token: demo:{PROJECT}x\r\n");
    assert_eq!(lab.request(&format!("GET /v1/{PROJECT}{all}"), &fields, "").text(), malformed);
    assert_eq!(lab.karbor.created(), 1);
}

#[test]
fn a_plan_is_made_changed_and_deleted() {
    let lab = Lab::new();
    let instance = lab.ask("GET", "/protectables/OS::Glance::Image/instances/abc", "");
    assert_eq!(instance.json()["instance"]["id"], json!("abc"));
    let resource = json!({"id": "abc", "type": "OS::Glance::Image", "name": "img"});
    let wanted = json!({"provider_id": PROVIDER_ID, "parameters": {}, "name": "n", "resources": [resource]});
    let made = lab.ask("POST", "/plans", &json!({ "plan": wanted }).to_string()).json();
    let path = format!("/plans/{}", made["plan"]["id"].as_str().unwrap());
    assert_eq!(lab.ask("GET", &path, "").json(), made);
    let listed = lab.ask("GET", "/plans", "").json();
    assert_eq!((&listed["plans"][0], listed["plans"].as_array().unwrap().len()), (&made["plan"], 2));
    let changed = lab.ask("PUT", &path, r#"{"plan": {"name": "m"}}"#).json();
    assert_eq!((&changed["plan"]["name"], &changed["plan"]["resources"]), (&json!("m"), &json!([resource])));
    let deleted = lab.ask("DELETE", &path, "");
    assert_eq!((deleted.status, deleted.text(), lab.ask("GET", &path, "").status), (200, "", 404));
}

#[test]
fn a_checkpoint_is_reset_deleted_and_still_shown() {
    let lab = Lab::new();
    let id = lab.create();
    let one = format!("{}/{id}", checkpoints());
    let status = || lab.ask("GET", &one, "").json()["checkpoint"]["status"].clone();
    for state in ["error", "available"] {
        let reply = lab.ask("PUT", &one, &format!(r#"{{"os-resetState": {{"state": "{state}"}}}}"#));
        assert_eq!((reply.status, reply.text(), status()), (200, "{}", json!(state)));
    }
    let reply = lab.ask("DELETE", &one, "");
    assert_eq!((reply.status, reply.text(), status()), (200, "{}", json!("deleted")));
    assert_eq!(lab.ask("GET", &checkpoints(), "").text(), r#"{"checkpoints": []}"#);
    let again = format!("The checkpoint {id} can not be deleted.");
    check(&lab, ["DELETE", &one, ""], 500, "computeFault", &again);
}

#[test]
fn copies_begin_with_an_object_and_end_with_a_string() {
    let lab = Lab::new();
    let action = format!("{}/action", checkpoints());
    let copy = format!(r#"{{"copy": {{"plan_id": "{}"}}}}"#, lab.plan);
    let unprotected = "Invalid input received: The plan has not been protected.";
    check(&lab, ["POST", &action, &copy], 400, "badRequest", unprotected);
    let original = lab.create();
    let copied = lab.ask("POST", &action, &copy).json()["copy"]["checkpoint_id"][0].clone();
    assert_eq!(copied["checkpoint_protect_id"], json!(original));
    let one = format!("{}/{}", checkpoints(), copied["checkpoint_copy_id"].as_str().unwrap());
    for (status, extra_info) in
        [("wait_copying", json!({})), ("available", json!(r#"{"copy_status": "finished"}"#))]
    {
        let shown = lab.ask("GET", &one, "").json()["checkpoint"].clone();
        assert_eq!((&shown["status"], &shown["extra_info"]), (&json!(status), &extra_info));
    }
    let again = lab.ask("POST", &action, &copy).json()["copy"]["checkpoint_id"].clone();
    assert_eq!((again.as_array().unwrap().len(), lab.karbor.created()), (1, 3));
}

#[test]
fn a_full_page_links_to_the_next() {
    let lab = Lab::new();
    let ids: Vec<String> = (0..3).map(|_| lab.create()).collect();
    let list = |query: &str, fields: &str| {
        let line = format!("GET /v1/{PROJECT}{}?{query}", checkpoints());
        lab.request(&line, &format!("X-Auth-Token: demo:{PROJECT}\r\n{fields}"), "").json()
    };
    let page = list("limit=2&a=b%20c", "");
    assert_eq!(
        (&page["checkpoints"][0]["id"], &page["checkpoints"][1]["id"]),
        (&json!(ids[2]), &json!(ids[1]))
    );
    let href = format!("http://karbor:8799/v1/{PROJECT}/checkpoints?limit=2&a=b+c&marker={}", ids[1]);
    assert_eq!(page["checkpoints_links"], json!([{"rel": "next", "href": href}]));
    let rest = list(&format!("limit=2&marker={}", ids[1]), "");
    assert_eq!((&rest["checkpoints"][0]["id"], rest.get("checkpoints_links")), (&json!(ids[0]), None));
    let forwarded = list("limit=1", "X-Forwarded-Host: a, b:1\r\n");
    assert!(forwarded["checkpoints_links"][0]["href"].as_str().unwrap().starts_with("http://b:1/v1/"));
    assert_eq!(list(&format!("plan_id={NO_ID}"), ""), json!({"checkpoints": []}));
}

#[test]
fn pages_are_what_the_bank_makes_of_them() {
    let lab = Lab::new();
    let ids: Vec<String> = (0..4).map(|_| lab.create()).collect();
    let list = |query: &str| {
        let page = lab.ask("GET", &format!("{}?{query}", checkpoints()), "").json();
        let place = |one: &Value| ids.iter().position(|id| one["id"] == json!(id)).unwrap();
        let places: Vec<usize> = page["checkpoints"].as_array().unwrap().iter().map(place).collect();
        (places, page.get("checkpoints_links").is_some())
    };
    let middle = format!("limit=1&marker={}", ids[2]);
    assert_eq!((list("limit=3"), list(&middle)), ((vec![3, 2, 1], true), (vec![1], true)));
    lab.karbor.keep_in(Bank::Files);
    assert_eq!((list("limit=3"), list(&middle)), ((vec![2, 1, 0], true), (vec![0], true)));
    lab.karbor.keep_in(Bank::Descending);
    assert_eq!((list("limit=3"), list(&middle)), ((vec![0, 1, 2, 3], true), (vec![0, 1], true)));
    assert_eq!(list("limit=5"), (vec![0, 1, 2, 3], false));
}

#[test]
fn of_several_parameters_karbor_takes_one() {
    let lab = Lab::new();
    let ids: Vec<String> = (0..3).map(|_| lab.create()).collect();
    let count = |query: String| {
        lab.ask("GET", &format!("{}?{query}", checkpoints()), "").json()["checkpoints"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(count("limit=1;limit=2".to_owned()), Some(1));
    assert_eq!(count(format!("marker={}&marker={}", ids[1], ids[2])), Some(1));
    assert_eq!(count(format!("plan_id={NO_ID}&plan_id={}", lab.plan)), Some(3));
    assert_eq!(count(format!("plan_id={}&plan_id={NO_ID}", lab.plan)), Some(0));
}

#[test]
fn tenants_are_kept_apart() {
    let lab = Lab::new();
    let all = format!("/v1/other{}", checkpoints());
    let one = format!("{all}/{}", lab.create());
    let fields = "X-Auth-Token: x:other\r\nContent-Type: application/json\r\n";
    assert_eq!(lab.request(&format!("POST {all}"), fields, &lab.creation()).status, 404);
    assert_eq!(lab.request(&format!("GET {one}"), fields, "").status, 403);
    assert_eq!(lab.request(&format!("DELETE {one}"), fields, "").status, 403);
    assert_eq!(lab.request(&format!("GET {all}"), fields, "").text(), r#"{"checkpoints": []}"#);
}

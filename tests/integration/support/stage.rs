//! The proxy before the stand-in Karbor, with a plan to make checkpoints of.

use std::net::{Ipv4Addr, SocketAddr};

use karbor_admission::demo::{Record, StandIn};
use serde_json::Value;

use super::{Client, PATIENCE, PROJECT, Reply, Request, TestApp, checkpoints};

/// Everything a client needs.
pub(crate) struct Stage {
    pub(crate) app: TestApp,
    pub(crate) karbor: StandIn,
    /// A plan of [`PROJECT`].
    pub(crate) plan: String,
}

/// The body of a creation, its map as JSON text.
pub(crate) fn body_of(plan: &str, extra_info: &str) -> String {
    format!(r#"{{"checkpoint": {{"plan_id": "{plan}", "extra-info": {extra_info}}}}}"#)
}

/// With these settings over what is shipped.
pub(crate) fn stage(settings: &str) -> Stage {
    let karbor = StandIn::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let plan = karbor.create_plan(PROJECT);
    Stage { app: TestApp::before(karbor.addr(), settings), karbor, plan }
}

impl Stage {
    pub(crate) fn client(&self) -> Client {
        self.app.client()
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Request) -> Reply {
        self.client().ask(request)
    }

    /// A creation with that map, as JSON text.
    pub(crate) fn creation(&self, extra_info: &str) -> Request {
        self.creation_of(&body_of(&self.plan, extra_info))
    }

    /// A creation with that body.
    pub(crate) fn creation_of(&self, body: &str) -> Request {
        Request::new("POST", &checkpoints(PROJECT)).json(body)
    }

    /// A checkpoint made at the stand-in, past the proxy; gives its path.
    pub(crate) fn checkpoint(&self) -> String {
        let reply = Client::to(self.karbor.addr()).ask(&self.creation("null"));
        let id = reply.json()["checkpoint"]["id"].as_str().unwrap().to_owned();
        format!("{}/{id}", checkpoints(PROJECT))
    }

    /// What the stand-in received, once there are so many requests that it has answered.
    #[track_caller]
    pub(crate) fn received(&self, count: usize) -> Vec<Record> {
        let arrived = self
            .karbor
            .wait_until(PATIENCE, |log| log.iter().filter(|record| record.status.is_some()).count() >= count);
        assert!(arrived, "not {count} requests: {:#?}", self.karbor.log());
        self.karbor.log()
    }

    /// Ends it; gives the audit lines.
    #[track_caller]
    pub(crate) fn end(self) -> Vec<Value> {
        self.app.stop()
    }
}

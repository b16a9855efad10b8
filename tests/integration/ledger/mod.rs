//! What was admitted comes back, can be searched, and counts: the proxy with a ledger, whole.

mod connections;
mod counting;
mod outcomes;
mod reading;
mod searching;
mod verify_safely;
mod verifying;

use serde_json::Value;

use crate::support::{LedgerFolder, Reply, Request, Stage, checkpoints, stage};

/// A proxy with a ledger of its own before the stand-in.
pub(crate) struct Kept {
    pub(crate) stage: Stage,
    pub(crate) folder: LedgerFolder,
}

pub(crate) fn kept(settings: &str) -> Kept {
    let folder = LedgerFolder::new();
    Kept { stage: stage(&folder.settings(settings)), folder }
}

impl Kept {
    /// A creation with that map; the checkpoint's id.
    #[track_caller]
    pub(crate) fn create(&self, map: &str) -> String {
        let reply = self.stage.ask(&self.stage.creation(map));
        assert_eq!(reply.status, 200, "{}", reply.text());
        id_of(&reply)
    }

    #[track_caller]
    pub(crate) fn show(&self, id: &str) -> Value {
        let reply = self.stage.ask(&Request::new("GET", &member(id)));
        assert_eq!(reply.status, 200, "{}", reply.text());
        map_of(&reply.json()["checkpoint"])
    }

    /// The ids in the answer to a list, and the link to the next page.
    #[track_caller]
    pub(crate) fn list(&self, target: &str) -> (Vec<String>, Option<String>) {
        let reply = self.stage.ask(&Request::new("GET", target));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer = reply.json();
        let items = answer["checkpoints"].as_array().unwrap().iter();
        let ids = items.map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        let next = answer["checkpoints_links"][0]["href"].as_str().map(str::to_owned);
        (ids, next)
    }
}

pub(crate) fn member(id: &str) -> String {
    format!("{}/{id}", checkpoints(crate::support::PROJECT))
}

#[track_caller]
pub(crate) fn id_of(reply: &Reply) -> String {
    reply.json()["checkpoint"]["id"].as_str().unwrap().to_owned()
}

/// The map that stands as a string in a checkpoint.
#[track_caller]
pub(crate) fn map_of(checkpoint: &Value) -> Value {
    let text = checkpoint["extra_info"].as_str().unwrap_or_else(|| panic!("{checkpoint}"));
    serde_json::from_str(text).unwrap()
}

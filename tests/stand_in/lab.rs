//! A stand-in with a plan, and a client that sends the very bytes it is given.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use karbor_admission::demo::{PROVIDER_ID, StandIn};
use serde_json::Value;

pub(crate) const PROJECT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";
pub(crate) const NO_ID: &str = "00000000-0000-4000-8000-000000000000";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Lab {
    pub(crate) karbor: StandIn,
    pub(crate) plan: String,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let karbor = StandIn::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let plan = karbor.create_plan(PROJECT);
        Self { karbor, plan }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.karbor.addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these very bytes, and reads until the stand-in closes.
    pub(crate) fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Sends a request with these fields besides `Host` and `Connection`, and the length of the body.
    pub(crate) fn request(&self, line: &str, fields: &str, body: &str) -> Reply {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head =
            format!("{line} HTTP/1.1\r\nHost: karbor:8799\r\nConnection: close\r\n{fields}{length}\r\n");
        Reply::read(&self.send(format!("{head}{body}").as_bytes()))
    }

    /// A request with a token and a JSON body, below the project's path.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let fields = format!("X-Auth-Token: demo:{PROJECT}\r\nContent-Type: application/json\r\n");
        self.request(&format!("{method} /v1/{PROJECT}{path}"), &fields, body)
    }

    /// The body of a creation, with a map.
    pub(crate) fn creation(&self) -> String {
        format!(r#"{{"checkpoint": {{"plan_id": "{}", "extra-info": {{"note": "hello"}}}}}}"#, self.plan)
    }

    /// Makes a checkpoint and gives its id.
    pub(crate) fn create(&self) -> String {
        let reply = self.ask("POST", &checkpoints(), &self.creation());
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["checkpoint"]["id"].as_str().unwrap().to_owned()
    }
}

impl Reply {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The value of a field, its name spelled as Karbor does.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The path of the checkpoints, below the project's.
pub(crate) fn checkpoints() -> String {
    format!("/providers/{PROVIDER_ID}/checkpoints")
}

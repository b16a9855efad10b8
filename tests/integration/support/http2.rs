//! A client that speaks HTTP/2; a thread sees to its connection.

use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Method};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{PATIENCE, Request};

/// One connection. Requests on it may wait beside each other.
pub(crate) struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first detail of a fault.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let fault = self.json();
        let fault = fault.as_object().unwrap().values().next().unwrap();
        fault["details"][0]["rule"].as_str().unwrap_or_default().to_owned()
    }
}

impl Http2 {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let new = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (opened, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            new().block_on(async {
                let socket = TcpStream::connect(address).await.unwrap();
                let (sender, connection) = h2::client::handshake(socket).await.unwrap();
                opened.send(sender).unwrap();
                let _ = connection.await;
            });
        });
        let (runtime, sender) = (new(), receiver.recv().unwrap());
        Self { runtime, sender }
    }

    /// Sends; the answer is waited for with [`Http2::answer`].
    #[track_caller]
    pub(crate) fn send(&mut self, request: &Request) -> ResponseFuture {
        self.try_send(request).unwrap()
    }

    pub(crate) fn try_send(&mut self, request: &Request) -> Result<ResponseFuture, h2::Error> {
        let host = request.fields().iter().find(|(name, _)| name == "Host").map(|(_, value)| value.clone());
        let uri = format!("http://{}{}", host.unwrap_or_default(), request.target);
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut head = http::Request::builder().method(method).uri(uri);
        for (name, value) in request.fields().iter().filter(|(name, _)| name != "Host") {
            head = head.header(name.to_ascii_lowercase(), value);
        }
        let ready = self.runtime.block_on(self.sender.clone().ready())?;
        self.sender = ready;
        let body = Bytes::copy_from_slice(request.content());
        let (answer, mut stream) = self.sender.send_request(head.body(()).unwrap(), body.is_empty())?;
        if !body.is_empty() {
            // A refused head may be answered, and its stream closed, by now: the answer is what counts.
            let _closed = stream.send_data(body, true);
        }
        Ok(answer)
    }

    pub(crate) fn answer(&self, answer: ResponseFuture) -> Result<Answer, h2::Error> {
        self.runtime.block_on(async {
            let whole = async {
                let (head, mut stream) = answer.await?.into_parts();
                let mut body = Vec::new();
                while let Some(data) = stream.data().await {
                    let data = data?;
                    stream.flow_control().release_capacity(data.len())?;
                    body.extend_from_slice(&data);
                }
                Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
            };
            tokio::time::timeout(PATIENCE, whole).await.unwrap()
        })
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        let answer = self.send(request);
        self.answer(answer).unwrap()
    }
}

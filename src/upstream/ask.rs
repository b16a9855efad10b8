//! One request on a connection of its own, and its answer read whole: for whoever asks now and then.
//!
//! Without the pool, the health and the queue of requests that go through. Leaves what is asked, and what an answer
//! means, to the caller.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use http_body::Body;

use super::body::poll_next;
use super::connect::reach;
use super::converse::converse;
use super::line::Line;
use super::outgoing::{Head, Outgoing};
use super::{Endpoint, Tls};

/// How long one such request may take, and how much is read.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To connect to one address.
    pub to_connect: Duration,
    /// For everything.
    pub in_all: Duration,
    /// Bytes of the answer's body.
    pub most_bytes: usize,
}

/// The status and the body of the answer to `request`, which names its host.
///
/// # Errors
/// When there is none in time, or it is too large.
pub async fn ask<B>(
    endpoint: &Endpoint,
    tls: Option<&Tls>,
    request: Request<B>,
    patience: Patience,
) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let asked = async {
        let mut line = Line::new(reach(endpoint, tls, patience.to_connect).await?);
        let (parts, body) = request.into_parts();
        let Parts { method, uri, headers, .. } = parts;
        let mut outgoing = Outgoing::of(&Head { method, uri, headers, lines: Rc::default() }, body);
        // It names its host.
        outgoing.begin(&HeaderValue::from_static(""));
        let (head, mut reader) = converse(&mut line, &mut outgoing).await?;
        let mut body = BytesMut::new();
        while let Some(data) = poll_fn(|cx| poll_next(&mut line, &mut reader, cx)).await {
            body.extend_from_slice(&data?);
            if body.len() > patience.most_bytes {
                return Err("the answer is too large".into());
            }
        }
        Ok((head.status, body.freeze()))
    };
    match tokio::time::timeout(patience.in_all, asked).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

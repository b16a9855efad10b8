//! One request on a connection of its own, and its answer read whole: for whoever asks now and then.
//!
//! Without the pool, the health and the queue of requests that go through. Leaves what is asked, and what an answer
//! means, to the caller.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::connect::reach;
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
        let stream = reach(endpoint, tls, patience.to_connect).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let answered = async {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, patience.most_bytes).collect().await?.to_bytes();
            Ok((parts.status, body))
        };
        tokio::pin!(answered);
        tokio::select! {
            answer = &mut answered => answer,
            ended = connection => {
                ended?;
                // What was read before the end is still to be had.
                answered.await
            }
        }
    };
    match tokio::time::timeout(patience.in_all, asked).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

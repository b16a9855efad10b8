//! One request and the head of its answer, on one connection.
//!
//! Both ways at once: an answer may come before the whole request was read, and stands. Leaves time to `attempt`.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body;

use super::failure::Broken;
use super::line::{HEAD_ROOM, Line};
use super::outgoing::Outgoing;
use crate::wire::{AnswerHead, AnswerReader, BadAnswer};

/// Sends, and waits for the head of the answer.
///
/// # Errors
/// When the connection fails, the request's own body does, or what comes is no answer.
pub(super) async fn converse<B>(
    line: &mut Line,
    outgoing: &mut Outgoing<B>,
) -> Result<(AnswerHead, AnswerReader), Broken>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    give_way().await;
    let mut reader = AnswerReader::to(outgoing.method());
    let mut sends = true;
    // Why it does not any more, where that was too early: what was answered before is still to be had.
    let mut cause = None;
    poll_fn(|cx| {
        if sends {
            match outgoing.poll_send(line, cx) {
                Poll::Ready(Ok(())) => sends = false,
                Poll::Ready(Err(error @ Broken::Connection(_))) if line.sent() > 0 => {
                    (sends, cause) = (false, Some(error));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
        }
        poll_head(line, &mut reader, cx).map_err(|error| cause.take().unwrap_or(error))
    })
    .await
    .map(|head| (head, reader))
}

/// Lets every other task that is ready go first, right before something is sent. So what has come for all of them is
/// read and judged before anything is sent for one: Karbor and clients are woken once for many messages, and not for
/// each, which costs more than to wait here.
pub async fn give_way() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn poll_head(
    line: &mut Line,
    reader: &mut AnswerReader,
    cx: &mut Context<'_>,
) -> Poll<Result<AnswerHead, Broken>> {
    loop {
        if !line.input.is_empty()
            && let Some(head) = reader.head(&mut line.input)?
        {
            return Poll::Ready(Ok(head));
        }
        match line.poll_receive(cx, HEAD_ROOM) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(BadAnswer::Closed.into())),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Connection(error))),
            Poll::Pending => return Poll::Pending,
        }
    }
}

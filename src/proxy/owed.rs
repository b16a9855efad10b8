//! What is carried out once it was begun: a client that hangs up strands nothing.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::Response;

use super::peer::Peer;
use super::{AnswerBody, Proxy, respond};
use crate::drain;
use crate::karbor::request_id::RequestId;

/// Whether work was begun that is owed. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun(Rc<Cell<bool>>);

impl Begun {
    /// From here on it is owed.
    pub(super) fn set(&self) {
        self.0.set(true);
    }
}

/// Does `work`, and, once it was begun, goes on with it in a task of its own when it is dropped: the shutdown waits for
/// that. In a box, because it is moved then.
pub(super) struct Owed<W: Future<Output = Response<AnswerBody>> + 'static> {
    /// None once it is done.
    work: Option<Pin<Box<W>>>,
    proxy: Rc<Proxy>,
    peer: Rc<Peer>,
    request_id: RequestId,
    begun: Begun,
}

impl<W: Future<Output = Response<AnswerBody>> + 'static> Owed<W> {
    pub(super) fn new(
        proxy: Rc<Proxy>,
        peer: Rc<Peer>,
        request_id: RequestId,
        begun: Begun,
        work: W,
    ) -> Self {
        peer.stay.owe();
        Self { work: Some(Box::pin(work)), proxy, peer, request_id, begun }
    }
}

impl<W: Future<Output = Response<AnswerBody>> + 'static> Future for Owed<W> {
    type Output = Response<AnswerBody>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<AnswerBody>> {
        let this = &mut *self;
        let Some(work) = &mut this.work else { return Poll::Pending };
        // It ends this request alone. What it leaves behind is not looked at again.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        let mut answer = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => answer,
            Err(panic) if !this.begun.0.get() => resume_unwind(panic),
            Err(_panic) => respond::ended_badly(this.request_id),
        };
        this.work = None;
        if this.peer.stay.is_closed() {
            answer.body_mut().client_left();
        }
        Poll::Ready(answer)
    }
}

impl<W: Future<Output = Response<AnswerBody>> + 'static> Drop for Owed<W> {
    fn drop(&mut self) {
        let Some(work) = self.work.take().filter(|_| self.begun.0.get()) else { return };
        // Until its end it counts as the client's connection.
        let peer = self.peer.clone();
        drain::spawn_awaited(self.proxy.drain.watcher(), |watcher| async move {
            let mut unheard = work.await;
            unheard.body_mut().client_left();
            drop((peer, watcher));
        });
    }
}

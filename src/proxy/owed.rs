//! What is carried out once it was begun: a client that hangs up strands nothing.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use http::Response;
use tokio::sync::oneshot;

use super::peer::Peer;
use super::{AnswerBody, respond};
use crate::drain::{self, Watcher};

/// Does `work` in a task of its own, which the shutdown waits for, and answers whoever may still listen.
///
/// No `async fn`: the work would be kept in its future too. In a box, because it is large, and moved on the way.
pub(super) fn owed(
    peer: Rc<Peer>,
    watcher: Watcher,
    request_id: String,
    work: Pin<Box<impl Future<Output = Response<AnswerBody>> + 'static>>,
) -> impl Future<Output = Response<AnswerBody>> {
    peer.stay.owe();
    let stay = peer.stay.clone();
    let (answer, answered) = oneshot::channel();
    drain::spawn_awaited(watcher, |watcher| async move {
        if let Err(mut unheard) = answer.send(work.await) {
            unheard.body_mut().client_left();
        }
        // Until here it counts as the client's connection.
        drop((peer, watcher));
    });
    async move {
        // The task is only gone without an answer if it ended badly.
        let mut answer = answered.await.unwrap_or_else(|_gone| respond::ended_badly(&request_id));
        if stay.is_closed() {
            answer.body_mut().client_left();
        }
        answer
    }
}

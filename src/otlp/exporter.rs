//! The thread that sends spans to the collector: in batches, again after a pause where that may help.
//!
//! Requests wait for none of it. What cannot be delivered is counted; the log says why, once a minute at most.

use std::io;
use std::sync::mpsc::{Receiver as Ended, RecvTimeoutError, channel as ending};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::OtlpOptions;
use super::encode::encode;
use crate::telemetry::metrics::{SpanCounters, SpanDrop};
use crate::telemetry::spans::{Span, Spans};
use crate::upstream::{Patience, Tls, TlsError, TlsFiles, ask};

/// The most spans of one document: some 600 KiB.
const BATCH_SPANS: usize = 512;
/// How long a batch that is not full waits for more.
const GATHERING: Duration = Duration::from_millis(200);
/// Before each further attempt.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
const PATIENCE: Patience =
    Patience { to_connect: Duration::from_secs(3), in_all: Duration::from_secs(10), most_bytes: 64 * 1024 };
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// How much later than it should the thread may end.
const SLACK: Duration = Duration::from_secs(1);

/// Spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The collector's certificate could not be verified.
    #[error("cannot set up TLS to the collector")]
    Tls(#[source] TlsError),
    /// The thread that sends could not be started.
    #[error("cannot start the exporter of spans")]
    Thread(#[source] io::Error),
}

/// The exporter did not end in time: spans may be missing, uncounted.
#[derive(Debug, thiserror::Error)]
#[error("the exporter of spans did not end within {} s", .0.as_secs_f64())]
pub struct Unsent(pub Duration);

/// The exporter as its owner sees it.
#[must_use = "spans still queued are lost unless the exporter is closed"]
pub struct Exporter {
    ended: Ended<()>,
    end: watch::Sender<Option<Instant>>,
}

impl Exporter {
    /// Starts the thread. Nothing is connected yet: a collector may come and go.
    ///
    /// # Errors
    /// When the certificates or a thread cannot be had.
    pub fn start(options: &OtlpOptions, counters: SpanCounters) -> Result<(Spans, Self), OtlpError> {
        let files = TlsFiles { authorities: options.authorities.clone(), ..TlsFiles::default() };
        let tls = options.endpoint.is_secure().then(|| Tls::read(&files)).transpose();
        let (queue, spans) = mpsc::channel(options.queue_spans.max(1));
        let (end, ordered) = watch::channel(None);
        let (alive, ended) = ending();
        let export = Export {
            options: options.clone(),
            tls: tls.map_err(OtlpError::Tls)?,
            spans,
            batch: Vec::new(),
            counters: counters.clone(),
            complained: None,
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(OtlpError::Thread)?;
        let work = move || {
            runtime.block_on(export.live(ordered));
            drop(alive);
        };
        thread::Builder::new().name("spans".to_owned()).spawn(work).map_err(OtlpError::Thread)?;
        Ok((Spans::into_queue(queue, options.ratio, counters), Self { ended, end }))
    }

    /// Sends what is queued and ends the thread; waits, blocking, for about `deadline` at most. Call it when the last
    /// exchange has ended: spans recorded from now on are dropped.
    ///
    /// # Errors
    /// When the thread is still there then.
    pub fn close(self, deadline: Duration) -> Result<(), Unsent> {
        self.end.send_replace(Some(Instant::now() + deadline));
        match self.ended.recv_timeout(deadline + SLACK) {
            // Its end is the thread dropping the other half.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(Unsent(deadline)),
        }
    }
}

struct Export {
    options: OtlpOptions,
    tls: Option<Tls>,
    spans: mpsc::Receiver<Span>,
    /// What is under way: kept until the collector has it, or it is counted as lost.
    batch: Vec<Span>,
    counters: SpanCounters,
    complained: Option<Instant>,
}

/// What came of one attempt.
enum Outcome {
    /// The collector took them, but for so many.
    Taken(u64),
    /// It never will.
    Refused(String),
    /// It may, later.
    Failed(String),
}

/// The order to end, with the time until which there is.
struct End(watch::Receiver<Option<Instant>>);

impl End {
    /// Until it is given. At once where nobody is left to give it: then nobody waits, either.
    async fn given(&mut self) -> Instant {
        let order = self.0.wait_for(Option::is_some).await;
        order.ok().and_then(|order| *order).unwrap_or_else(Instant::now)
    }

    fn is_given(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits so long, but not beyond the order.
    async fn pause(&mut self, time: Duration) {
        let _over_or_given = timeout(time, self.given()).await;
    }
}

impl Export {
    async fn live(mut self, ordered: watch::Receiver<Option<Instant>>) {
        let mut end = End(ordered.clone());
        let late = async move { sleep_until(End(ordered).given().await).await };
        tokio::select! {
            () = self.work(&mut end) => return,
            () = late => {}
        }
        self.spans.close();
        while self.fill() {
            self.lose(SpanDrop::Closed);
        }
    }

    /// Until nobody is left to record spans, or the order is given and what is left was sent. What is on its way
    /// when the order comes is waited for: sent again, the collector would have it twice.
    async fn work(&mut self, end: &mut End) {
        loop {
            tokio::select! {
                span = self.spans.recv() => match span {
                    Some(span) => self.batch.push(span),
                    None => return,
                },
                _ = end.given(), if !self.spans.is_closed() => {
                    self.spans.close();
                    continue;
                }
            }
            if self.spans.len() < BATCH_SPANS {
                end.pause(GATHERING).await;
            }
            self.fill();
            self.deliver(end).await;
        }
    }

    /// Takes what waits into the batch, as far as it goes. Whether there is anything.
    fn fill(&mut self) -> bool {
        while self.batch.len() < BATCH_SPANS
            && let Ok(span) = self.spans.try_recv()
        {
            self.batch.push(span);
        }
        !self.batch.is_empty()
    }

    /// Sends the batch, and again after a pause where that may help; once more at most after the order to end.
    async fn deliver(&mut self, end: &mut End) {
        for pause in PAUSES {
            let is_last = end.is_given();
            match self.post().await {
                Outcome::Failed(why) if !is_last => self.complain(&why),
                outcome => return self.settle(outcome),
            }
            end.pause(pause).await;
        }
        let outcome = self.post().await;
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken(rejected) => {
                let spans = self.batch.len() as u64;
                self.counters.exported(spans - rejected.min(spans));
                self.counters.dropped(SpanDrop::Refused, rejected.min(spans));
                self.batch.clear();
            }
            Outcome::Refused(why) => {
                self.complain(&why);
                self.lose(SpanDrop::Refused);
            }
            Outcome::Failed(why) => {
                self.complain(&why);
                self.lose(SpanDrop::Failed);
            }
        }
    }

    fn lose(&mut self, reason: SpanDrop) {
        self.counters.dropped(reason, self.batch.len() as u64);
        self.batch.clear();
    }

    async fn post(&self) -> Outcome {
        let request = match self.request() {
            Ok(request) => request,
            Err(why) => return Outcome::Refused(why),
        };
        match ask(&self.options.endpoint, self.tls.as_ref(), request, PATIENCE).await {
            Ok((status, body)) if status.is_success() => Outcome::Taken(rejected(&body)),
            Ok((status, _)) if may_pass(status) => Outcome::Failed(format!("it answered {status}")),
            Ok((status, _)) => Outcome::Refused(format!("it answered {status}")),
            Err(error) => Outcome::Failed(chain(&*error)),
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let document = encode(&self.batch).map_err(|error| error.to_string())?;
        Request::post(self.options.target.as_str())
            .header(header::HOST, self.options.endpoint.host_header())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("karbor-admission/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(document.into()))
            .map_err(|error| error.to_string())
    }

    fn complain(&mut self, why: &str) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.complained = Some(Instant::now());
            let collector = &self.options.endpoint;
            tracing::warn!(%collector, error = why, "the collector does not take spans");
        }
    }
}

/// Whether the same may be taken later, as the protocol says.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// How many spans the collector did not take, by its own word.
fn rejected(body: &[u8]) -> u64 {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or_default()
}

/// An error and its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::SystemTime;

    use http::uri::PathAndQuery;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::yield_now;

    use super::*;
    use crate::telemetry::metrics::MetricsHub;
    use crate::wire::{SpanId, TraceId, TraceParent};

    fn span() -> Span {
        Span {
            context: TraceParent::root(TraceId::of(1).unwrap(), SpanId::of(1).unwrap()),
            parent: None,
            name: "GET".into(),
            started: SystemTime::UNIX_EPOCH,
            duration: Duration::from_millis(1),
            attributes: Vec::new(),
            failed: false,
            error: None,
        }
    }

    fn export(address: SocketAddr, spans: mpsc::Receiver<Span>, counters: SpanCounters) -> Export {
        let options = OtlpOptions {
            endpoint: address.into(),
            target: PathAndQuery::from_static("/v1/traces"),
            authorities: None,
            ratio: 1.0,
            queue_spans: 8,
        };
        Export { options, tls: None, spans, batch: Vec::new(), counters, complained: None }
    }

    /// The next request that the collector gets, whole.
    async fn request(collector: &TcpListener) -> TcpStream {
        let (mut stream, _) = collector.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
        }
        stream
    }

    /// The order to end comes while a span is on its way. The collector answers that with each of these in turn.
    async fn end_on_the_way(answers: &[&str]) {
        let hub = MetricsHub::bare();
        let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (queue, spans) = mpsc::channel(8);
        let (end, ordered) = watch::channel(None);
        let export = export(collector.local_addr().unwrap(), spans, hub.span_counters());
        queue.try_send(span()).unwrap();
        let course = async {
            for (at, answer) in answers.iter().enumerate() {
                let mut stream = request(&collector).await;
                if at == 0 {
                    end.send_replace(Some(Instant::now() + PATIENCE.in_all));
                }
                for _ in 0..64 {
                    yield_now().await;
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        tokio::join!(export.live(ordered), course);
        let text = hub.encode();
        assert!(text.contains("karbor_admission_spans_total 1\n"), "{text}");
    }

    #[tokio::test]
    async fn what_is_on_its_way_at_the_end_is_sent_once() {
        end_on_the_way(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]).await;
    }

    #[tokio::test]
    async fn what_the_collector_could_not_take_then_is_sent_once_more() {
        let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        end_on_the_way(&[busy, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]).await;
    }

    #[test]
    fn reads_how_many_spans_were_not_taken() {
        for (body, expected) in [
            ("", 0),
            ("{}", 0),
            (r#"{"partialSuccess": {}}"#, 0),
            (r#"{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "x"}}"#, 3),
            (r#"{"partialSuccess": {"rejectedSpans": 4}}"#, 4),
            (r#"{"partialSuccess": {"rejectedSpans": -1}}"#, 0),
            (r#"{"partialSuccess": {"rejectedSpans": []}}"#, 0),
            ("[", 0),
        ] {
            assert_eq!(rejected(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn tries_again_what_may_pass() {
        let passing: Vec<u16> =
            (400..600).filter(|&status| StatusCode::from_u16(status).is_ok_and(may_pass)).collect();
        assert_eq!(passing, [429, 502, 503, 504]);
    }
}

//! An upstream that does what a script says with each of its connections.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::eventually;
use super::message::{Fields, Wire};

/// Listens until dropped; its connections are cut then.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    streams: Mutex<Vec<(usize, TcpStream)>>,
    ended: AtomicBool,
}

/// A whole answer with that JSON.
pub(crate) fn json_answer(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

/// One connection of the upstream, in the hands of the script.
pub(crate) struct Link {
    /// Which connection, from 0.
    pub(crate) number: usize,
    pub(crate) wire: Wire,
    shared: Arc<Shared>,
}

impl Scripted {
    /// Plays `script` on every connection, each on a thread of its own. The connection closes when it ends.
    pub(crate) fn new(script: impl Fn(Link) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// The same on a listener that is there already.
    pub(crate) fn on(listener: TcpListener, script: impl Fn(Link) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (script, accepting) = (Arc::new(script), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let mut players = Vec::new();
            for stream in listener.incoming() {
                if accepting.ended.load(Ordering::Acquire) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let number = accepting.connections.fetch_add(1, Ordering::AcqRel);
                accepting.streams.lock().unwrap().push((number, stream.try_clone().unwrap()));
                let link = Link { number, wire: Wire::new(stream), shared: Arc::clone(&accepting) };
                let script = Arc::clone(&script);
                players.push(std::thread::spawn(move || script(link)));
            }
            for player in players {
                let _ = player.join();
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Gives every request the same answer, connections kept.
    pub(crate) fn answering(answer: &str) -> Self {
        let answer = answer.to_owned();
        Self::new(move |mut link| {
            while link.request().is_some() {
                link.send(&answer);
            }
        })
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// The requests read whole so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Ends, and gives every request that was read whole.
    pub(crate) fn end(self) -> Vec<Seen> {
        let shared = Arc::clone(&self.shared);
        drop(self);
        std::mem::take(&mut shared.seen.lock().unwrap())
    }

    /// Waits for so many requests.
    #[track_caller]
    pub(crate) fn until_seen(&self, count: usize) {
        eventually("requests arrive upstream", || self.shared.seen.lock().unwrap().len() >= count);
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        for (_, stream) in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Link {
    /// The head of the next request; nothing when the other side is done, or not HTTP.
    pub(crate) fn head(&mut self) -> Option<Seen> {
        let head = self.wire.head().ok()??;
        let mut words = head.line.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        Some(Seen { method, target, fields: head.fields, body: Vec::new() })
    }

    /// The next request, whole.
    pub(crate) fn request(&mut self) -> Option<Seen> {
        let head = self.wire.head().ok()??;
        let mut words = head.line.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let mut body = Vec::new();
        if let Some(framing) = head.framing() {
            self.wire.body(framing, &mut body).ok()?;
        }
        let seen = Seen { method, target, fields: head.fields, body };
        self.shared.seen.lock().unwrap().push(seen.clone());
        Some(seen)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.write(bytes.as_ref());
    }

    /// Ends with a reset.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.wire.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Waits until the other side closes, whatever it still says.
    pub(crate) fn until_closed(mut self) {
        let _ = self.wire.rest();
    }
}

impl Drop for Link {
    /// The clone that ends the script with the test would keep the connection open.
    fn drop(&mut self) {
        self.shared.streams.lock().unwrap().retain(|(number, _)| *number != self.number);
    }
}

//! One process after the other on the same addresses, without a client that notices; and what a service manager is
//! told meanwhile.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{Client, Ground, Request, Scripted, eventually, json_answer};

fn karbor() -> Scripted {
    Scripted::answering(&json_answer("{}"))
}

/// Clients that ask on and on, half of them on a new connection each time, and take nothing but good answers.
struct Load {
    ended: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (ended, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..6)
            .map(|at| {
                let (ended, answered) = (ended.clone(), answered.clone());
                thread::spawn(move || ask_on(address, at % 2 == 0, &ended, &answered))
            })
            .collect();
        Self { ended, answered, clients }
    }

    /// Waits until so many more were answered.
    fn until_more(&self, more: u64) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("requests are answered", || self.answered.load(Ordering::Relaxed) >= before + more);
    }

    fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        self.answered.load(Ordering::Relaxed)
    }
}

fn ask_on(address: SocketAddr, keeps: bool, ended: &AtomicBool, answered: &AtomicU64) {
    let mut kept: Option<Client> = None;
    while !ended.load(Ordering::Relaxed) {
        let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap();
        let mut client = kept.take().unwrap_or_else(|| Client::on(connect()));
        let reply = client.ask(&Request::new("GET", "/v1/p/plans"));
        assert_eq!(reply.status, 200);
        answered.fetch_add(1, Ordering::Relaxed);
        if keeps && reply.fields.one("connection") != Some("close") {
            kept = Some(client);
        }
    }
}

#[test]
fn an_upgrade_beside_the_old_process_loses_nothing() {
    const UPGRADES: usize = 4;
    let karbor = karbor();
    let ground = Ground::before(karbor.address, "");
    let mut old = ground.start();
    old.until_ready();
    let load = Load::on(ground.address);
    for _ in 0..UPGRADES {
        load.until_more(100);
        let new = ground.start();
        new.until_ready();
        old.signal("USR1");
        assert_eq!(old.says(), "STOPPING=1\nSTATUS=draining");
        assert!(old.until_ended().success());
        old = new;
    }
    load.until_more(100);
    println!("{} requests, {UPGRADES} upgrades", load.end());
    old.signal("TERM");
    assert!(old.until_ended().success());
}

#[test]
fn a_restart_on_sockets_that_the_service_manager_holds_loses_nothing() {
    const RESTARTS: usize = 3;
    let karbor = karbor();
    let ground = Ground::before(karbor.address, "");
    let [clients, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let address = clients.local_addr().unwrap();
    let mut process = ground.start_with([&clients, &admin]);
    process.until_ready();
    let load = Load::on(address);
    for _ in 0..RESTARTS {
        load.until_more(100);
        process.signal("TERM");
        assert!(process.until_ended().success());
        process = ground.start_with([&clients, &admin]);
        process.until_ready();
    }
    load.until_more(100);
    println!("{} requests, {RESTARTS} restarts", load.end());
    let ready = Client::to(admin.local_addr().unwrap()).ask(&Request::new("GET", "/readyz"));
    assert_eq!(ready.status, 200);
    process.signal("TERM");
    assert!(process.until_ended().success());
}

#[test]
fn the_service_manager_is_told() {
    let karbor = karbor();
    let ground = Ground::before(karbor.address, "");
    let process = ground.start();
    process.until_ready();
    assert_eq!(process.says_anything(), "WATCHDOG=1");
    let mut config = std::fs::OpenOptions::new().append(true).open(ground.config()).unwrap();
    config.write_all(b"reload.watch = false\n").unwrap();
    process.signal("HUP");
    let said = process.says();
    let since = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(since.is_some_and(|since| since.parse::<u64>().is_ok()), "{said}");
    process.until_ready();
    config.write_all(b"nonsense = 1\n").unwrap();
    process.signal("HUP");
    assert!(process.says().starts_with("RELOADING=1\n"));
    let said = process.says();
    assert!(said.starts_with("READY=1\n") && said.ends_with("; the last reload failed"), "{said}");
    process.signal("TERM");
    assert_eq!(process.says(), "STOPPING=1\nSTATUS=draining");
    assert!(process.until_ended().success());
}

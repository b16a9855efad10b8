//! The built program as a process of its own, supervised as a service manager would.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::{PATIENCE, eventually};

/// A folder with a configuration, and addresses that nobody else takes meanwhile.
pub(crate) struct Ground {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    /// Bound and not listening, so the ports stay ours, and whoever shares them is not kept out.
    _kept: [Socket; 2],
}

impl Ground {
    /// Before that Karbor, with these settings over the usual ones.
    pub(crate) fn before(karbor: SocketAddr, settings: &str) -> Self {
        let kept = [(); 2].map(|()| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            socket
        });
        let [address, admin] = [0, 1].map(|at| kept[at].local_addr().unwrap().as_socket().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "server.listen = \"{address}\"\nserver.workers = 2\nserver.drain_idle = \"10s\"\n\
             admin.listen = \"{admin}\"\naudit.file = \"\"\nledger.url = \"off\"\n\
             upstream.endpoints = [\"http://{karbor}\"]\n{settings}\n"
        );
        let ground = Self { folder, address, _kept: kept };
        fs::write(ground.config(), text).unwrap();
        ground
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("k.toml")
    }

    /// A process beside whatever else listens there.
    pub(crate) fn start(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karbor-admission"));
        command.args(["serve", "--beside", "--config"]).arg(self.config());
        Process::of(command, self.folder.path())
    }

    /// A process that is handed these sockets, as sd_listen_fds(3) has it: for clients, and the admin side's.
    pub(crate) fn start_with(&self, sockets: [&TcpListener; 2]) -> Process {
        // Only a shell can say its own process id, and that of what it becomes is the same.
        let script = "exec 3<&0 4<&1 </dev/null >/dev/null; \
                      export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=clients:admin; \
                      exec \"$0\" serve --config \"$1\"";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_karbor-admission")]).arg(self.config());
        let [clients, admin] = sockets.map(|socket| OwnedFd::from(socket.try_clone().unwrap()));
        command.stdin(clients).stdout(admin);
        Process::of(command, self.folder.path())
    }
}

/// A process of the program, and what it tells its service manager. Killed if a test fails.
pub(crate) struct Process {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Process {
    fn of(mut command: Command, folder: &Path) -> Self {
        let socket = (0..).map(|number| folder.join(format!("notify-{number}"))).find(|path| !path.exists());
        let socket = socket.unwrap();
        let manager = UnixDatagram::bind(&socket).unwrap();
        let (tell, said) = mpsc::channel();
        // The system keeps ten messages for whoever does not read, and a sign of life is one.
        std::thread::spawn(move || {
            let mut words = [0; 500];
            while let Ok(length) = manager.recv(&mut words) {
                if tell.send(String::from_utf8_lossy(&words[..length]).into_owned()).is_err() {
                    break;
                }
            }
        });
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "400000").stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), said }
    }

    /// What it says next, signs of life apart.
    #[track_caller]
    pub(crate) fn says(&self) -> String {
        loop {
            let said = self.says_anything();
            if said != "WATCHDOG=1" {
                return said;
            }
        }
    }

    /// What it says next.
    #[track_caller]
    pub(crate) fn says_anything(&self) -> String {
        self.said.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits until it says that it is ready.
    #[track_caller]
    pub(crate) fn until_ready(&self) {
        let said = self.says();
        assert!(said.starts_with("READY=1\nSTATUS=policy "), "{said}");
    }

    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn until_ended(mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the process ends", || {
            std::thread::sleep(Duration::from_millis(5));
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

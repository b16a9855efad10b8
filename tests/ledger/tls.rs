//! TLS to MariaDB: what crosses the wire, who is believed, and what an operator reads where it fails.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use karbor_admission::ledger::{
    Engine, Ledger, LedgerError, LedgerOptions, MysqlOptions, MysqlTls, PasswordSource, TlsFlaw,
};

use crate::stage::{Stage, TENANT, run};

/// So long at most for a command that ends by itself.
const SOON: Duration = Duration::from_secs(60);
const SECRET: &str = "nobody on the way reads this";

/// Between the ledger and its server: writes down what passes, and may take TLS out of the server's offer.
#[derive(Default)]
struct Tap {
    sent: Mutex<Vec<u8>>,
    strips: bool,
}

impl Tap {
    fn before(server: &MysqlOptions, at: Ipv4Addr, strips: bool) -> (Arc<Self>, u16) {
        let server: SocketAddr = format!("{}:{}", server.host, server.port).parse().unwrap();
        let listener = TcpListener::bind((IpAddr::V4(at), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let tap = Arc::new(Self { strips, ..Self::default() });
        let all = tap.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                let (answers, back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (one, other) = (all.clone(), all.clone());
                std::thread::spawn(move || one.copy(client, server, false));
                std::thread::spawn(move || other.copy(answers, back, true));
            }
        });
        (tap, port)
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, is_server: bool) {
        let mut buffer = [0; 65536];
        let mut is_first = is_server;
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let bytes = &mut buffer[..read];
            if is_first && self.strips {
                // The greeting: 4 bytes of frame, 1 of protocol, the version up to a NUL, 4 of the thread, 8 of salt
                // and 1 of filling. TLS is bit 11 of what it is capable of.
                let version = bytes[5..].iter().position(|byte| *byte == 0).unwrap();
                bytes[5 + version + 1 + 4 + 8 + 1 + 1] &= !0x08;
            }
            is_first = false;
            if !is_server {
                self.sent.lock().unwrap().extend_from_slice(bytes);
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    }

    fn saw(&self, text: &str) -> bool {
        self.sent.lock().unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    }
}

fn server(stage: &Stage) -> MysqlOptions {
    let Engine::Mysql(server) = &stage.options.engine else { panic!() };
    server.clone()
}

fn refusal(server: MysqlOptions, options: &LedgerOptions) -> LedgerError {
    let options = LedgerOptions { engine: Engine::Mysql(server), migrate: false, ..options.clone() };
    match Ledger::open(&options) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// Let in is who is told what the schema is.
fn is_let_in(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Outdated { found: 0, .. })
}

#[test]
fn nobody_on_the_way_reads_what_is_kept() {
    let Some((mut stage, folder, _)) = Stage::mariadb_with_tls() else { return };
    let [ca, other] = ["ca.pem", "other.pem"].map(|name| folder.join(name));
    let straight = server(&stage);
    for (number, (host, tls, ca_file)) in [
        ("127.0.0.1", MysqlTls::Off, None),
        ("127.0.0.1", MysqlTls::Require, None),
        // Whoever answers is believed, whatever else is set.
        ("127.0.0.1", MysqlTls::Require, Some(&other)),
        ("127.0.0.1", MysqlTls::Verify, Some(&ca)),
        ("localhost", MysqlTls::Verify, Some(&ca)),
    ]
    .into_iter()
    .enumerate()
    {
        let (tap, port) = Tap::before(&straight, Ipv4Addr::LOCALHOST, false);
        stage.by_way_of = Some(Engine::Mysql(MysqlOptions {
            host: host.into(),
            port,
            tls,
            ca_file: ca_file.cloned(),
            ..straight.clone()
        }));
        let open = stage.open();
        let checkpoint = format!("c{number}");
        run(async {
            open.keep(TENANT, &checkpoint, &[("x-a--k", SECRET)]).await;
            open.check_read(&[&checkpoint], &[&format!("{TENANT}/{checkpoint} kept x-a--k={SECRET}")]).await;
        });
        open.close();
        assert_eq!(tap.saw(SECRET), tls == MysqlTls::Off, "{host} {tls:?}");
    }
}

#[test]
fn believes_whom_it_was_told_to() {
    let Some((stage, folder, strict)) = Stage::mariadb_with_tls() else { return };
    let [ca, other] = ["ca.pem", "other.pem"].map(|name| Some(folder.join(name)));
    let server = server(&stage);
    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    let (_tap, port) = Tap::before(&server, elsewhere, false);
    let verified = MysqlOptions { tls: MysqlTls::Verify, ca_file: ca.clone(), ..server.clone() };
    #[track_caller]
    fn check(server: MysqlOptions, stage: &Stage, expected: Option<TlsFlaw>) {
        let error = refusal(server, &stage.options);
        match (&error, expected) {
            (LedgerError::Insecure(flaw, _), Some(expected)) if *flaw == expected => {}
            (error, None) if is_let_in(error) => {}
            _ => panic!("{error:?} in place of {expected:?}"),
        }
    }
    check(verified.clone(), &stage, None);
    check(MysqlOptions { ca_file: other, ..verified.clone() }, &stage, Some(TlsFlaw::Authority));
    // The system's authorities know nothing of this one.
    check(MysqlOptions { ca_file: None, ..verified.clone() }, &stage, Some(TlsFlaw::Authority));
    let host = elsewhere.to_string().into();
    check(MysqlOptions { host, port, ..verified.clone() }, &stage, Some(TlsFlaw::Name));
    let strict = MysqlOptions { port: strict, database: "mysql".into(), ..verified.clone() };
    check(strict.clone(), &stage, Some(TlsFlaw::Time));
    check(MysqlOptions { tls: MysqlTls::Require, ..strict.clone() }, &stage, None);
    let error = refusal(MysqlOptions { tls: MysqlTls::Off, ..strict }, &stage.options);
    assert!(matches!(error, LedgerError::NotLetInOpenly(_)), "{error:?}");
    assert!(error.hint().unwrap().contains("wants TLS"));
    let error = refusal(MysqlOptions { password: PasswordSource::None, ..verified }, &stage.options);
    assert!(matches!(error, LedgerError::NotLetIn(_)), "{error:?}");
}

/// Also where somebody on the way says so in its place.
#[test]
fn sends_nothing_to_a_server_that_does_not_offer_tls() {
    let Some((stage, folder, _)) = Stage::mariadb_with_tls() else { return };
    let straight = server(&stage);
    for tls in [MysqlTls::Require, MysqlTls::Verify, MysqlTls::Off] {
        let (tap, port) = Tap::before(&straight, Ipv4Addr::LOCALHOST, true);
        let ca_file = Some(folder.join("ca.pem"));
        let error = refusal(MysqlOptions { port, tls, ca_file, ..straight.clone() }, &stage.options);
        let sent = tap.sent.lock().unwrap().len();
        if tls == MysqlTls::Off {
            assert!(is_let_in(&error) && sent > 0, "{error:?}");
        } else {
            assert!(matches!(error, LedgerError::Insecure(TlsFlaw::NotOffered, _)), "{error:?}");
            assert_eq!(sent, 0, "{tls:?}");
        }
    }
}

/// Files that are none of authorities, and what is said of them.
fn wrong_files(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let written = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let junk = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    vec![
        (folder.join("missing.pem"), "No such file"),
        (folder.to_owned(), "directory"),
        (written("empty.pem", ""), "there is no certificate in it"),
        (written("text.pem", "hello\n"), "there is no certificate in it"),
        (written("junk.pem", junk), "certificate 1 in it cannot be read"),
        (written("cut.pem", "-----BEGIN CERTIFICATE-----\naGVs"), "certificate 1 in it cannot be read"),
    ]
}

/// Looked at before anybody is asked: nobody listens there.
#[test]
fn names_a_file_of_authorities_that_is_none() {
    let stage = Stage::sqlite();
    let server = MysqlOptions {
        host: "127.0.0.1".into(),
        port: 1,
        user: "nobody".into(),
        password: PasswordSource::None,
        database: "none".into(),
        tls: MysqlTls::Verify,
        ca_file: None,
    };
    for (file, words) in wrong_files(&stage.folder) {
        let error = refusal(MysqlOptions { ca_file: Some(file.clone()), ..server.clone() }, &stage.options);
        match &error {
            LedgerError::CaFile { path, source } if *path == file => {
                assert!(source.to_string().contains(words), "{source}");
            }
            _ => panic!("{}: {error:?}", file.display()),
        }
    }
}

/// What the program prints, and its exit code. The settings are those of `[ledger]`.
fn told(folder: &Path, command: &str, settings: &str, environment: &[(&str, &str)]) -> (String, i32) {
    let config = folder.join("config.toml");
    let ports = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(&config, format!("[ledger]\n{settings}{ports}")).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_karbor-admission"));
    program.env_clear().envs(environment.iter().copied()).arg(command).arg("--config").arg(&config);
    let mut child =
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + SOON;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("{command} did not end: {said}"));
    (said, code)
}

/// One line for what is wrong and one for what to do, whatever was to be done.
#[track_caller]
fn check_told(folder: &Path, settings: &str, password: &str, words: &str, hint: &str) {
    for command in ["serve", "migrate", "usage"] {
        let environment = [("KARBOR_ADMISSION_LEDGER__PASSWORD", password)];
        let (said, code) = told(folder, command, settings, &environment);
        assert_eq!((code, said.lines().count()), (1, 2), "{command}: {said}");
        let (first, second) = said.split_once('\n').unwrap();
        assert!(first.starts_with("karbor-admission: ") && first.contains(words), "{command}: {said}");
        assert!(second.starts_with("  hint: ") && second.contains(hint), "{command}: {said}");
        assert_eq!(first.matches(words).count(), 1, "{command}: {said}");
    }
}

#[test]
fn tells_the_operator_which_file_is_wrong() {
    let stage = Stage::sqlite();
    for (file, words) in wrong_files(&stage.folder) {
        let file = file.display();
        let settings = format!("url = \"mysql://u@127.0.0.1:1/d\"\ntls = \"verify\"\nca_file = \"{file}\"\n");
        check_told(&stage.folder, &settings, "p", &format!("cannot use {file} (ledger.ca_file): "), "PEM");
        check_told(&stage.folder, &settings, "p", words, "PEM");
    }
    let file = stage.folder.join("missing.password");
    let settings = format!("url = \"mysql://u@127.0.0.1:1/d\"\npassword_file = \"{}\"\n", file.display());
    let (said, code) = told(&stage.folder, "usage", &settings, &[]);
    assert!(code == 1 && said.contains("(ledger.password_file): No such file"), "{said}");
}

#[test]
fn tells_the_operator_why_it_is_not_secure() {
    let Some((stage, authorities, strict)) = Stage::mariadb_with_tls() else { return };
    let server = server(&stage);
    let password = server.password.read().unwrap().unwrap();
    let settings = |port: u16, tls: &str, ca: Option<&str>| {
        let user = &server.user;
        let ca = ca.map(|ca| format!("ca_file = \"{}\"\n", authorities.join(ca).display()));
        let ca = ca.unwrap_or_default();
        format!("url = \"mysql://{user}@127.0.0.1:{port}/mysql\"\ntls = \"{tls}\"\n{ca}")
    };
    let (_tap, bare) = Tap::before(&server, Ipv4Addr::LOCALHOST, true);
    for (port, tls, ca, words, hint) in [
        (server.port, "verify", Some("other.pem"), "UnknownIssuer", "ledger.ca_file"),
        (strict, "verify", Some("ca.pem"), "certificate expired", "renew"),
        (strict, "auto", None, "Access denied", "ledger.tls = \"off\""),
        (bare, "verify", Some("ca.pem"), "server does not support TLS", "set up TLS at the server"),
    ] {
        check_told(&stage.folder, &settings(port, tls, ca), password.reveal(), words, hint);
    }
}

/// What a deployer may set who wants nobody else believed.
#[test]
fn the_systems_authorities_are_those_of_the_environment() {
    let Some((stage, authorities, _)) = Stage::mariadb_with_tls() else { return };
    let server = server(&stage);
    let (user, port) = (&server.user, server.port);
    let settings = format!("url = \"mysql://{user}@127.0.0.1:{port}/mysql\"\ntls = \"verify\"\n");
    let password = server.password.read().unwrap().unwrap();
    for (file, words) in [("ca.pem", "schema is version 0"), ("other.pem", "UnknownIssuer")] {
        let file = authorities.join(file);
        let environment = [
            ("SSL_CERT_FILE", file.to_str().unwrap()),
            ("KARBOR_ADMISSION_LEDGER__PASSWORD", password.reveal()),
        ];
        let (said, _) = told(&stage.folder, "usage", &settings, &environment);
        assert!(said.contains(words), "{said}");
    }
}

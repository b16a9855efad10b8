//! What a line says and does not say, and that no line goes missing uncounted.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::*;
use crate::karbor::TenantId;
use crate::karbor::request_id::RequestId;
use crate::policy::{Enforcement, Rule, Violation, Violations};
use crate::telemetry::metrics::MetricsHub;

const SOON: Duration = Duration::from_secs(10);

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("karbor-admission-audit-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn check_counts(hub: &MetricsHub, written: u64, dropped: &[(&str, u64)]) {
    let text = hub.encode();
    let has = |line: String| assert!(text.lines().any(|one| one == line), "no {line:?} in\n{text}");
    has(format!("karbor_admission_audit_lines_total {written}"));
    for (reason, lines) in dropped {
        has(format!("karbor_admission_audit_dropped_lines_total{{reason=\"{reason}\"}} {lines}"));
    }
}

fn options(sink: AuditSink, key_names: KeyNames) -> AuditOptions {
    AuditOptions { sink, key_names, queue_lines: 1000 }
}

fn to_file(path: &Path, hub: &MetricsHub) -> (AuditLog, AuditWriter) {
    AuditLog::open(&options(AuditSink::File(path.into()), KeyNames::Plain), hub.audit_counters()).unwrap()
}

/// A line that can be told by its method.
fn line(method: &str) -> AuditLine<'_> {
    AuditLine { method: Some(method), ..blank() }
}

fn blank() -> AuditLine<'static> {
    AuditLine {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        request_id: RequestId::of(0xa),
        global_request_id: None,
        trace_id: None,
        span_id: None,
        parent_span_id: None,
        peer: IpAddr::from([192, 0, 2, 7]).into(),
        certificate: None,
        tenant: None,
        provider: None,
        checkpoint: None,
        route: None,
        method: None,
        verdict: AuditVerdict::Refused,
        refusal: None,
        violations: None,
        charge: None,
        kept: None,
        restored: 0,
        altered: 0,
        policy: None,
        status: None,
        upstream_status: None,
        outcome_unknown: false,
        client_left: false,
        duration: Duration::from_micros(1234),
        upstream: None,
    }
}

fn read(line: &AuditLine<'_>) -> Value {
    let bytes = line.to_json(None);
    assert!(bytes.is_ascii() && bytes.ends_with(b"\n"));
    assert_eq!(bytes.iter().filter(|byte| byte.is_ascii_control()).count(), 1, "{bytes:?}");
    serde_json::from_slice(&bytes).unwrap()
}

fn methods(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let method =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["method"].as_str().map(str::to_owned);
    text.lines().map(|line| method(line).unwrap()).collect()
}

fn noted(stances: &[Enforcement]) -> Violations {
    let violation = |enforcement: &Enforcement| Violation {
        rule: Rule::ValueTooLong,
        enforcement: *enforcement,
        key: Some("karbor-\u{e9}\u{1f600}\"".into()),
        measured: Some(2000),
        allowed: Some(1024),
        hint: Some("hint-with-a-value".into()),
        quota: None,
    };
    Violations::new(stances.iter().map(violation).collect(), 0)
}

#[test]
fn a_line_without_anything_known_is_short() {
    assert_eq!(
        read(&blank()),
        json!({
            "v": 1, "time": "2023-11-14T22:13:20.123Z",
            "request_id": "req-00000000-0000-0000-0000-00000000000a", "peer": "192.0.2.7",
            "verdict": "refused", "outcome_unknown": false, "client_left": false,
            "duration_seconds": 0.001234,
        })
    );
}

#[test]
fn text_of_a_client_is_escaped_and_cut() {
    let long = "\u{e9}".repeat(500);
    let read = read(&AuditLine {
        method: Some("a\u{7f}\n\u{2028}\u{1f600}\"\\"),
        tenant: Some(&TenantId::new(long)),
        ..blank()
    });
    assert_eq!(read["method"], "a\u{7f}\n\u{2028}\u{1f600}\"\\");
    assert_eq!(read["tenant"], "\u{e9}".repeat(128));
}

#[test]
fn violations_stand_with_numbers_and_without_hints() {
    let mut noted = noted(&[Enforcement::Observe, Enforcement::Warn]);
    noted.left_out = 3;
    let read = read(&AuditLine { violations: Some(&noted), ..blank() });
    assert_eq!(read["enforcement"], "warned");
    assert_eq!(read["violations_left_out"], 3);
    assert_eq!(
        read["violations"][0],
        json!({
            "rule": "value-too-long", "enforcement": "observed", "key": "karbor-\u{e9}\u{1f600}\"",
            "measured": 2000, "allowed": 1024,
        })
    );
    assert!(!read.to_string().contains("hint"), "{read}");
}

#[test]
fn a_dry_run_never_reads_denied() {
    let cases: [(&[Enforcement], &str); 4] = [
        (&[], "admitted"),
        (&[Enforcement::Observe], "would-have-been-denied"),
        (&[Enforcement::Warn], "warned"),
        (&[Enforcement::Warn, Enforcement::Observe], "warned"),
    ];
    for (stances, expected) in cases {
        let noted = noted(stances);
        let verdict = AuditVerdict::of_forwarded(&noted);
        assert_eq!(verdict.word(), expected, "{stances:?}");
        let text =
            String::from_utf8(AuditLine { verdict, violations: Some(&noted), ..blank() }.to_json(None))
                .unwrap();
        assert!(!text.contains("\"denied\"") && !text.contains("enforced"), "{text}");
    }
    let words: Vec<_> = AuditVerdict::ALL.iter().filter(|verdict| verdict.word() == "denied").collect();
    assert_eq!(words, [&AuditVerdict::Denied]);
}

#[test]
fn hashed_keys_can_be_compared_and_not_read() {
    let folder = Folder::new();
    let hub = MetricsHub::bare();
    let options = options(AuditSink::File(folder.file()), KeyNames::Hashed);
    let noted = noted(&[Enforcement::Enforce, Enforcement::Enforce]);
    let record = || {
        let (log, writer) = AuditLog::open(&options, hub.audit_counters()).unwrap();
        for _ in 0..2 {
            log.clone().record(&AuditLine { violations: Some(&noted), ..blank() });
        }
        writer.close(SOON).unwrap();
    };
    record();
    record();
    let text = fs::read_to_string(folder.file()).unwrap();
    assert!(!text.contains("karbor") && !text.contains("\"key\""), "{text}");
    let digests: Vec<String> = text
        .lines()
        .flat_map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["violations"].as_array().unwrap().clone()
        })
        .map(|violation| violation["key_digest"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(digests.len(), 8);
    assert!(digests[..4].iter().all(|digest| digest.len() == 16 && *digest == digests[0]), "{digests:?}");
    assert_ne!(digests[0], digests[4], "another run has another key");
}

#[test]
fn lines_are_appended_in_order_to_a_private_file() {
    let folder = Folder::new();
    let hub = MetricsHub::bare();
    for run in ["a", "b"] {
        let (log, writer) = to_file(&folder.file(), &hub);
        for number in 0..500 {
            log.record(&line(&format!("{run}{number}")));
        }
        writer.close(SOON).unwrap();
    }
    let expected: Vec<String> =
        ["a", "b"].iter().flat_map(|run| (0..500).map(move |number| format!("{run}{number}"))).collect();
    assert_eq!(methods(&folder.file()), expected);
    let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
    // The umask may take bits away, never add any.
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    check_counts(&hub, 1000, &[("queue-full", 0), ("write-failed", 0), ("closed", 0)]);
}

#[test]
fn a_missing_folder_is_said_clearly() {
    let folder = Folder::new();
    let path = folder.0.join("none/audit.jsonl");
    let options = options(AuditSink::File(path), KeyNames::Plain);
    let Err(error) = AuditLog::open(&options, MetricsHub::bare().audit_counters()) else { panic!("opened") };
    assert!(
        error.to_string().starts_with("the folder of the audit file ")
            && error.to_string().ends_with("not exist")
    );
    assert!(!folder.0.join("none").exists());
}

#[test]
fn rotation_loses_no_line() {
    let folder = Folder::new();
    let hub = MetricsHub::bare();
    let (log, writer) = to_file(&folder.file(), &hub);
    log.record(&line("1"));
    let rotated = folder.0.join("audit.jsonl.1");
    fs::rename(folder.file(), &rotated).unwrap();
    log.reopen();
    let begin = Instant::now();
    while !folder.file().exists() {
        assert!(begin.elapsed() < SOON, "the file was not opened anew");
        std::thread::yield_now();
    }
    log.record(&line("2"));
    writer.close(SOON).unwrap();
    let mut all = methods(&rotated);
    all.extend(methods(&folder.file()));
    assert_eq!(all, ["1", "2"]);
    assert_ne!(fs::metadata(&rotated).unwrap().ino(), fs::metadata(folder.file()).unwrap().ino());
}

#[test]
fn a_file_that_ends_midline_gets_a_line_end_first() {
    let folder = Folder::new();
    fs::write(folder.file(), "{\"torn\":").unwrap();
    let (log, writer) = to_file(&folder.file(), &MetricsHub::bare());
    log.record(&line("1"));
    writer.close(SOON).unwrap();
    let text = fs::read_to_string(folder.file()).unwrap();
    assert!(text.starts_with("{\"torn\":\n{\"v\":1,"), "{text}");
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn without_a_sink_nothing_is_counted() {
    let hub = MetricsHub::bare();
    let (log, writer) =
        AuditLog::open(&options(AuditSink::None, KeyNames::Plain), hub.audit_counters()).unwrap();
    assert!(!log.wants(AuditVerdict::Admitted) && log.wants(AuditVerdict::Denied));
    log.record(&line("1"));
    log.reopen();
    writer.close(SOON).unwrap();
    check_counts(&hub, 0, &[("queue-full", 0), ("closed", 0)]);
}

/// A stream that takes as many bytes as it is told, call by call, and says what it took.
struct Scripted {
    /// How many bytes the next write takes; 0 is a failure.
    takes: Receiver<usize>,
    begun: Sender<()>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _nobody_waits = self.begun.send(());
        match self.takes.recv().unwrap_or(usize::MAX) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            most => self.taken.lock().unwrap().write(&bytes[..most.min(bytes.len())]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Script {
    takes: Sender<usize>,
    begun: Receiver<()>,
    taken: Arc<Mutex<Vec<u8>>>,
}

fn scripted(queue_lines: usize, hub: &MetricsHub) -> (AuditLog, AuditWriter, Script) {
    let ((takes, next), (begin, begun)) = (channel(), channel());
    let taken = Arc::<Mutex<Vec<u8>>>::default();
    let stream = Scripted { takes: next, begun: begin, taken: Arc::clone(&taken) };
    let options = AuditOptions { sink: AuditSink::Stdout, key_names: KeyNames::Plain, queue_lines };
    let sink = Sink::lines(Box::new(stream));
    let (log, writer) = AuditLog::with_sink(&options, hub.audit_counters(), Some(sink)).unwrap();
    (log, writer, Script { takes, begun, taken })
}

#[test]
fn lines_beyond_the_queue_are_dropped_and_counted() {
    let hub = MetricsHub::bare();
    let (log, writer, script) = scripted(4, &hub);
    log.record(&line("first"));
    script.begun.recv_timeout(SOON).unwrap();
    for number in 0..10 {
        log.record(&line(&number.to_string()));
    }
    check_counts(&hub, 0, &[("queue-full", 6)]);
    drop(script.takes);
    writer.close(SOON).unwrap();
    log.record(&line("late"));
    assert_eq!(script.taken.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), 5);
    check_counts(&hub, 5, &[("queue-full", 6), ("write-failed", 0), ("closed", 1)]);
}

#[test]
fn a_torn_line_spoils_no_other() {
    let hub = MetricsHub::bare();
    let (log, writer, script) = scripted(4, &hub);
    for (id, takes) in
        [("lost", &[10, 0][..]), ("lost too", &[0][..]), ("kept", &[usize::MAX, usize::MAX][..])]
    {
        log.record(&line(id));
        for most in takes {
            script.takes.send(*most).unwrap();
            script.begun.recv_timeout(SOON).unwrap();
        }
    }
    writer.close(SOON).unwrap();
    let text = String::from_utf8(script.taken.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0].len(), 10);
    assert_eq!(serde_json::from_str::<Value>(lines[1]).unwrap()["method"], "kept");
    check_counts(&hub, 1, &[("write-failed", 2)]);
}

#[test]
fn closing_does_not_wait_for_a_stuck_stream() {
    let hub = MetricsHub::bare();
    let (log, writer, script) = scripted(4, &hub);
    log.record(&line("stuck"));
    script.begun.recv_timeout(SOON).unwrap();
    assert!(writer.close(Duration::from_millis(20)).is_err());
    drop(script.takes);
}

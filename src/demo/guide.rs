//! What the `demo` command prints: where everything is, and lines to paste into a shell.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The text for a person in front of a terminal. Every line of it that begins with four blanks can be pasted
/// into `sh` as it is.
#[must_use]
pub fn guide(proxy: SocketAddr, admin: SocketAddr, project: &str, provider: &str, plan: &str) -> String {
    let (proxy, admin) = (reachable(proxy), reachable(admin));
    let base = format!("http://{proxy}/v1/{project}");
    let checkpoints = quote(&format!("{base}/providers/{provider}/checkpoints"));
    let newest = quote(&format!("{base}/providers/{provider}/checkpoints?limit=1"));
    let token = quote(&format!("X-Auth-Token: demo:{project}"));
    let json = quote("Content-Type: application/json");
    let creation = |extra_info: &str| {
        let body = format!(r#"{{"checkpoint": {{"plan_id": "{plan}", "extra-info": {extra_info}}}}}"#);
        format!("curl -sS -i -X POST {checkpoints} -H {token} -H {json} -d {}", quote(&body))
    };
    let id = "grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1";
    let mutation = quote(r#"{"extra-info": {"karbor-created-by": "somebody else"}}"#);
    let client = format!(
        "karbor --os-no-client-auth --os-auth-token {} --os-project-id {} --karbor-url {}",
        quote(&format!("demo:{project}")),
        quote(project),
        quote(&base)
    );
    let lines = [
        (
            "create a checkpoint; admitted",
            creation(r#"{"karbor-created-by": "manual", "x-demo--note": "hello"}"#),
        ),
        ("create one with a key of no namespace; denied", creation(r#"{"note": "hello"}"#)),
        (
            "change the extra-info of the newest checkpoint; denied, it is read-only",
            format!(
                "ID=$(curl -sS {newest} -H {token} | {id}); curl -sS -i -X PUT {checkpoints}/\"$ID\" -H {token} \
                 -H {json} -d {mutation}"
            ),
        ),
        ("list the checkpoints; the map has come back", format!("curl -sS -i {checkpoints} -H {token}")),
        (
            "list those with this entry",
            format!(
                "curl -sS {} -H {token}",
                quote(&format!("{base}/providers/{provider}/checkpoints?extra-info.x-demo--note=hello"))
            ),
        ),
        (
            "see what this project may store, and how much of it is used",
            format!("curl -sS {} -H {token}", quote(&format!("{base}/extra-info-limits"))),
        ),
        ("see what was counted", format!("curl -sS {}", quote(&format!("http://{admin}/metrics")))),
        (
            "the same creation with the official client",
            format!(
                "{client} checkpoint-create {} {} --extra_info karbor-created-by=manual x-demo--note=hello",
                quote(provider),
                quote(plan)
            ),
        ),
    ];
    let head = format!(
        "karbor-admission, in front of a stand-in Karbor in this process\n\n\
         proxy     http://{proxy}\nadmin     http://{admin}\nstatus    http://{admin}/status\nproject   {project}\nprovider  {provider}\n\
         plan      {plan}\n"
    );
    written(head, &lines)
}

fn written(mut text: String, lines: &[(&str, String)]) -> String {
    for (purpose, line) in lines {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n# {purpose}\n    {line}\n");
    }
    text
}

/// A listener on every address is reached by loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// A word of `sh`; plain ones stay as they are.
fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::guide;

    fn words(line: &str) -> Vec<String> {
        let script = format!("for word in {line}; do echo \"$word\"; done");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{line}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_shell_reads_every_line_as_it_was_meant() {
        let text =
            guide("0.0.0.0:8799".parse().unwrap(), "[::1]:9".parse().unwrap(), "it's;odd $x", "pr", "pl");
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        assert_eq!(lines.len(), 8, "{text}");
        let created = words(lines[0]);
        assert_eq!(created[5], "http://127.0.0.1:8799/v1/it's;odd $x/providers/pr/checkpoints");
        assert_eq!(
            created[11],
            r#"{"checkpoint": {"plan_id": "pl", "extra-info": {"karbor-created-by": "manual", "x-demo--note": "hello"}}}"#
        );
        assert_eq!(words(lines[6]), ["curl", "-sS", "http://[::1]:9/metrics"]);
        assert_eq!(words(lines[7])[3], "demo:it's;odd $x");
        for line in lines {
            let parsed = std::process::Command::new("sh").args(["-n", "-c", line]).status().unwrap();
            assert!(parsed.success(), "{line}");
        }
    }
}

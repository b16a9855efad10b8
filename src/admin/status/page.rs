//! The page as a whole: its frame, what is said first, and its parts in order. No script, nothing from elsewhere.

use super::markup::Markup;
use super::parts;
use super::traffic;
use super::{Status, in_words};

const STYLE: &str = include_str!("style.css");

/// What a browser may load for it: nothing but the one style within it, by its digest. A test says the digest when
/// the style is another.
pub(in crate::admin) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-IBle2CxRH5zApQf2aJNkmK9dJXi9Y/JCzDHLdjWOlKY='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn write(status: &Status, refresh: Option<u32>) -> String {
    let mut page = Markup::default();
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    if let Some(seconds) = refresh {
        page.raw("<meta http-equiv=\"refresh\" content=\"").number(seconds.into()).raw("\">\n");
    }
    page.raw("<title>").raw(if status.ready { "ready" } else { "not ready" });
    page.raw(" · karbor-admission</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n");
    head(&mut page, status, refresh);
    page.raw("<main>\n");
    parts::upstream(&mut page, &status.upstream);
    parts::reload(&mut page, &status.report.reload, status.time);
    parts::ledger(&mut page, status.report.ledger.as_ref());
    traffic::rejections(&mut page, &status.rejections, status.uptime_seconds);
    traffic::usage(&mut page, status);
    traffic::latest(&mut page, &status.report.latest_rejections);
    parts::listeners(&mut page, &status.report.listeners);
    page.raw("</main>\n</body>\n</html>\n");
    page.finish()
}

fn head(page: &mut Markup, status: &Status, refresh: Option<u32>) {
    page.raw("<header>\n<h1>karbor-admission</h1>\n<p>");
    if status.ready {
        page.raw("<span class=\"good\">Ready</span>");
    } else {
        page.raw("<span class=\"bad\">Not ready</span>: ").text(&status.waiting_for.join(", "));
    }
    page.raw(" <span class=\"soft\">at <time>").text(&in_words(status.time)).raw("</time></span></p>\n");
    page.raw("<nav aria-label=\"Pages\">");
    match refresh {
        None => page.raw("<a href=\"?refresh=10\">Refresh every 10 s</a>"),
        Some(_) => page.raw("<a href=\"?\">Stop refreshing</a>"),
    };
    page.raw("<a href=\"config\">Configuration</a><a href=\"metrics\">Metrics</a></nav>\n");
    page.raw("<dl class=\"facts\">\n");
    fact(page, "Version", |page| {
        page.text(status.version).raw(" <span class=\"soft\">").text(short(status.commit)).raw("</span>");
    });
    fact(page, "Running for", |page| parts::duration(page, status.uptime_seconds));
    fact(page, "Policy", |page| {
        page.raw("<span class=\"code\">").text(&status.report.policy).raw("</span>");
    });
    fact(page, "Workers", |page| _ = page.number(status.report.workers as u64));
    fact(page, "Client connections", |page| _ = page.number(status.connections));
    fact(page, "Requests in flight", |page| _ = page.number(status.requests_in_flight));
    page.raw("</dl>\n</header>\n");
}

fn fact(page: &mut Markup, name: &'static str, value: impl FnOnce(&mut Markup)) {
    page.raw("<div><dt>").raw(name).raw("</dt><dd>");
    value(page);
    page.raw("</dd></div>\n");
}

/// As much of a commit as tells it from others.
fn short(commit: &str) -> &str {
    &commit[..commit.floor_char_boundary(10)]
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

    use super::*;

    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*group.get(at).unwrap_or(&0)));
            let letters = (0..4).map(|at| char::from(LETTERS[bits >> (18 - 6 * at) & 63]));
            text.extend(letters.take(group.len() + 1));
            text.extend(std::iter::repeat_n('=', 3 - group.len()));
        }
        text
    }

    #[test]
    fn the_one_style_is_allowed() {
        assert_eq!([&b""[..], b"f", b"fo", b"foo"].map(base64), ["", "Zg==", "Zm8=", "Zm9v"]);
        let sha256 = TLS13_AES_128_GCM_SHA256.tls13().unwrap().common.hash_provider;
        let digest = base64(sha256.hash(STYLE.as_bytes()).as_ref());
        let source = format!("'sha256-{digest}'");
        assert!(CONTENT_SECURITY_POLICY.contains(&source), "the style is {source} now");
        assert!(!STYLE.contains("</"), "it would end");
    }
}

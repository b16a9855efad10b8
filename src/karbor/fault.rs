//! Karbor's JSON fault, as bytes that the official client reads and prints (facts, sections 8 and 9).
//!
//! Leaves to `proxy` which status and which words.

use super::ascii;
use super::form::Form;

/// As much as most bodies take.
const BODY_BYTES: usize = 1024;

/// A fault: one object under the one name that its status has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The HTTP status. The client breaks on 500 and hides the text of 401.
    pub status: u16,
    /// What the client prints. Control characters become spaces.
    pub message: &'a str,
    /// What the caller can do, beside the message.
    pub hint: Option<&'a str>,
    /// The list for programs; left out when empty.
    pub details: Vec<Detail<'a>>,
    /// How many more details there were.
    pub left_out: u64,
}

/// One broken rule, for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail<'a> {
    /// The stable code of the rule.
    pub rule: &'a str,
    /// What became of it.
    pub enforcement: &'a str,
    /// The key it is about, cut.
    pub key: Option<&'a str>,
    /// What was measured.
    pub measured: Option<u64>,
    /// What is allowed, in the same unit.
    pub allowed: Option<u64>,
    /// The quota it is about, as the configuration names it; left out where it is about none.
    pub quota: Option<&'a str>,
    /// What was found, or would be right.
    pub hint: Option<&'a str>,
    /// The sentence for people.
    pub message: String,
}

/// The name that Karbor gives a fault of that status.
#[must_use]
pub const fn fault_name(status: u16) -> &'static str {
    match status {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    }
}

impl<'a> Fault<'a> {
    /// A fault without hint and details.
    #[must_use]
    pub const fn new(status: u16, message: &'a str) -> Self {
        Self { status, message, hint: None, details: Vec::new(), left_out: 0 }
    }

    /// The body: `{"badRequest": {"code": 400, "message": "…"}}`, ASCII only. To be sent as
    /// `application/json`, in lower case.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let mut form = Form::new(BODY_BYTES);
        form.object(fault_name(self.status), |form| self.write(form));
        form.close()
    }

    fn write(&self, form: &mut Form) {
        // Most messages are, and then there is nothing to replace.
        let replaced =
            (!ascii::is_printable(self.message)).then(|| self.message.replace(char::is_control, " "));
        form.text("message", replaced.as_deref().unwrap_or(self.message));
        form.number("code", Some(self.status.into()));
        form.text("hint", self.hint);
        if !self.details.is_empty() || self.left_out > 0 {
            form.list("details", &self.details, |form, detail| detail.write(form));
            form.number("left_out", Some(self.left_out));
        }
    }
}

impl Detail<'_> {
    fn write(&self, form: &mut Form) {
        form.text("rule", self.rule);
        form.text("enforcement", self.enforcement);
        form.text_or_null("key", self.key);
        form.number_or_null("measured", self.measured);
        form.number_or_null("allowed", self.allowed);
        form.text("quota", self.quota);
        form.text_or_null("hint", self.hint);
        form.text("message", &*self.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fault: &Fault<'_>, expected: &str) {
        let body = String::from_utf8(fault.to_body()).unwrap();
        assert_eq!(body, expected);
        assert!(body.is_ascii());
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read.as_object().unwrap().len(), 1, "the client takes the first of the top-level keys");
    }

    #[test]
    fn names_each_status_as_karbor_does() {
        for (status, name) in [
            (400, "badRequest"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "itemNotFound"),
            (405, "badMethod"),
            (409, "conflictingRequest"),
            (413, "overLimit"),
            (415, "badMediaType"),
            (429, "overLimit"),
            (501, "notImplemented"),
            (502, "computeFault"),
            (503, "serviceUnavailable"),
            (504, "computeFault"),
        ] {
            check(&Fault::new(status, "no"), &format!(r#"{{"{name}":{{"message":"no","code":{status}}}}}"#));
        }
    }

    #[test]
    fn keeps_the_message_to_one_line_of_ascii() {
        check(
            &Fault::new(400, "a\r\nb\u{85}c \"q\" \u{e9} \u{1d11e}"),
            r#"{"badRequest":{"message":"a  b c \"q\" \u00e9 \ud834\udd1e","code":400}}"#,
        );
    }

    #[test]
    fn lists_details_for_programs() {
        let detail = Detail {
            rule: "key-too-long",
            enforcement: "enforced",
            key: Some("k\u{e9}"),
            measured: Some(3),
            allowed: Some(2),
            quota: None,
            hint: None,
            message: "m".to_owned(),
        };
        check(
            &Fault { details: vec![detail], left_out: 7, hint: Some("h"), ..Fault::new(413, "no") },
            concat!(
                r#"{"overLimit":{"message":"no","code":413,"hint":"h","details":[{"rule":"key-too-long","#,
                r#""enforcement":"enforced","key":"k\u00e9","measured":3,"allowed":2,"hint":null,"#,
                r#""message":"m"}],"left_out":7}}"#
            ),
        );
    }
}

//! Bodies of creations, as sizes and faults call for them.

/// A tenant that is not named, so that the default holds.
pub(crate) const TENANT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";
/// Of a body of some 14 KB with 64 entries, near the shipped bound on all of them.
const VALUE_BYTES: usize = 180;

/// A creation with these members of `extra-info`, as JSON.
pub(crate) fn creation(members: &[String]) -> String {
    let members = members.join(", ");
    format!(
        r#"{{"checkpoint": {{"plan_id": "2a9ce1f3-cc1a-4516-9435-0ebb13caa398", "extra-info": {{{members}}}}}}}"#
    )
}

/// So many entries that are admitted as shipped.
pub(crate) fn entries(number: usize) -> Vec<String> {
    (0..number).map(|at| entry(&format!("x-acme--cost-center-{at:02}"), &"d".repeat(VALUE_BYTES))).collect()
}

/// An entry as JSON; both texts stand as they are.
pub(crate) fn entry(key: &str, value: &str) -> String {
    format!(r#""{key}": "{value}""#)
}

/// `text` with every character as the longest escape there is.
pub(crate) fn escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

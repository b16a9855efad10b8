//! One text in an answer, by the names that lead to it, in one reading.
//!
//! Everything else in the answer must be JSON, and is skipped where it stands. Leaves to the callers which names.

use std::borrow::Cow;

use crate::karbor::json::{Broken, Read, Scanner};

/// The text at `path`, an object in an object. None if anything on the way is something else, is not there, or stands
/// twice.
pub(super) fn text_at<'b>(body: &'b [u8], [outer, inner]: [&str; 2]) -> Option<Cow<'b, str>> {
    let mut scanner = Scanner::of(body);
    let text = member(&mut scanner, outer, |scanner| member(scanner, inner, Scanner::string)).ok()?;
    scanner.end().ok().map(|()| text)
}

/// Reads an object, and its member of that name by `read`.
fn member<'b, T>(
    scanner: &mut Scanner<'b>,
    name: &str,
    read: impl Fn(&mut Scanner<'b>) -> Read<T>,
) -> Read<T> {
    scanner.take(b'{')?;
    let (mut found, mut begun) = (None, false);
    while let Some(key) = scanner.next_key(&mut begun)? {
        if key != name {
            scanner.skip()?;
        } else if found.replace(read(scanner)?).is_some() {
            return Err(Broken);
        }
    }
    found.ok_or(Broken)
}

//! One text in an answer, by the names that lead to it, in one reading.
//!
//! Everything else in the answer must be JSON, and is skipped where it stands. Leaves to the callers which names.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// The text at `path`, an object in an object. None if anything on the way is something else, is not there, or stands
/// twice.
pub(super) fn text_at<'b>(body: &'b [u8], path: [&'static str; 2]) -> Option<Cow<'b, str>> {
    let mut deserializer = serde_json::Deserializer::from_str(std::str::from_utf8(body).ok()?);
    let [outer, inner] = path;
    let text =
        In { name: outer, then: In { name: inner, then: Text } }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok().map(|()| text)
}

/// An object of which one member is wanted, read by `then`. Never a list: `serde` takes its items for the members of
/// a struct.
#[derive(Clone, Copy)]
struct In<S> {
    name: &'static str,
    then: S,
}

impl<'b, S: DeserializeSeed<'b> + Copy> DeserializeSeed<'b> for In<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'b, S: DeserializeSeed<'b> + Copy> Visitor<'b> for In<S> {
    type Value = S::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with '{}'", self.name)
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<S::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key_seed(Text)? {
            if key != self.name {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value_seed(self.then)?).is_some() {
                return Err(A::Error::duplicate_field(self.name));
            }
        }
        found.ok_or_else(|| A::Error::missing_field(self.name))
    }
}

/// A string, borrowed unless it was written with escapes.
#[derive(Clone, Copy)]
struct Text;

impl<'b> DeserializeSeed<'b> for Text {
    type Value = Cow<'b, str>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Cow<'b, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'b> Visitor<'b> for Text {
    type Value = Cow<'b, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

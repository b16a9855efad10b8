//! Writes JSON as Python's `json.dumps`, and values as its `repr`.

use std::fmt::Write as _;

use super::Json;

pub(super) fn dump(value: &Json) -> String {
    let mut out = String::new();
    write(value, &DUMP, &mut out);
    out
}

pub(super) fn repr(value: &Json) -> String {
    let mut out = String::new();
    write(value, &REPR, &mut out);
    out
}

/// How the two ways of writing differ.
struct Style {
    words: [&'static str; 3],
    floats: [&'static str; 3],
    string: fn(&str, &mut String),
}

const DUMP: Style =
    Style { words: ["null", "true", "false"], floats: ["NaN", "Infinity", "-Infinity"], string: dump_string };
const REPR: Style =
    Style { words: ["None", "True", "False"], floats: ["nan", "inf", "-inf"], string: repr_string };

fn write(value: &Json, style: &Style, out: &mut String) {
    match value {
        Json::Null => out.push_str(style.words[0]),
        Json::Bool(true) => out.push_str(style.words[1]),
        Json::Bool(false) => out.push_str(style.words[2]),
        Json::Integer(digits) => out.push_str(digits),
        Json::Float(number) => write_float(*number, style, out),
        Json::Text(text) => (style.string)(text, out),
        Json::List(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                write(item, style, out);
            }
            out.push(']');
        }
        Json::Map(members) => {
            out.push('{');
            for (place, (key, value)) in members.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                (style.string)(key, out);
                out.push_str(": ");
                write(value, style, out);
            }
            out.push('}');
        }
    }
}

fn write_float(number: f64, style: &Style, out: &mut String) {
    let [nan, infinity, negative] = style.floats;
    if number.is_nan() {
        out.push_str(nan);
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { infinity } else { negative });
    } else if number == 0.0 || (1e-4..1e16).contains(&number.abs()) {
        // Writing to a `String` cannot fail, here and below.
        let _ = write!(out, "{number:?}");
    } else {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
    }
}

fn dump_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='\u{7f}' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

fn repr_string(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

//! JSON made of random choices: any tree, written with escapes, blanks and repeated keys.

use arbitrary::{Result, Unstructured};

/// Words that mean something, or nearly.
const WORDS: &[&str] = &[
    "checkpoint",
    "plan_id",
    "extra-info",
    "extra_info",
    "created_by",
    "trigger_id",
    "scheduled_operation_id",
    "karbor-created-by",
    "karbor-trigger-id",
    "karbor-a",
    "karbor-",
    "x-a--b",
    "x-acme-one--b",
    "x-acme--a b",
    "x-a",
    "x-a---",
    "x-a.b_c-d--N:.#_-9",
    "manual",
    "operation-engine",
    "c6b1a8e0-6d2f-4b57-9d7c-5f7b8b6e2f11",
    "a",
    "",
    "Extra-Info",
    "extra-info\n",
    "karbor-created-by\n",
];

/// A document that is mostly a creation.
pub(crate) fn creation(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut text = String::new();
    blanks(u, &mut text)?;
    if u.ratio(1, 8)? {
        value(u, &mut text, 0)?;
    } else {
        wrapped(u, &mut text)?;
    }
    blanks(u, &mut text)?;
    Ok(text.into_bytes())
}

/// Any document.
pub(crate) fn document(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut text = String::new();
    value(u, &mut text, 0)?;
    Ok(text.into_bytes())
}

fn wrapped(u: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    if u.ratio(1, 4)? {
        return checkpoint(u, text);
    }
    members(u, text, 1, |u, text| {
        if u.ratio(7, 8)? {
            member(u, text, "checkpoint")?;
            checkpoint(u, text)
        } else {
            any_member(u, text, 1)
        }
    })
}

fn checkpoint(u: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    members(u, text, 2, |u, text| match u.int_in_range(0..=7)? {
        0..=2 => {
            member(u, text, "plan_id")?;
            string(u, text, "c6b1a8e0-6d2f-4b57-9d7c-5f7b8b6e2f11")
        }
        3..=6 => {
            let name = if u.ratio(1, 12)? { "extra_info" } else { "extra-info" };
            member(u, text, name)?;
            entries(u, text)
        }
        _ => any_member(u, text, 2),
    })
}

fn entries(u: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    let count = if u.ratio(1, 16)? { 70 } else { 4 };
    members(u, text, count, |u, text| {
        let key = match u.int_in_range(0..=5)? {
            0..=3 => word(u)?,
            4 => format!("x-a--{}", "n".repeat(u.int_in_range(0..=300)?)),
            _ => format!("x-a--{}", u.arbitrary::<u8>()?),
        };
        member(u, text, &key)?;
        match u.int_in_range(0..=9)? {
            0..=6 => {
                let content = word(u)?;
                string(u, text, &content)
            }
            7 | 8 => {
                let content = "v".repeat(u.int_in_range(0..=1100)?);
                string(u, text, &content)
            }
            _ => value(u, text, 3),
        }
    })
}

/// Up to about `most` members; `one` writes a key, a colon and a value.
fn members(
    u: &mut Unstructured<'_>,
    text: &mut String,
    most: usize,
    mut one: impl FnMut(&mut Unstructured<'_>, &mut String) -> Result<()>,
) -> Result<()> {
    text.push('{');
    let count = u.int_in_range(0..=most + 1)?;
    for index in 0..count {
        if index > 0 {
            text.push(',');
        }
        blanks(u, text)?;
        one(u, text)?;
    }
    blanks(u, text)?;
    text.push('}');
    Ok(())
}

fn any_member(u: &mut Unstructured<'_>, text: &mut String, depth: usize) -> Result<()> {
    let key = word(u)?;
    member(u, text, &key)?;
    value(u, text, depth + 1)
}

fn member(u: &mut Unstructured<'_>, text: &mut String, key: &str) -> Result<()> {
    string(u, text, key)?;
    blanks(u, text)?;
    text.push(':');
    blanks(u, text)
}

fn value(u: &mut Unstructured<'_>, text: &mut String, depth: usize) -> Result<()> {
    let leaf_only = depth > 6 || u.is_empty();
    match u.int_in_range(0..=if leaf_only { 4 } else { 7 })? {
        0 => text.push_str("null"),
        1 => text.push_str(if u.arbitrary()? { "true" } else { "false" }),
        2 => text.push_str(u.choose(&[
            "0",
            "-0",
            "1.5",
            "1e2",
            "-1E-9",
            "18446744073709551616",
            "1e999",
            "NaN",
            "01",
        ])?),
        3 | 4 => {
            let content = word(u)?;
            string(u, text, &content)?;
        }
        5 => {
            text.push('[');
            for index in 0..u.int_in_range(0..=3)? {
                text.push_str(if index > 0 { "," } else { "" });
                value(u, text, depth + 1)?;
            }
            text.push(']');
        }
        6 => {
            let levels = u.int_in_range(1..=130)?;
            text.extend(std::iter::repeat_n('[', levels));
            text.extend(std::iter::repeat_n(']', levels));
        }
        _ => members(u, text, 3, |u, text| any_member(u, text, depth + 1))?,
    }
    Ok(())
}

fn word(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(1, 6)? { u.arbitrary().map(str::to_owned) } else { Ok((*u.choose(WORDS)?).to_owned()) }
}

/// `content` as a JSON string, each character plain or escaped in one of the ways there are.
fn string(u: &mut Unstructured<'_>, text: &mut String, content: &str) -> Result<()> {
    let escapes = u.ratio(1, 4)?;
    text.push('"');
    for char in content.chars() {
        let must = char.is_ascii_control() && char != '\x7f' || matches!(char, '"' | '\\');
        if must || (escapes && u.ratio(1, 4)?) {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                let upper = escapes && u.arbitrary()?;
                text.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
            }
        } else if char == '/' && escapes {
            text.push_str("\\/");
        } else {
            text.push(char);
        }
    }
    if escapes && u.ratio(1, 32)? {
        text.push_str("\\ud800");
    }
    text.push('"');
    Ok(())
}

fn blanks(u: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    if u.ratio(1, 16)? {
        text.push_str(u.choose(&[" ", "\n", "\t", "\r\n", "  "])?);
    }
    Ok(())
}

//! Small pictures: how full something is, and how a count went by the minute. SVG of numbers alone.

use super::markup::Markup;

/// What a bar shows from which share on, in percent: something to look at, and full.
const NEARLY: u64 = 80;
const FULL: u64 = 100;
/// The height of a plot in its own units; a minute is two of them wide.
const HEIGHT: u64 = 24;

/// How much of something bounded is used, in whole percent, at most 999. Of nothing, all is used.
pub(super) fn percent(used: u64, allowed: u64) -> u64 {
    let hundredfold = u128::from(used) * 100;
    match u128::from(allowed) {
        0 => FULL,
        allowed => u64::try_from(hundredfold / allowed).unwrap_or(u64::MAX).min(999),
    }
}

/// A bar that is so full. What it shows stands beside it in words.
pub(super) fn bar(markup: &mut Markup, percent: u64) {
    let fill = match percent {
        0..NEARLY => "<rect class=\"fill\" height=\"8\" width=\"",
        NEARLY..FULL => "<rect class=\"fill warn\" height=\"8\" width=\"",
        _ => "<rect class=\"fill bad\" height=\"8\" width=\"",
    };
    markup.raw("<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    markup.raw("<rect class=\"track\" height=\"8\" width=\"100\"/>").raw(fill);
    markup.number(percent.min(FULL)).raw("\"/></svg>");
}

/// A column for each count, the highest as high as the picture; one above nothing is seen.
pub(super) fn columns(markup: &mut Markup, counts: &[u64]) {
    let most = counts.iter().copied().max().unwrap_or_default();
    markup.raw("<svg class=\"plot\" viewBox=\"0 0 ").number(counts.len() as u64 * 2);
    markup.raw(" 24\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"at most ").number(most);
    markup.raw(" in a minute\"><path d=\"M0 24");
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = u128::from(*count) * u128::from(HEIGHT) / u128::from(most);
        let height = u64::try_from(height).unwrap_or(HEIGHT).max(2);
        markup.raw("M").number(at as u64 * 2).raw(" 24v-").number(height).raw("h2v").number(height).raw("z");
    }
    markup.raw("\"/></svg>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for (used, allowed, expected) in [
            (0, 10, 0),
            (1, 10, 10),
            (799, 1000, 79),
            (10, 10, 100),
            (11, 10, 110),
            (0, 0, 100),
            (5, 0, 100),
            (u64::MAX, 1, 999),
            (u64::MAX, u64::MAX, 100),
        ] {
            assert_eq!(percent(used, allowed), expected, "{used} of {allowed}");
        }
    }

    #[track_caller]
    fn check(draw: impl Fn(&mut Markup), contains: &[&str]) {
        let mut markup = Markup::default();
        draw(&mut markup);
        let text = markup.finish();
        for part in contains {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn bars() {
        check(|markup| bar(markup, 0), &["class=\"fill\"", "width=\"0\""]);
        check(|markup| bar(markup, 79), &["class=\"fill\"", "width=\"79\""]);
        check(|markup| bar(markup, 80), &["class=\"fill warn\"", "width=\"80\""]);
        check(|markup| bar(markup, 999), &["class=\"fill bad\"", "width=\"100\""]);
    }

    #[test]
    fn plots() {
        check(|markup| columns(markup, &[]), &["viewBox=\"0 0 0 24\"", "at most 0 in", "d=\"M0 24\"/>"]);
        check(|markup| columns(markup, &[0, 0]), &["viewBox=\"0 0 4 24\"", "d=\"M0 24\"/>"]);
        check(
            |markup| columns(markup, &[1, 0, 4, 1000]),
            &["at most 1000 in a minute", "M0 24v-2h2v2zM4 24v-2h2v2zM6 24v-24h2v24z\""],
        );
        check(|markup| columns(markup, &[u64::MAX, u64::MAX / 2]), &["v-24h2v24z", "v-11h2v11z"]);
    }
}

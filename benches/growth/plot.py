"""A small plot as SVG: medians with a whisker from least to most, on a white ground, readable at 360 pixels.

Leaves what is drawn to `run`.
"""

import math
import statistics
from xml.etree import ElementTree
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 344, 52, 204
COLOURS = ("#1f5fa8", "#b3500a", "#3a7d2c")


class Scale:
    """From values to places between `low` and `high`."""

    def __init__(self, first, last, low, high, *, log):
        self._of = math.log10 if log else float
        self._first, self._low = self._of(first), low
        self._per = (high - low) / ((self._of(last) - self._first) or 1)

    def __call__(self, value):
        return self._low + (self._of(value) - self._first) * self._per


def nice(most):
    """Even steps from 0 to above `most`."""
    size = 10 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if most / (size * part) <= 5)
    return [step * at for at in range(math.ceil(most / step) + 1)]


def powers(least, most):
    """Powers of ten around both."""
    return [10.0**at for at in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


def text(x, y, words, *, anchor="middle", size=11, colour="#222", more=""):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" fill="{colour}"{more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour, more=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def scales(scale, series, ticks):
    """Of x and y, and the ticks of y."""
    values = [value for points in series.values() for _, taken in points for value in taken]
    if scale == "log-log":
        steps = powers(min(values), max(values))
        y = Scale(steps[0], steps[-1], BOTTOM, TOP, log=True)
    else:
        steps = nice(max(values))
        y = Scale(0, steps[-1], BOTTOM, TOP, log=False)
    if scale == "names":
        order = {name: at + 0.5 for at, (name, _) in enumerate(ticks)}
        return lambda name: LEFT + (RIGHT - LEFT) * order[name] / len(ticks), y, steps
    places = [x for points in series.values() for x, _ in points]
    return Scale(min(places), max(places), LEFT + 14, RIGHT - 18, log=scale != "linear"), y, steps


def frame(title, label, x, y, ticks, steps):
    """Everything but the figures."""
    parts = [text(WIDTH / 2, 18, title, size=13, more=' font-weight="bold"')]
    for step in steps:
        parts += [line(LEFT, y(step), RIGHT, y(step), "#ddd"),
                  text(LEFT - 5, y(step) + 4, f"{step:,.6g}".replace(",", " "), anchor="end")]
    parts.append(line(LEFT, BOTTOM, RIGHT, BOTTOM, "#444"))
    for value, name in ticks:
        parts += [line(x(value), BOTTOM, x(value), BOTTOM + 4, "#444"), text(x(value), BOTTOM + 17, name, size=10.5)]
    middle = (TOP + BOTTOM) / 2
    turned = f' transform="rotate(-90 13 {middle})"'
    return parts + [text((LEFT + RIGHT) / 2, HEIGHT - 10, label), text(13, middle, "µs of CPU", more=turned)]


def curve(points, x, y, colour, *, joined, shift):
    """The medians of one series, each with its whisker; their figures where nothing joins them."""
    places = [(x(at) + shift, taken) for at, taken in points]
    parts = []
    if joined:
        path = " ".join(f"{place:.1f},{y(statistics.median(taken)):.1f}" for place, taken in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    for place, taken in places:
        middle = statistics.median(taken)
        whisker = ' stroke-width="4" stroke-opacity="0.35"'
        parts.append(line(place, y(min(taken)), place, y(max(taken)), colour, whisker))
        parts.append(f'<circle cx="{place:.1f}" cy="{y(middle):.1f}" r="3" fill="{colour}"/>')
        if not joined:
            parts.append(text(place + 6, y(middle) + 4, f"{middle:.1f}", anchor="start", colour=colour))
    return parts


def legend(names):
    parts, at = [], LEFT
    for name, colour in zip(names, COLOURS):
        parts += [f'<circle cx="{at + 4}" cy="36" r="4" fill="{colour}"/>', text(at + 12, 40, name, anchor="start")]
        at += 30 + 6 * len(name)
    return parts


def draw(title, label, scale, ticks, series):
    """The whole picture. `series` has, by name, places on x with what was measured there."""
    x, y, steps = scales(scale, series, ticks)
    parts = frame(title, label, x, y, ticks, steps) + legend(series)
    for at, (points, colour) in enumerate(zip(series.values(), COLOURS)):
        shift = 24 * at - 26 if scale == "names" and len(series) > 1 else 0
        parts += curve(points, x, y, colour, joined=scale != "names", shift=shift)
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img" font-family="sans-serif"><title>{escape(title)}</title>')
    whole = "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fff"/>', *parts, "</svg>\n"])
    ElementTree.fromstring(whole)
    return whole

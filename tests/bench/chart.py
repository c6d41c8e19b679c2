"""Charts as self-contained SVG, readable on a light and on a dark page: bars of ratios, and lines
on logarithmic axes."""
import math
from html import escape

WIDTH, MARGIN = 960, 28
# class: (property, on a light page, on a dark page). No CSS variables: not every viewer has them.
COLOURS = {
    "page": ("fill", "#ffffff", "#12161d"), "bed": ("fill", "#f4f6f9", "#1b212b"),
    "ink": ("fill", "#1c2330", "#e6e9ef"), "soft": ("fill", "#5d6778", "#9aa5b5"),
    "grid": ("stroke", "#dfe3ea", "#2d3541"), "one": ("stroke", "#5d6778", "#9aa5b5"),
    "goal": ("stroke", "#1c2330", "#f2f4f7"), "limit": ("stroke", "#c8452f", "#ea6a54"),
    "warn": ("fill", "#c8452f", "#ea6a54"),
    "good": ("fill", "#1f8a5b", "#3aa877"), "bad": ("fill", "#c8452f", "#dd6350"),
    "plain": ("fill", "#4a7fc1", "#6f9fe0"),
}
LINES = (("#1f8a5b", "#3fb883"), ("#3b6fc4", "#74a5f2"), ("#d1742a", "#f0a05c"),
         ("#8a56c9", "#b48cf0"), ("#c23b5e", "#ef7592"))
for _index, (_light, _dark) in enumerate(LINES):
    COLOURS[f"dot{_index}"] = "fill", _light, _dark
    COLOURS[f"line{_index}"] = "stroke", _light, _dark


def style():
    light, dark = ("\n".join(f"  .{name} {{ {entry[0]}: {entry[number]}; }}"
                             for name, entry in COLOURS.items()) for number in (1, 2))
    return f"""<style>
  text {{ font: 13px system-ui, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', sans-serif; }}
  text.title {{ font-size: 21px; font-weight: 600; }}
  text.head {{ font-size: 15px; font-weight: 600; }}
  text.soft {{ font-size: 12px; }}
  text.value {{ font-weight: 600; }}
  .one {{ stroke-dasharray: 4 3; }}
  .goal {{ stroke-width: 3; }}
  .limit {{ stroke-dasharray: 6 4; }}
  polyline {{ fill: none; stroke-width: 2.2; }}
{light}
  @media (prefers-color-scheme: dark) {{
{dark} }}
</style>"""


def text(x, y, words, kind="", anchor="start"):
    if not {"soft", "warn"} & set(kind.split()):
        kind += " ink"
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind.strip()}" text-anchor="{anchor}">'
            f'{escape(words)}</text>')


def rule(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def head(title, subtitle):
    return [text(MARGIN, 40, title, "title")] + [
        text(MARGIN, 62 + 18 * index, line, "soft") for index, line in enumerate(subtitle)]


def write(path, height, parts):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
                   f'width="{WIDTH}" height="{height:.0f}" role="img">\n{style()}\n'
                   f'<rect width="{WIDTH}" height="{height:.0f}" class="page"/>\n'
                   + "\n".join(parts) + "\n</svg>\n")


# ---- bars

LABEL_END, BAR_START, BAR_END, ROW = 304, 316, 648, 27


def bar_panel(top, panel):
    """panel: heading, hint, rows of (label, ratio, sign, goal, absolute values); 1 is Postfix."""
    rows, parts = panel["rows"], []
    high = max([1.15] + [max(row[1], row[3] or 0) * 1.04 for row in rows])

    def place(value):
        return BAR_START + value / high * (BAR_END - BAR_START)
    floor = top + 54 + ROW * len(rows)
    parts += [text(MARGIN, top + 18, panel["heading"], "head"),
              text(WIDTH - MARGIN, top + 18, panel["hint"], "soft", "end"),
              f'<rect x="{BAR_START}" y="{top + 48}" width="{BAR_END - BAR_START}" '
              f'height="{floor - top - 48}" class="bed"/>']
    for index, (label, ratio, sign, goal, absolute) in enumerate(rows):
        y = top + 54 + ROW * index
        reached = goal is None or (ratio >= goal if sign == ">=" else ratio <= goal)
        kind = "plain" if goal is None else "good" if reached else "bad"
        end = place(ratio)
        parts += [text(LABEL_END, y + 15, label, "", "end"),
                  f'<rect x="{BAR_START}" y="{y + 2}" width="{max(end - BAR_START, 1.5):.1f}" '
                  f'height="17" rx="2" class="{kind}"/>']
        note = "" if goal is None else f"goal {'≥' if sign == '>=' else '≤'} {goal:g}"
        if not reached:
            note += ", missed"
        if goal is not None:
            parts.append(rule(place(goal), y - 1, place(goal), y + 22, "goal"))
        parts += [text(BAR_END + 14, y + 15, f"{ratio:.2f}", "value"),
                  text(BAR_END + 52, y + 15, note, "soft"),
                  text(WIDTH - MARGIN, y + 15, absolute, "soft", "end")]
    one = place(1)
    parts += [rule(one, top + 45, one, floor, "one"),
              text(one, top + 41, panel["one"], "soft", "middle")]
    return floor + 22, parts


def write_bars(path, title, subtitle, panels):
    parts, y = head(title, subtitle), 62 + 18 * len(subtitle)
    for panel in panels:
        if panel["rows"]:
            y, more = bar_panel(y, panel)
            parts += more
    write(path, y + 6, parts)


# ---- lines

COLUMNS, PANEL_HEIGHT = 2, 330


def decades(values):
    """The powers of ten around values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def number(exponent):
    return f"{10 ** exponent:,}" if exponent >= 0 else f"{10 ** exponent:.{-exponent}f}"


def line_panel(x, y, panel):
    """panel: title, unit, across (what x counts), lines [(label, [(x, y)])], limit (y, text)."""
    width = (WIDTH - 2 * MARGIN - 28) / COLUMNS
    left, right = x + 52, x + width - 42
    top, floor = y + 62 + 17 * ((len(panel["lines"]) + 1) // 2), y + PANEL_HEIGHT - 48
    points = [point for _, line in panel["lines"] for point in line]
    limit = panel.get("limit")
    across = decades([px for px, _ in points])
    upwards = decades([py for _, py in points] + ([limit[0]] if limit else []))

    def place(px, py):
        return (left + (math.log10(px) - across[0]) / (across[1] - across[0]) * (right - left),
                floor - (math.log10(py) - upwards[0]) / (upwards[1] - upwards[0]) * (floor - top))
    parts = [text(x, y + 16, panel["title"], "head"),
             text(x, y + 35, panel["unit"], "soft"),
             f'<rect x="{left}" y="{top}" width="{right - left}" height="{floor - top}" '
             'class="bed"/>']
    for exponent in range(across[0], across[1] + 1):
        at, _ = place(10 ** exponent, 10 ** upwards[0])
        parts += [rule(at, top, at, floor, "grid"),
                  text(at, floor + 18, number(exponent), "soft", "middle")]
    for exponent in range(upwards[0], upwards[1] + 1):
        _, at = place(10 ** across[0], 10 ** exponent)
        parts += [rule(left, at, right, at, "grid"),
                  text(left - 7, at + 4, number(exponent), "soft", "end")]
    parts.append(text((left + right) / 2, floor + 37, panel["across"], "soft", "middle"))
    if limit:
        _, at = place(10 ** across[0], limit[0])
        parts += [rule(left, at, right, at, "limit"),
                  text(left + 6, at - 5, limit[1], "soft warn")]
    for index, (label, line) in enumerate(panel["lines"]):
        colour = index % len(LINES)
        places = [place(*point) for point in line]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        parts.append(f'<polyline points="{path}" class="line{colour}"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.6" class="dot{colour}"/>'
                  for px, py in places]
        legend_x, legend_y = x + (index % 2) * width / 2, y + 54 + 17 * (index // 2)
        parts += [f'<rect x="{legend_x:.1f}" y="{legend_y - 9}" width="10" height="10" rx="2" '
                  f'class="dot{colour}"/>', text(legend_x + 16, legend_y, label, "soft")]
    ends = [(place(*line[-1]), f"{line[-1][1]:.3g}") for _, line in panel["lines"]]
    return parts + last_values(ends)


def last_values(ends):
    """The value at the end of each line, ends being [((x, y), value)], none over another."""
    parts, lowest = [], -math.inf
    for (x, y), value in sorted(ends, key=lambda end: end[0][1]):
        lowest = max(y + 4, lowest + 13)
        parts.append(text(x + 8, lowest, value, "soft value"))
    return parts


def write_lines(path, title, subtitle, panels):
    """What is not above 0 cannot be drawn on a logarithmic axis and is left out."""
    kept = []
    for panel in panels:
        lines = [(label, [(x, y) for x, y in line if x > 0 and y > 0])
                 for label, line in panel["lines"]]
        lines = [(label, line) for label, line in lines if line]
        if lines:
            kept.append({**panel, "lines": lines})
    parts, start = head(title, subtitle), 76 + 18 * len(subtitle)
    step = (WIDTH - 2 * MARGIN + 28) / COLUMNS
    for index, panel in enumerate(kept):
        parts += line_panel(MARGIN + step * (index % COLUMNS),
                            start + PANEL_HEIGHT * (index // COLUMNS), panel)
    write(path, start + PANEL_HEIGHT * -(-len(kept) // COLUMNS), parts)

"""Line charts with logarithmic axes, as a self-contained SVG."""
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 880, 400, 80, 260, 50, 50
COLOURS = ("#2a7f4f", "#b03a2e", "#1f5fa8", "#a8791f", "#6b3fa0", "#3a3a3a", "#c2568b")


def decades(values):
    """The powers of ten around values."""
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def scale(value, bounds, start, end):
    low, high = bounds
    return start + (math.log10(value) - low) / (high - low) * (end - start)


def number(exponent):
    return f"{10 ** exponent:,}" if exponent >= 0 else f"{10 ** exponent:.{-exponent}f}"


def panel(top, title, heading, lines):
    """One chart: lines is [(label, [(x, y), ...])], all numbers above 0."""
    points = [point for _, line in lines for point in line]
    across, upwards = decades([x for x, _ in points]), decades([y for _, y in points])
    right, floor = WIDTH - RIGHT, top + HEIGHT - BOTTOM
    parts = [f'<text x="{LEFT}" y="{top + 24}" font-size="15">{title}</text>',
             f'<text x="{(LEFT + right) / 2}" y="{floor + 36}" text-anchor="middle">{heading}</text>']
    for exponent in range(across[0], across[1] + 1):
        x = scale(10 ** exponent, across, LEFT, right)
        parts.append(f'<line x1="{x:.1f}" y1="{top + TOP}" x2="{x:.1f}" y2="{floor}" stroke="#ddd"/>'
                     f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{number(exponent)}</text>')
    for exponent in range(upwards[0], upwards[1] + 1):
        y = scale(10 ** exponent, upwards, floor, top + TOP)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(exponent)}</text>')
    for index, (label, line) in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        places = [(scale(x, across, LEFT, right), scale(y, upwards, floor, top + TOP)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(f'<text x="{right + 16}" y="{top + TOP + 14 + 20 * index}" '
                     f'fill="{colour}">{label}</text>')
    return parts


def write_lines(path, panels):
    """panels: [(title, heading of the x axis, lines)], one above the other. What is not above 0
    cannot be drawn and is left out."""
    kept = []
    for title, heading, lines in panels:
        lines = [(label, [(x, y) for x, y in line if x > 0 and y > 0]) for label, line in lines]
        lines = [(label, line) for label, line in lines if line]
        if lines:
            kept.append((title, heading, lines))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(kept) + 20}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    for index, (title, heading, lines) in enumerate(kept):
        parts += panel(HEIGHT * index, title, heading, lines)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts + ["</svg>"]) + "\n")

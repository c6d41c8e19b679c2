"""The report of the benchmark: a table, bench.json and a self-contained bench.svg."""
import json
import statistics

# metric: (heading, is more better)
METRICS = {
    "delivered_per_s": ("messages/s delivered", True),
    "recipients_per_s": ("recipients/s", True),
    "cpu_s_per_1000": ("CPU s per 1000", False),
    "pss_mb": ("memory MB (PSS)", False),
    "accepted_ms": ("ms to 250", False),
    "delivered_ms": ("ms to Maildir", False),
}


def ratio(rows, metric):
    """(median of ours / median of Postfix's, lowest and highest round by round), or None."""
    ours = [row[metric] for row in rows["pennypost"] if row.get(metric)]
    theirs = [row[metric] for row in rows["postfix"] if row.get(metric)]
    if not ours or not theirs:
        return None
    pairs = [a / b for a, b in zip(ours, theirs)]
    return statistics.median(ours) / statistics.median(theirs), min(pairs), max(pairs)


def print_table(results, goals):
    """One line per cell and metric; a goal that is missed is marked."""
    print(f"{'cell':16} {'metric':22} {'pennypost':>10} {'postfix':>10} {'ratio':>6} "
          f"{'min..max':>12}  goal")
    missed = 0
    for cell, rows in results.items():
        for metric, (heading, _) in METRICS.items():
            found = ratio(rows, metric)
            if not found:
                continue
            middle, low, high = found
            ours, theirs = (statistics.median(row[metric] for row in rows[name])
                            for name in ("pennypost", "postfix"))
            sign, goal = goals.get((cell, metric), ("", None))
            text = ""
            if goal is not None:
                reached = middle >= goal if sign == ">=" else middle <= goal
                missed += not reached
                text = f"{sign} {goal}" + ("" if reached else "  MISSED")
            print(f"{cell:16} {heading:22} {ours:10.2f} {theirs:10.2f} {middle:6.2f} "
                  f"{low:5.2f}..{high:5.2f}  {text}")
    return missed


def write_json(path, results, about):
    with open(path, "w", encoding="ascii") as file:
        json.dump({"about": about, "results": results}, file, indent=1)


def bars_of(results):
    """(label, factor by which we are better) for every cell's speed, CPU time and memory."""
    for cell, rows in results.items():
        for metric, (heading, more_is_better) in METRICS.items():
            found = ratio(rows, metric)
            if found:
                yield f"{cell}: {heading}", found[0] if more_is_better else 1 / found[0]


def write_svg(path, results):
    """Bars of how many times better than Postfix; the line at 1 is Postfix."""
    bars = list(bars_of(results))
    scale = 420 / max([factor for _, factor in bars] + [2])
    height = 22 * len(bars) + 70
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="880" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             '<text x="20" y="24" font-size="15">Pennypost against Postfix on the same machine, '
             'same durability: times better (1 = equal)</text>']
    for number, (label, factor) in enumerate(bars):
        y = 42 + 22 * number
        colour = "#2a7f4f" if factor >= 1 else "#b03a2e"
        parts.append(f'<text x="330" y="{y + 13}" text-anchor="end">{label}</text>'
                     f'<rect x="340" y="{y}" width="{factor * scale:.1f}" height="17" '
                     f'fill="{colour}"/>'
                     f'<text x="{346 + factor * scale:.1f}" y="{y + 13}">{factor:.2f}</text>')
    line = 340 + scale
    parts.append(f'<line x1="{line:.1f}" y1="36" x2="{line:.1f}" y2="{height - 20}" '
                 'stroke="black" stroke-dasharray="3 3"/></svg>')
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(parts) + "\n")

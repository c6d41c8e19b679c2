#!/usr/bin/python3
"""report.py - the figures of a benchmark run: a table, bench.json, bench.svg.

usage: report.py [bench.json [bench.svg]]

By hand: prints all figures of a bench.json as tables (Markdown; those in README.md are taken from
them), by default of the results.json that lies here, and draws the chart if a name for it is given.
"""
import json
import os
import statistics
import sys

import chart

# metric: (heading, is more better, decimals)
METRICS = {
    "delivered_per_s": ("messages/s", True, 0),
    "recipients_per_s": ("recipients/s", True, 0),
    "cpu_s_per_1000": ("CPU s per 1,000", False, 2),
    "kernel_s_per_1000": ("kernel workers", False, 2),  # their CPU s per 1,000
    "pss_mb": ("memory MB (PSS)", False, 1),
    "accepted_ms": ("ms to 250", False, 2),
    "delivered_ms": ("ms to Maildir", False, 2),
}
# (cell, metric): the ratio to Postfix that must be reached
GOALS = {
    ("s50-1K-keep", "delivered_per_s"): (">=", 3), ("s50-10K-keep", "delivered_per_s"): (">=", 3),
    ("s50-1K-keep", "cpu_s_per_1000"): ("<=", 0.25),
    ("s50-10K-keep", "cpu_s_per_1000"): ("<=", 0.25),
    ("s10-1K-keep", "delivered_per_s"): (">=", 2), ("s10-10K-keep", "delivered_per_s"): (">=", 2),
    ("s50-1K-conn", "delivered_per_s"): (">=", 2), ("s50-1K-conn", "cpu_s_per_1000"): ("<=", 0.4),
    ("s1-1K-keep", "delivered_per_s"): (">=", 1.2), ("s1-1K-conn", "delivered_per_s"): (">=", 1.2),
    ("out", "delivered_per_s"): (">=", 2.5), ("list", "recipients_per_s"): (">=", 2),
    ("s10-1M-keep", "delivered_per_s"): (">=", 1.7),
    ("s10-1M-keep", "cpu_s_per_1000"): ("<=", 0.45),
    ("latency", "delivered_ms"): ("<=", 1.0), ("s50-1K-keep", "pss_mb"): ("<=", 0.1),
}
# neighbour: (sessions, is somebody writing): the ratio of shared flushes to fsync for each.
# "never slower" is missed when it is slower in every round.
BESIDE_GOALS = {(1, False): 1.0, (1, True): 1.0, (10, True): 3}
NAMES = {"out": "SMTP out, one destination", "list": "one message, many recipients",
         "latency": "idle server, one message"}


def label(cell):
    """s50-1K-keep -> 50 sessions, 1 KiB, connection kept"""
    if cell in NAMES:
        return NAMES[cell]
    sessions, size, way = cell.split("-")
    number, unit = sessions[1:], {"K": "KiB", "M": "MiB"}[size[-1]]
    return (f"{number} session{'s' if number != '1' else ''}, {size[:-1]} {unit}, "
            + ("many per connection" if way == "keep" else "one per connection"))


class Figure:
    """One metric of one cell: both servers and their ratio. None where a run has failed."""

    def __init__(self, cell, metric, rows, has_goals):
        self.cell, self.metric = cell, metric
        self.heading, self.more_is_better, self.decimals = METRICS[metric]
        ours, theirs = ([row.get(metric) if row else None for row in rows[name]]
                        for name in ("pennypost", "postfix"))
        self.ours = [value for value in ours if value]
        self.theirs = [value for value in theirs if value]
        self.pairs = [a / b for a, b in zip(ours, theirs) if a and b]
        self.sign, self.goal = GOALS.get((cell, metric), ("", None)) if has_goals else ("", None)

    def is_there(self):
        return bool(self.pairs)

    def ratio(self):
        return statistics.median(self.ours) / statistics.median(self.theirs)

    def is_missed(self):
        if self.goal is None:
            return False
        return self.ratio() < self.goal if self.sign == ">=" else self.ratio() > self.goal

    def goal_text(self):
        if self.goal is None:
            return ""
        return f"{'≥' if self.sign == '>=' else '≤'} {self.goal:g}" + (
            ": missed" if self.is_missed() else "")

    def number(self, value):
        return f"{value:,.{self.decimals}f}"

    def spread(self, values):
        return (f"{self.number(statistics.median(values))} "
                f"({self.number(min(values))}..{self.number(max(values))})")


def figures(results, has_goals=True):
    for cell, rows in results.items():
        for metric in METRICS:
            figure = Figure(cell, metric, rows, has_goals)
            if figure.is_there():
                yield figure


def print_table(results, has_goals):
    """One line per cell and metric; returns the number of goals that were missed."""
    print(f"{'cell':14} {'metric':16} {'pennypost (min..max)':>28} {'postfix (min..max)':>28} "
          f"{'ratio':>6} {'min..max':>12}  goal")
    missed = 0
    for figure in figures(results, has_goals):
        missed += figure.is_missed()
        print(f"{figure.cell:14} {figure.heading:16} {figure.spread(figure.ours):>28} "
              f"{figure.spread(figure.theirs):>28} {figure.ratio():6.2f} "
              f"{min(figure.pairs):5.2f}..{max(figure.pairs):5.2f}  "
              f"{figure.goal_text()}")
    return missed


# ---- beside another writer

class Beside:
    """One line of the cell "neighbour": so many sessions, with or without a writer."""

    def __init__(self, rows, has_goals):
        by_way = {row["way"]: row for row in rows}
        self.shared, self.each = by_way["shared"], by_way["file"]
        self.postfix = by_way["postfix"]
        self.sessions, self.is_writing = self.shared["sessions"], self.shared["neighbour"]
        self.ratio = self.shared["median_ms"] / self.each["median_ms"]
        self.p95_ratio = self.shared["p95_ms"] / self.each["p95_ms"]
        self.pairs = [a / b for a, b in zip(self.shared["rounds_ms"], self.each["rounds_ms"])
                      if a and b]
        self.goal = BESIDE_GOALS.get((self.sessions, self.is_writing)) if has_goals else None

    def is_missed(self):
        if self.goal == 1:
            return self.ratio > 1 and min(self.pairs, default=2) > 1
        return self.goal is not None and max(self.ratio, self.p95_ratio) > self.goal

    def goal_text(self):
        if self.goal is None:
            return ""
        return f"≤ {self.goal:g}" + (": missed" if self.is_missed() else "")

    def cells(self):
        rate = self.shared.get("neighbour_mb_s")
        return [str(self.sessions), f"{rate:.0f} MB/s" if self.is_writing else "nobody",
                *(f"{row['median_ms']:.2f} ({row['p95_ms']:.1f})"
                  for row in (self.shared, self.each, self.postfix)),
                f"{self.ratio:.2f} ({min(self.pairs):.2f}..{max(self.pairs):.2f})"
                if self.pairs else f"{self.ratio:.2f}", f"{self.p95_ratio:.2f}", self.goal_text()]


WAYS = ("shared", "file", "postfix")
BESIDE_HEADINGS = ["sessions", "beside", "shared flush", "fsync for each", "Postfix",
                   "shared/each", "of the 95th", "goal"]


def besides(rows, has_goals=True):
    """One for each number of sessions of which all ways could be measured."""
    groups = {}
    for row in rows:
        groups.setdefault((row["neighbour"], row["sessions"]), []).append(row)
    return [Beside(group, has_goals) for group in groups.values() if len(group) == len(WAYS)]


def print_besides(rows, has_goals):
    """Returns the number of goals that were missed."""
    print("\nms from the end of data to 250: median (95 of 100 below)")
    widths = (8, 10, 16, 16, 16, 20, 12, 14)
    lines = besides(rows, has_goals)
    for cells in [BESIDE_HEADINGS] + [line.cells() for line in lines]:
        print(" ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)))
    return sum(line.is_missed() for line in lines)


# ---- files

def write_json(path, results, about):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"about": about, "results": results}, file, indent=1)
        file.write("\n")


def bar_panel(heading, hint, found, metrics):
    return {"heading": heading, "hint": hint, "one": "Postfix = 1", "rows": [
        (label(figure.cell) + (": to 250" if figure.metric == "accepted_ms" else ""),
         figure.ratio(), figure.sign, figure.goal,
         " : ".join(figure.number(statistics.median(values))
                    for values in (figure.ours, figure.theirs)))
        for figure in found if figure.metric in metrics]}


def subtitle(about):
    rounds = f"{about['rounds']} round{'s' if about['rounds'] != 1 else ''}"
    if about.get("short"):
        rounds += " of a short run"
    return [f"{about['time']}, {rounds}, medians; on the right Pennypost : Postfix",
            f"{about['cpus']} × {about['cpu']}, {about['memory_gb']} GB, Linux {about['kernel']}, "
            f"{about['file_system']}",
            f"Pennypost {about['pennypost']}, Postfix {about['postfix']}; same machine, same file "
            "system, same durability (fsync on)"]


def write_svg(path, results, about):
    has_goals = not about.get("short")
    found = list(figures(results, has_goals))
    panels = [
        bar_panel("Messages (list: recipients) delivered per second", "longer is better", found,
                  ("delivered_per_s", "recipients_per_s")),
        bar_panel("CPU seconds per 1,000, all processes", "shorter is better", found,
                  ("cpu_s_per_1000",)),
        bar_panel("Latency in ms, from connect", "shorter is better", found,
                  ("accepted_ms", "delivered_ms")),
        bar_panel("Peak memory in MB (PSS), all processes", "shorter is better", found,
                  ("pss_mb",))]
    beside = [(f"{line.sessions} session{'s' if line.sessions > 1 else ''}, "
               + ("100 MB/s beside" if line.is_writing else "nobody beside"),
               line.ratio, "<=", line.goal,
               f"{line.shared['median_ms']:.2f} : {line.each['median_ms']:.2f}")
              for line in besides(about.get("neighbour", []), has_goals)]
    panels.append({"heading": "Shared flushes: ms to 250 beside a program that writes",
                   "hint": "shorter is better; on the right shared : for each", "one": "fsync for each = 1",
                   "rows": beside})
    chart.write_bars(path, "Pennypost beside Postfix", subtitle(about),
                     [panel for panel in panels if panel["rows"]])


# ---- by hand

def markdown(headings, rows):
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def print_markdown(data):
    about = data["about"]
    print(f"{about['time']}, {about['rounds']} rounds. {'. '.join(subtitle(about)[1:])}.\n")
    if data["results"]:
        markdown(["cell", "metric", "Pennypost", "Postfix", "ratio", "goal"], [
            [label(figure.cell), figure.heading, figure.spread(figure.ours),
             figure.spread(figure.theirs),
             f"{figure.ratio():.2f} ({min(figure.pairs):.2f}..{max(figure.pairs):.2f})",
             figure.goal_text()] for figure in figures(data["results"])])
    if about.get("neighbour"):
        print()
        markdown(BESIDE_HEADINGS, [line.cells() for line in besides(about["neighbour"])])


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    path = sys.argv[1] if len(sys.argv) > 1 else f"{here}/results.json"
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        sys.exit(f"report.py: fatal: unable to read {path}: {error.strerror}")
    print_markdown(data)
    if len(sys.argv) > 2:
        write_svg(sys.argv[2], data["results"], data["about"])


if __name__ == "__main__":
    main()

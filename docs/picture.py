"""The picture of the architecture, drawn from the imports of the code as SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Any

from plumbline.kernel import room

DOORS = {  # row of the picture → names of the modules in it; "" takes the part's other modules
    "faces": ("api", "cli", "pages", "sdk", "demonstration"),
    "background": ("jobs", "worker"),
    "service": ("service",),
    "repository": ("repository",),
    "tables": ("tables",),
    "pure and own": (),
}
KERNEL = tuple(name.partition(":")[0].rpartition(".")[2] for name in room.KERNEL)
BASE = ("faces", "console", "database", "plain values")  # "plain values": the kernel's own modules
WIDTH, LEFT, GAP, LINE = 104, 84, 10, 15
STYLE = """
  svg { font: 11px system-ui, sans-serif; --ink: #1f2430; --soft: #5b6472; --line: #c9ced6; --box: #f3f5f8; --page: #ffffff; --go: #3556c9 }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6e9ef; --soft: #9aa3b2; --line: #434b59; --box: #232833; --page: #171a21; --go: #8ea6ff }
  }
  text { fill: var(--ink) } .soft { fill: var(--soft) } .head { font-weight: 600; font-size: 12px } .page { fill: var(--page) }
  .box { fill: var(--box); stroke: var(--line) } .go { stroke: var(--go); fill: none } .dot { fill: var(--go) } .lane { stroke: var(--line) }
"""


@dataclass
class Part:
    """A column of the picture: a room, a part of the kernel, or what all of them stand on."""

    name: str
    prefix: str
    doors: dict[str, list[str]] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)
    inside: set[tuple[str, str]] = field(default_factory=set)


def parts() -> tuple[list[Part], list[str]]:
    """Columns from left to right, and the modules that assemble them."""
    import grimp

    graph = grimp.build_graph("plumbline", exclude_type_checking_imports=True, cache_dir=None)
    packages = {m for m in graph.modules if graph.find_children(m)}
    top = sorted(m.rpartition(".")[2] for m in graph.find_children("plumbline"))
    rooms = [n for n in top if f"plumbline.{n}.tables" in graph.modules]
    assembling = [n for n in top if n not in (*rooms, "kernel", "console", "__main__")]
    columns = [Part(n, f"plumbline.{n}") for n in rooms]
    columns += [Part(n, f"plumbline.kernel.{n}") for n in KERNEL]
    columns += [Part("faces", "plumbline.kernel.faces"), Part("console", "plumbline.console")]
    columns += [Part("database", "plumbline.kernel.database"), Part("plain values", "plumbline.kernel")]
    for part in columns:
        for module in sorted(graph.find_children(part.prefix)):
            name = module.rpartition(".")[2]
            if name == "migrations" or (part.name == BASE[-1] and module in packages):
                continue
            part.doors.setdefault(_row(part, name), []).append(name)
    for module in sorted(graph.modules):
        source = _part_of(module, columns)
        if source is None:
            continue
        for imported in graph.find_modules_directly_imported_by(module):
            target = _part_of(imported, columns)
            if target is not None and target is not source:
                source.uses.add(target.name)
            elif target is source:
                pair = (_row(source, _own(module, source)), _row(source, _own(imported, source)))
                source.inside |= {pair} if pair[0] != pair[1] else set()
    return columns, assembling


def _own(module: str, part: Part) -> str:
    return module.removeprefix(part.prefix).lstrip(".").partition(".")[0]


def _row(part: Part, name: str) -> str:
    if part.name not in BASE:
        for row, names in DOORS.items():
            if name in names:
                return row
    return "pure and own"


def _part_of(module: str, columns: list[Part]) -> Part | None:
    fitting = [p for p in columns if module.startswith(p.prefix + ".")]
    return max(fitting, key=lambda p: len(p.prefix)) if fitting else None


def draw() -> str:
    """The whole SVG document."""
    columns, assembling = parts()
    rows = list(DOORS)
    heights = [max(len(p.doors.get(row, [])) for p in columns) * LINE + 12 for row in rows]
    x = {p.name: float(LEFT + i * (WIDTH + GAP)) for i, p in enumerate(columns)}
    tops: dict[str, float] = {}
    y = 112.0
    for row, height in zip(rows, heights):
        tops[row] = y
        y += height + 18
    bottom = y
    lanes = [p.name for p in columns if any(p.name in q.uses for q in columns)]
    width, end = LEFT + len(columns) * (WIDTH + GAP) + 6, bottom + 30 + len(lanes) * 22
    out: list[str] = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {end:.0f}" role="img" aria-labelledby="title">',
        '<title id="title">The parts of Plumbline, the doors of each, and which part imports which</title>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto">',
        '<path class="dot" d="M0 0 6 3 0 6z"/></marker></defs>',
        f'<rect class="page" width="{width}" height="{end:.0f}"/>',
        _box(LEFT, 10, width - LEFT - 6 - GAP, 26), _text(LEFT + 8, 27, "assemble, hold no logic:  " + "   ".join(assembling)),
    ]  # fmt: skip
    groups = (("rooms", [p for p in columns if p.name not in (*KERNEL, *BASE)]), ("parts of the kernel", [p for p in columns if p.name in KERNEL]),
              ("what they stand on", [p for p in columns if p.name in BASE]))  # fmt: skip
    for label, members in groups:
        first, last = x[members[0].name], x[members[-1].name] + WIDTH
        out.append(_text(first, 62, label, "soft"))
        out.append(f'<path class="lane" d="M{first} 68H{last}"/>')
    for row in rows:
        out.append(_text(4, tops[row] + 17, row, "soft"))
    for part in columns:
        out += _column(part, x[part.name], tops)
    out += _lanes(columns, lanes, x, bottom)
    return "\n".join([*out, "</svg>"]) + "\n"


def _column(part: Part, left: float, tops: dict[str, float]) -> list[str]:
    out = [_text(left, 90, part.name, "head")]
    there = [row for row in DOORS if part.doors.get(row)]
    for row in there:
        names = part.doors[row]
        out.append(_box(left, tops[row], WIDTH, len(names) * LINE + 10))
        out += [_text(left + 8, tops[row] + 17 + i * LINE, name) for i, name in enumerate(names)]
    for upper, lower in pairwise(there):
        if any(source == upper and target in there[there.index(lower) :] for source, target in part.inside):
            start = tops[upper] + len(part.doors[upper]) * LINE + 10
            out.append(
                f'<path class="go" marker-end="url(#tip)" d="M{left + WIDTH / 2} {start:.0f}V{tops[lower] - 1:.0f}"/>'
            )
    return out


def _lanes(columns: list[Part], lanes: list[str], x: dict[str, float], top: float) -> list[str]:
    """One line for each part that others import: a dot where it is imported from, an arrow up into the part."""
    out = [_text(4, top + 12, "a dot imports what the arrow points to", "soft")]
    middle = {name: left + WIDTH / 2 for name, left in x.items()}
    for i, name in enumerate(lanes):
        y = top + 30 + i * 22
        users = [p.name for p in columns if name in p.uses]
        ends = [middle[n] for n in (*users, name)]
        out.append(_text(4, y + 4, name, "soft"))
        out.append(f'<path class="go" d="M{min(ends)} {y}H{max(ends)}"/>')
        out += [f'<circle class="dot" cx="{middle[n]}" cy="{y}" r="3"/>' for n in users]
        out.append(f'<path class="go" marker-end="url(#tip)" d="M{middle[name]} {y}v-12"/>')
    return out


def _box(left: float, top: float, width: float, height: float) -> str:
    return f'<rect class="box" x="{left}" y="{top:.0f}" width="{width}" height="{height}" rx="5"/>'


def _text(left: float, top: float, words: Any, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{left}" y="{top:.0f}">{escape(str(words))}</text>'

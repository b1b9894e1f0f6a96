"""Draws what bench/todo measured: rendimiento.json and rendimiento.svg.

Arguments: the lines of bench/lib.sh's `row` (table, what, peer, our figure, the peer's figure, target), the directory to write
into, the commit, and the machine in words.
"""

import json
import math
import sys
from html import escape

LABEL, PLOT, VALUE, LINE, TOP = 430, 400, 130, 24, 58
DECADES = (0.1, 0.2, 0.5, 1, 2, 5, 10)
STYLE = """text{font:13px system-ui,sans-serif;fill:#1b2733}.small{font-size:11.5px;fill:#51606e}.title{font-weight:600;font-size:15px}
.grid{stroke:#d5dce3}.one{stroke:#51606e;stroke-width:1.5}.met{fill:#1769aa}.missed{fill:#b4511a}.target{stroke:#1b2733;stroke-width:2.5}
.paper{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#e8edf2}.small{fill:#a9b6c2}.grid{stroke:#3a4650}.one{stroke:#a9b6c2}
.met{fill:#6db3e8}.missed{fill:#f0a06a}.target{stroke:#e8edf2}.paper{fill:#14191e}}"""


def read(path):
    rows = []
    for line in open(path, encoding="utf-8"):
        table, what, peer, ours, theirs, target = line.rstrip("\n").split("\t")
        ours, theirs = float(ours), float(theirs)
        rows.append({"tabla": table, "que": what.replace("`", ""), "contra": peer, "nuestro": ours, "suyo": theirs,
                     "razon": round(ours / theirs, 3), "meta": float(target) if target else None})
    return rows


def across(ratio):
    """Where a ratio stands on the logarithmic axis; what is off the axis stands at its end."""
    low, high = math.log(DECADES[0]), math.log(DECADES[-1])
    share = (math.log(ratio) - low) / (high - low)
    return LABEL + PLOT * min(max(share, 0), 1)


def draw(rows, commit, machine):
    tables = list(dict.fromkeys((r["tabla"], r["contra"]) for r in rows))
    height = TOP + LINE * (len(rows) + len(tables)) + 46
    width = LABEL + PLOT + VALUE
    words = "; ".join("{que}: {razon:.2f}".format(**r) for r in rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">',
           '<title id="t">Speed of the market over its peers</title>',
           f'<desc id="d">{escape(words)}</desc>',
           f"<style>{STYLE}</style>", f'<rect class="paper" width="{width}" height="{height}"/>',
           '<text class="title" x="12" y="24">Speed of the market over its peers, measured side by side</text>']
    bottom = height - 40
    for tick in DECADES:
        x = across(tick)
        kind = "one" if tick == 1 else "grid"
        out.append(f'<line class="{kind}" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>')
        out.append(f'<text class="small" text-anchor="middle" x="{x:.1f}" y="{TOP - 13}">{tick:g}×</text>')
    y = TOP
    for table, peer in tables:
        y += LINE
        out.append(f'<text class="small" x="12" y="{y - 7}">{escape(table)}, against {escape(peer)}</text>')
        for row in (r for r in rows if (r["tabla"], r["contra"]) == (table, peer)):
            y += LINE
            what, ratio, target = escape(row["que"]), row["razon"], row["meta"]
            kind = "met" if target is None or ratio >= target else "missed"
            out.append(f'<text x="24" y="{y - 7}">{what}</text>')
            out.append(f'<circle class="{kind}" cx="{across(ratio):.1f}" cy="{y - 12}" r="6"/>')
            if target:
                x = across(target)
                out.append(f'<line class="target" x1="{x:.1f}" y1="{y - 20}" x2="{x:.1f}" y2="{y - 4}"/>')
            wanted = f" (target {target:g})" if target else ""
            out.append(f'<text x="{LABEL + PLOT + 10}" y="{y - 7}">{ratio:.2f}<tspan class="small">{wanted}</tspan></text>')
    out.append(f'<text class="small" x="12" y="{height - 22}">The upright stroke is the target; the axis is logarithmic, and 1× is '
               "the peer's speed.</text>")
    out.append(f'<text class="small" x="12" y="{height - 7}">{escape(machine)}; {escape(commit)}</text></svg>')
    return "\n".join(out) + "\n"


def main():
    path, directory, commit, machine = sys.argv[1:]
    rows = read(path)
    with open(f"{directory}/rendimiento.json", "w", encoding="utf-8") as f:
        json.dump({"maquina": machine, "revision": commit, "filas": rows}, f, ensure_ascii=False, indent=1)
        f.write("\n")
    with open(f"{directory}/rendimiento.svg", "w", encoding="utf-8") as f:
        f.write(draw(rows, commit, machine))


main()

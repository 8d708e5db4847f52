#!/usr/bin/env bash
# Makes docs/images/plan.svg: a plan and its apply as a terminal shows them, from
# a run of docs/images/site.toml against a lab host that is started for it; and
# docs/images/audit-*.png: the page of an audit in a browser, of a sample.
#   docs/images.sh [PROGRAM]     target/debug/stockade unless told
# Needs a Docker engine, python3, script(1), node, chromium and cargo. The first picture
# suits light and dark.
set -euo pipefail
cd "$(dirname "$0")/.."
stockade=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/debug/stockade}")
root=$PWD work=$(mktemp -d)
# Nothing of the run is left: neither the host nor its record.
export XDG_STATE_HOME=$work/state TERM=xterm-256color
finish() {
  "$stockade" lab down --all --dir "$work/lab" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

"$stockade" lab up --name web1 --dir "$work/lab" >&2
cp docs/images/site.toml examples/users-only/keys/ada.pub "$work"
cd "$work"
mv ada.pub deploy.pub
sed 's#^\(key\|known_hosts\) = "#&lab/#' lab/inventory.toml >inventory.toml

# The plan as a terminal gets it, in its colours; of the apply what happens.
script -qec "$stockade plan site.toml 2>progress" /dev/null </dev/null >plan.ansi
"$stockade" apply site.toml --yes 2>&1 | sed -n '/applying:/,$p' >apply.ansi

python3 - plan.ansi apply.ansi "$root/docs/images/plan.svg" <<'PYTHON'
import re
import sys
from html import escape

CLASSES = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "35": "magenta", "36": "cyan"}
WIDTH, HEIGHT, LEFT, TOP = 8.4, 20, 16, 20


def spans(line):
    """Pieces of a line with the class of their colour."""
    style, at = None, 0
    for code in re.finditer(r"\x1b\[([0-9;]*)m", line):
        if line[at:code.start()]:
            yield line[at:code.start()], style
        style, at = CLASSES.get(code.group(1)), code.end()
    if line[at:]:
        yield line[at:], style


def rows(path, command):
    yield [(f"$ {command}", "bold")]
    for line in open(path, encoding="utf-8", newline="\n"):
        line = re.sub(r"\x1b\[(?![0-9;]*m)[0-9;?]*[A-Za-z]", "", line.rstrip("\r\n"))
        yield list(spans(line))


plan, apply, out = sys.argv[1:]
lines = [*rows(plan, "stockade plan site.toml"), [], *rows(apply, "stockade apply site.toml --yes")]
columns = max(sum(len(text) for text, _ in line) for line in lines)
width, height = round(LEFT * 2 + columns * WIDTH), TOP * 2 + len(lines) * HEIGHT
text = []
for number, line in enumerate(lines):
    column, y = 0, TOP + number * HEIGHT + 14
    for piece, style in line:
        shown = piece.strip(" ")
        if shown:
            start = column + len(piece) - len(piece.lstrip(" "))
            # Its length is given, so that columns stand under each other in every font.
            text.append(
                f'<text x="{LEFT + start * WIDTH:.1f}" y="{y}" textLength="{len(shown) * WIDTH:.1f}"'
                + (f' class="{style}"' if style else "")
                + f">{escape(shown)}</text>"
            )
        column += len(piece)
svg = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" xml:space="preserve" role="img">
<title>stockade plan and stockade apply in a terminal</title>
<style>
rect {{ fill: #f6f8fa; stroke: #d0d7de }}
text {{ fill: #1f2328; font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre }}
.bold {{ font-weight: 600 }} .dim {{ opacity: .6 }}
.green {{ fill: #116329 }} .yellow {{ fill: #7d4e00 }} .red {{ fill: #a40e26 }} .cyan {{ fill: #0b6e75 }} .magenta {{ fill: #6639ba }}
@media (prefers-color-scheme: dark) {{
rect {{ fill: #161b22; stroke: #30363d }} text {{ fill: #e6edf3 }}
.green {{ fill: #56d364 }} .yellow {{ fill: #e3b341 }} .red {{ fill: #ff7b72 }} .cyan {{ fill: #56d4dd }} .magenta {{ fill: #d2a8ff }}
}}
</style>
<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>
"""
with open(out, "w", encoding="utf-8") as file:
    file.write(svg + "\n".join(text) + "\n</svg>\n")
PYTHON
echo "docs/images/plan.svg is made" >&2

cd "$root"
UPDATE_IMAGES=1 cargo test --locked -p stockade --test integration audit_html::the_pictures -- --include-ignored >&2
echo "docs/images/audit-*.png are made" >&2

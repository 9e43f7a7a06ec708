#!/usr/bin/env bash
# Builds the wheel, installs it alone into an empty environment, and works there without torch: list, show, a new
# recipe, curate; and a command that needs more names the extra.
set -euo pipefail
python=${1:-python3}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Nothing of this checkout or of the user's settings may help the bare installation along.
unset PYTHONPATH SENSORIUM_DATA
"$root/.venv/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$root"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$work"/sensorium-*.whl
cd "$work"
sensorium() { "$work/venv/bin/sensorium" "$@"; }
if "$work/venv/bin/python" -c "import torch" 2>/dev/null; then echo "torch is in the bare installation" >&2; exit 1; fi
megabytes=$(du -sm --apparent-size venv/lib | cut -f1)
echo "bare installation: ${megabytes} MB"
[ "$megabytes" -lt 500 ]

sensorium list
for command in "doctor" "data list" "models list" "show metaclip" "curate --help" "run metaclip --help"; do
  sensorium $command >"$work/out" || { echo "sensorium $command failed" >&2; exit 1; }
done
sensorium new recipe my_system
sensorium run ./my_system.py
"$work/venv/bin/python" - <<'PY'
import pathlib
captions = ["a red dog", "a dog on a sofa", "my dog", "one quokka", "IMG_0001.jpg", "dog and quokka"]
lines = "".join('{"id": "r%d", "text": "%s"}\n' % row for row in enumerate(captions))
pathlib.Path("pool.jsonl").write_text(lines, "utf-8")
pathlib.Path("entries.txt").write_text("dog\nquokka\n", "utf-8")
PY
sensorium curate pool.jsonl --concepts entries.txt --t 2 --out curated
ls curated/rows curated/report.html

# What needs torch says so in one sentence that names the extra, with the exit code of a user's mistake.
code=0
sensorium apply minilm pool.jsonl 2>"$work/err" || code=$?
cat "$work/err"
[ "$code" = 2 ] && grep -q "sensorium\[" "$work/err"

#!/usr/bin/env bash
# Builds the wheel, installs it alone into an empty environment, and runs `list` and `curate` there without torch.
set -euo pipefail
python=${1:-python3}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/.venv/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" "$root"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$work"/sensorium-*.whl
cd "$work"
if "$work/venv/bin/python" -c "import torch" 2>/dev/null; then echo "torch is in the bare installation" >&2; exit 1; fi
megabytes=$(du -sm --apparent-size venv/lib | cut -f1)
echo "bare installation: ${megabytes} MB"
[ "$megabytes" -lt 500 ]
"$work/venv/bin/sensorium" list
"$work/venv/bin/python" - <<'PY'
import pathlib
captions = ["a red dog", "a dog on a sofa", "my dog", "one quokka", "IMG_0001.jpg", "dog and quokka"]
lines = "".join('{"id": "r%d", "text": "%s"}\n' % row for row in enumerate(captions))
pathlib.Path("pool.jsonl").write_text(lines, "utf-8")
pathlib.Path("entries.txt").write_text("dog\nquokka\n", "utf-8")
PY
"$work/venv/bin/sensorium" curate pool.jsonl --concepts entries.txt --t 2 --out curated
ls curated/rows curated/report.html

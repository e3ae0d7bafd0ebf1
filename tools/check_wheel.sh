#!/usr/bin/env bash
# Build the wheel, install it into a new environment of each Python with the newest dependencies that fit, and run the
# demo there, with nothing of the repository but its tools. What the Pythons find must agree within a millimetre.
#   tools/check_wheel.sh python3.10 python3.11 python3.12 python3.13
set -euo pipefail

if (($# == 0)); then
    echo "usage: $0 PYTHON [PYTHON ...]" >&2
    exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
uv=$(command -v uv || echo "$root/.uv/bin/uv")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$uv" build --quiet --wheel --out-dir "$work" "$root"
wheel=$(ls "$work"/*.whl)
cp -r "$root/tools" "$work/tools"
cd "$work"

cat > compare.py <<'PYTHON'
import json, platform, sys
from pathlib import Path

import mion_plugin, numpy, torch

here, first = (Path(folder) for folder in sys.argv[1:])
if Path(sys.prefix) not in Path(mion_plugin.__file__).parents:
    sys.exit(f"mion_plugin comes from {mion_plugin.__file__}, not from the wheel")
(file,) = here.glob("*_person0.npz")
found, expected = (numpy.load(folder / file.name, allow_pickle=False)["vertices"] for folder in (here, first))
difference = 1000 * numpy.abs(found - expected).max()
print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}: "
      f"{difference:.3f} mm from the first")
sys.exit(int(difference > 1.0))
PYTHON

index=0
for python in "$@"; do
    "$uv" venv --quiet --python "$python" "env$index"
    VIRTUAL_ENV=$work/env$index "$uv" pip install --quiet "$wheel[train]"
    "env$index/bin/python" tools/demo.py --out "out$index" > "log$index" 2>&1 || { cat "log$index" >&2; exit 1; }
    "env$index/bin/python" compare.py "out$index" out0
    rm -rf "env$index"  # torch takes gigabytes
    index=$((index + 1))
done

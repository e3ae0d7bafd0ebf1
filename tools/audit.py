"""Look for known vulnerabilities in the locked dependencies: what `make audit` runs.

    python tools/audit.py requirements.lock requirements-mmcv2.lock

The data come from the package index, or else from OSV, through pip-audit. Where neither offers any, that is said with
what pip-audit said last, and is no error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import OneLineParser

SOURCES = ("pypi", "osv")
_OPTIONS = "--disable-pip --require-hashes --progress-spinner off --format json".split()


@dataclass(frozen=True)
class Audit:
    """What a source says about a lock file.

    Attributes:
        checked: Number of packages that the source knows.
        unknown: Number of those that it does not.
        findings: A line for each vulnerability.
    """

    checked: int
    unknown: int
    findings: tuple[str, ...]

    @classmethod
    def of_report(cls, report: dict[str, Any]) -> Audit:
        """Read pip-audit's JSON."""
        known = [package for package in report["dependencies"] if "skip_reason" not in package]
        findings = [
            f"{package['name']} {package['version']}: {found['id']}"
            + (f", mended in {', '.join(found['fix_versions'])}" if found["fix_versions"] else ", not mended yet")
            for package in known
            for found in package["vulns"]
        ]
        return cls(len(known), len(report["dependencies"]) - len(known), tuple(findings))


def audit(lock: Path) -> Audit | str:
    """What the first source that has data tells of a lock file; if none has, the last line that pip-audit wrote."""
    said = ""
    for source in SOURCES:
        command = [sys.executable, "-m", "pip_audit", *_OPTIONS, "--vulnerability-service", source, "-r", str(lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            found = Audit.of_report(json.loads(done.stdout))
        except ValueError:  # it could not reach the source or read the file, or is not installed, and wrote no report
            said = next(reversed(done.stderr.splitlines()), said)
            continue
        if found.checked:
            return found
    return said


def main(arguments: list[str] | None = None) -> int:
    """Print what was found; 1 if something was, 2 for a file that is not there."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0], formatter_class=argparse.HelpFormatter)
    parser.add_argument("locks", nargs="+", type=Path, metavar="LOCK", help="requirements files with hashes")
    args = parser.parse_args(arguments)
    if missing := [lock for lock in args.locks if not lock.is_file()]:
        parser.error(f"{missing[0]} does not exist")
    code = 0
    for lock in args.locks:
        found = audit(lock)
        if isinstance(found, str):
            told = f"; pip-audit says: {found}" if found else ""
            print(f"{lock}: not checked, no data on vulnerabilities from the package index or OSV{told}")
            continue
        print(f"{lock}: {found.checked} packages checked, {found.unknown} unknown, {len(found.findings)} findings")
        print("".join(f"  {line}\n" for line in found.findings), end="")
        code |= bool(found.findings)
    return code


if __name__ == "__main__":
    sys.exit(main())

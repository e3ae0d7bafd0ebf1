"""tools/audit.py: what it makes of pip-audit's reports."""

import json
import subprocess

import audit
import pytest

UNKNOWN = {"name": "left", "skip_reason": "Dependency not found on PyPI and could not be audited: left (1.0)"}
SOUND = {"name": "sound", "version": "2.0", "vulns": []}
WEAK = {
    "name": "weak",
    "version": "3.0",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["3.1", "4.0"], "aliases": [], "description": ""},
        {"id": "PYSEC-2", "fix_versions": [], "aliases": [], "description": ""},
    ],
}


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "requirements.lock"
    path.write_text("")
    return path


@pytest.fixture
def answer(monkeypatch):
    """Let pip-audit answer so, by source."""

    def set_answers(**answers):
        def run(command, **_):
            source = command[command.index("--vulnerability-service") + 1]
            given = answers.get(source)
            text = "" if given is None else json.dumps({"dependencies": given, "fixes": []})
            return subprocess.CompletedProcess(command, 1, stdout=text, stderr="no route to host")

        monkeypatch.setattr(subprocess, "run", run)

    return set_answers


def test_a_vulnerability_is_named_and_fails(lock, answer, capsys):
    answer(pypi=[UNKNOWN, SOUND, WEAK])
    assert audit.main([str(lock)]) == 1
    first, *findings = capsys.readouterr().out.splitlines()
    assert first == f"{lock}: 2 packages checked, 1 unknown, 2 findings"
    assert findings == ["  weak 3.0: PYSEC-1, mended in 3.1, 4.0", "  weak 3.0: PYSEC-2, not mended yet"]


def test_sound_packages_pass(lock, answer, capsys):
    answer(pypi=[SOUND])
    assert audit.main([str(lock)]) == 0
    assert "1 packages checked, 0 unknown, 0 findings" in capsys.readouterr().out


def test_the_second_source_is_asked_where_the_first_knows_nothing(lock, answer):
    answer(pypi=[UNKNOWN], osv=[WEAK])
    assert audit.main([str(lock)]) == 1


@pytest.mark.parametrize("answers", [{}, {"pypi": [UNKNOWN]}, {"osv": [UNKNOWN, UNKNOWN]}])
def test_no_data_is_said_and_passes(lock, answer, capsys, answers):
    answer(**answers)
    assert audit.main([str(lock)]) == 0
    told = capsys.readouterr().out
    assert "not checked, no data on vulnerabilities from the package index or OSV" in told
    assert ("pip-audit says: no route to host" in told) == (len(answers) < 2)


def test_a_file_that_is_not_there(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        audit.main([str(tmp_path / "none.lock")])
    assert ended.value.code == 2
    assert "none.lock does not exist" in capsys.readouterr().err


def test_pip_audit_reads_files_with_hashes(lock):
    """Whatever the index offers: the report names the packages, checked or not."""
    pytest.importorskip("pip_audit")
    lock.write_text("".join(f"{name} --hash=sha256:{'0' * 64}\n" for name in ("roma==1.5.0", "smplx==0.1.28")))
    found = audit.audit(lock)
    assert isinstance(found, str) or (found.checked + found.unknown == 2 and found.checked > 0)

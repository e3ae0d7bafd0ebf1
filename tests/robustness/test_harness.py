"""The fault suite itself: every kind of misbehaviour is seen, and nothing else is called one."""

import ctypes
import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from robustness.faults import pickles
from robustness.faults.case import ANYTHING, REFUSED, SAME, Case, Limits, SkippedError, require_equal, require_finite
from robustness.faults.isolation import run_isolated
from robustness.faults.suite import run_cases

CODE = next(code for name, code in pickles.with_code() if name == "builtins.eval")


def write_input(folder):
    path = folder / "input.bin"
    path.write_bytes(b"hostile")
    return path


def verdict_of(enter, make=write_input, expected=ANYTHING, tool="", **options):
    case = Case("door", "kind", "name", make, enter, expected, ("input.bin",), tool, **options)
    ((_, verdict),) = run_cases([case], jobs=1)
    return verdict.outcome, verdict.told


def fail(message):
    def enter(path, out):
        raise ValueError(message.format(path=path))

    return enter


def end_with(code, text):
    def enter(path, out):
        print(text, file=sys.stderr)
        return code

    return enter


def leave(name):
    def enter(path, out):
        (out / name).write_bytes(b"half")
        raise ValueError(f"{path} is bad")

    return enter


class TestFaults:
    def test_a_crash(self):
        assert verdict_of(lambda path, out: ctypes.string_at(0)) == ("fault", "crashes: SIGSEGV")

    def test_an_exit(self):
        assert verdict_of(lambda path, out: os._exit(7)) == ("fault", "crashes: exit code 7")

    @pytest.mark.parametrize("hang", [lambda: time.sleep(60), lambda: sum(1 for _ in iter(int, 1))])
    def test_a_hang(self, hang):
        outcome, told = verdict_of(lambda path, out: hang(), limits=Limits(seconds=0.5))
        assert (outcome, told) == ("fault", "hangs: not done after 0.5 s")

    def test_memory(self):
        outcome, told = verdict_of(lambda path, out: bytearray(1 << 34), limits=Limits(memory=1 << 28))
        assert outcome == "fault"
        assert told.startswith("exhausts memory or stack: MemoryError")

    def test_recursion(self):
        def enter(path, out):
            enter(path, out)

        assert verdict_of(enter)[1].startswith("exhausts memory or stack: RecursionError")

    def test_an_executed_pickle(self):
        def enter(path, out):
            pickle.loads(CODE)
            raise ValueError(f"{path} is bad")

        assert verdict_of(enter) == ("fault", "executes code of the input")

    @pytest.mark.parametrize("name", ["result.npz", ".result.x8f3q_ab.npz"])
    def test_a_file_left_after_an_error(self, name):
        assert verdict_of(leave(name)) == ("fault", f"leaves {name}")

    def test_a_temporary_file_left_after_success(self):
        assert verdict_of(lambda path, out: (out / ".part.x8f3q_ab.npz").touch()) == (
            "fault",
            "leaves .part.x8f3q_ab.npz",
        )

    def test_a_file_left_elsewhere(self):
        assert verdict_of(lambda path, out: Path("here").touch()) == ("fault", "leaves here")
        assert verdict_of(lambda path, out: (out.parent / "tmp" / "t").touch()) == ("fault", "leaves t")

    def test_a_changed_input(self):
        assert verdict_of(lambda path, out: path.write_bytes(b"changed")) == ("fault", "changes its input")

    @pytest.mark.parametrize(
        ("message", "told"),
        [
            ("", "unclear error, not one line"),
            ("{path}\nis bad", "unclear error, not one line"),
            ("something is wrong", "unclear error, names none of"),
        ],
    )
    def test_an_unclear_error(self, message, told):
        outcome, found = verdict_of(fail(message))
        assert outcome == "fault"
        assert found.startswith(told)

    def test_an_undocumented_error(self):
        def enter(path, out):
            raise AttributeError(f"{path} has no shape")

        assert verdict_of(enter)[1].startswith("undocumented error: AttributeError")

    def test_a_result_that_is_not_finite(self):
        outcome, told = verdict_of(lambda path, out: require_finite([np.array([np.nan])]))
        assert (outcome, told[:6]) == ("fault", "wrong:")

    def test_a_result_that_is_not_that_of_the_sound_input(self):
        outcome, told = verdict_of(lambda path, out: require_equal(np.zeros(2), np.ones(2)), expected=SAME)
        assert (outcome, told[:6]) == ("fault", "wrong:")

    def test_accepting_what_should_be_refused(self):
        assert verdict_of(lambda path, out: None, expected=REFUSED) == ("fault", "accepts what it should refuse")

    def test_leaving_out_what_is_legal(self):
        enter = end_with(0, "skipped input.bin: bad")
        assert verdict_of(enter, tool="tool: error: ", expected=SAME)[1].startswith("leaves out what is legal")

    def test_refusing_what_is_legal(self):
        assert verdict_of(fail("{path} is bad"), expected=SAME)[1].startswith("refuses what is legal")

    @pytest.mark.parametrize(
        ("code", "text", "told"),
        [
            (1, "tool: error: input.bin is bad", "exit code 1"),
            (2, "input.bin is bad", "exit code 2 without one last line"),
            (2, "tool: error: input.bin is bad\nand more", "exit code 2 without one last line"),
            (2, "Traceback (most recent call last):\ntool: error: input.bin is bad", "prints a traceback"),
            (2, "tool: error: something is bad", "unclear error, names none of"),
        ],
    )
    def test_a_tool_that_ends_otherwise(self, code, text, told):
        outcome, found = verdict_of(end_with(code, text), tool="tool: error: ")
        assert outcome == "fault"
        assert found.startswith(told)

    def test_a_tool_with_a_traceback(self):
        assert verdict_of(fail("{path} is bad"), tool="tool: error: ")[1].startswith("ends with a traceback")


class TestGoodEnds:
    def test_a_clear_error(self):
        outcome, told = verdict_of(fail("{path} is bad"), expected=REFUSED)
        assert outcome == "error"
        assert told.endswith("input.bin is bad")

    def test_a_tools_error(self):
        enter = end_with(2, "[   ] 0/3\rtool: error: input.bin is bad")
        assert verdict_of(enter, tool="tool: error: ") == ("error", "input.bin is bad")

    def test_a_tools_skip(self):
        enter = end_with(0, "skipped input.bin: bad")
        assert verdict_of(enter, tool="tool: error: ", expected=REFUSED) == ("skip", "skipped input.bin: bad")

    def test_a_skip_in_python(self):
        def enter(path, out):
            raise SkippedError("marked")

        assert verdict_of(enter, expected=REFUSED) == ("skip", "marked")

    def test_an_accepted_input(self):
        assert verdict_of(lambda path, out: (out / "result.npz").touch()) == ("accepted", "accepted")

    def test_a_hidden_result_is_no_temporary_file(self):
        assert verdict_of(lambda path, out: (out / ".jpg_overlay.jpg").touch())[0] == "accepted"

    def test_logs_may_be_left(self):
        assert verdict_of(leave("run.log"), may_leave=("*.log",))[0] == "error"


def test_a_pipe_of_output_does_not_block(tmp_path):
    ((_, ending),) = run_isolated([("key", lambda: print("x" * 3_000_000), tmp_path, Limits())], 1)
    assert ending.how == "returned"


def test_the_file_size_is_limited(tmp_path):
    def write():
        (tmp_path / "large").write_bytes(bytes(10_000))

    ((_, ending),) = run_isolated([("key", write, tmp_path, Limits(file_size=4096))], 1)
    assert "File too large" in ending.message


@pytest.mark.skipif(os.getuid() != 0, reason="only root has rights to give up")
def test_rights_are_given_up(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0)
    ((_, ending),) = run_isolated([("key", secret.read_text, tmp_path, Limits(unprivileged=True))], 1)
    assert "PermissionError" in ending.error

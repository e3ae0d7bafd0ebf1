import os
import re

import pytest

from mion_plugin.detection.standard_error import lines_held_back

NOISE = re.compile("I0000|W0000 .*feedback")


def write(*lines):
    """Past Python, as a library in C++ does."""
    os.write(2, "".join(f"{line}\n" for line in lines).encode())


def test_noise_goes_and_all_else_stays_in_order(capfd):
    write("before")
    with lines_held_back(NOISE):
        write("I0000 started", "E0000 broken", "W0000 12 feedback", "W0000 13 memory", "the I0000 of others")
        print("ours", flush=True)
    write("after", "I0000 later")
    told = capfd.readouterr()
    assert told.out == "ours\n"
    assert told.err.splitlines() == [
        *("before", "E0000 broken", "W0000 13 memory", "the I0000 of others", "after", "I0000 later"),
    ]


def test_everything_is_shown_where_the_start_fails(capfd):
    def start():
        with lines_held_back(NOISE):
            write("I0000 started", "W0000 feedback")
            raise RuntimeError("no graph")

    with pytest.raises(RuntimeError, match="no graph"):
        start()
    assert capfd.readouterr().err.splitlines() == ["I0000 started", "W0000 feedback"]


def test_a_closed_standard_error_stays_closed(capfd):
    kept = os.dup(2)
    os.close(2)
    try:
        with lines_held_back(NOISE):
            pass
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(2)
    finally:
        os.dup2(kept, 2)
        os.close(kept)

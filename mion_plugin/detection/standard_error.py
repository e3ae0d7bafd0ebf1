"""What libraries in C++ write to the process's standard error, past Python's ``sys.stderr``."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_STANDARD_ERROR = 2  # its file descriptor


@contextlib.contextmanager
def lines_held_back(noise: re.Pattern[str]) -> Iterator[None]:
    """Hold back what this process writes to standard error, and pass it on afterwards without the lines of ``noise``.

    Where the block raises, all of it is passed on. Whatever threads write meanwhile is late, but not lost; only a
    process that is killed inside the block says nothing.

    Args:
        noise: Matched at the start of each line.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(_STANDARD_ERROR)
    except OSError:  # it is closed: nothing is shown in any case
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STANDARD_ERROR)
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            held.seek(0)
            for line in held:
                if failed or not noise.match(line.decode(errors="replace")):
                    os.write(_STANDARD_ERROR, line)

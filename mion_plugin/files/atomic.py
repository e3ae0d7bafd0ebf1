"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RANDOM = "?" * 8  # what tempfile puts into its names
_OF_WRITING = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)  # no room: such errors name no file


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; move it there when the block ends without an error.

    The folder is created. The temporary name keeps the suffix, because writers such as ``numpy.savez`` and
    Pillow choose the format by it.

    Raises:
        OSError: The folder cannot be created or written; the message names ``path``.
    """
    path = Path(path)
    with _called(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would hide the result from the user's group
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _called(path: Path) -> Iterator[None]:
    """Errors of the system that name no file, as of a full disk, or a temporary one: let them name this one."""
    try:
        yield
    except OSError as error:
        told = error.filename
        hidden = isinstance(told, str) and Path(told).match(f".{glob.escape(path.stem)}.{_RANDOM}*")
        if hidden or (told is None and error.errno in _OF_WRITING):
            error.filename = os.fspath(path)
        raise


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed runs left beside ``path``; only one run at a time may write it.

    Args:
        path: What was given to ``atomic_path``; ``FOLDER/*.jpg`` for all files of that suffix.

    Raises:
        OSError: One cannot be removed.
    """
    path = Path(path)
    stem = path.stem if path.stem == "*" else glob.escape(path.stem)
    for leftover in path.parent.glob(f".{stem}.{_RANDOM}{glob.escape(path.suffix)}"):
        leftover.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask, which POSIX only tells by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""mmengine's checkpoints: they appear whole or not at all, and load without running code from the file."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio.backends import LocalBackend, register_backend
from mmengine.runner.checkpoint import CheckpointLoader

from mion_plugin.files import atomic_path, remove_leftovers
from mion_plugin.files.checkpoints import load_local_checkpoint


class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, moved into place when they are complete.

    A training that is killed while it writes leaves the previous checkpoint or the new one, never half of one.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        with atomic_path(filepath) as temporary:
            temporary.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text."""
        with atomic_path(filepath) as temporary:
            temporary.write_text(obj, encoding=encoding)


def prepare_checkpoints() -> None:
    """Make mmengine in this process write files atomically and read local checkpoints with ``weights_only=True``.

    ``PlainCheckpointHook`` keeps what mmengine saves besides the weights readable that way.
    """
    register_backend("local", AtomicLocalBackend, force=True, prefixes="")
    CheckpointLoader.register_scheme(prefixes="", loader=load_local_checkpoint, force=True)


def remove_partial_checkpoints(work_dir: str | Path) -> None:
    """Remove what a training that was killed while writing a checkpoint left beside the others."""
    for pattern in ("*.pth", "last_checkpoint"):
        remove_leftovers(Path(work_dir) / pattern)

"""Reading config files."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.config import Config


def read_config(path: str | os.PathLike[str]) -> Config:
    """The config in a file. A config is a program, in whatever format: run only those that you trust.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It cannot be read, or fails.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"config {path} does not exist")
    try:
        return Config.fromfile(path)
    except Exception as error:  # a program fails in any way it likes
        raise ValueError(f"config {path}: {str(error) or type(error).__name__}") from error

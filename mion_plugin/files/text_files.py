"""Reading text files of others, in whatever of the usual encodings they are."""

from __future__ import annotations

import json
from pathlib import Path


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, UTF-16 or UTF-32, with or without a byte order mark, else Latin-1.

    Notepad and PowerShell write byte order marks and UTF-16, old tools the encoding of their country: in that case what
    is ASCII is right, and so is what is Western European.

    Raises:
        OSError: It cannot be read.
        ValueError: It begins as UTF-16 or UTF-32, but is not.
    """
    content = path.read_bytes()
    encoding = json.detect_encoding(content)  # by the byte order mark, else by where the zeros are
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-8"):
            return content.decode("latin-1")
        raise ValueError(f"{path} begins as {encoding} text, but is not: {error.reason}") from None

"""What was left out of a run, and why."""

from __future__ import annotations

from dataclasses import dataclass

ARCHIVE = "archive that cannot be read"
IMAGE = "image that cannot be read"
NOBODY = "image without people"
PERSON = "person without a body"
KINDS = (ARCHIVE, IMAGE, NOBODY, PERSON)


@dataclass(frozen=True)
class Problem:
    """Something that was left out.

    Attributes:
        kind: One of ``KINDS``.
        image_name: Of the photograph, or archive.
        why: One line.
    """

    kind: str
    image_name: str
    why: str

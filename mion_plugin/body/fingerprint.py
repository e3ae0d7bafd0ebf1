"""Which body a network was trained with, or a pool was built with: what weights and pools tell of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mion_plugin.body.arrays import BodyArrays

_DIGITS = 16  # hexadecimal ones kept of a SHA-256; two bodies meet by chance in one of 10^19 cases
_SHOWN = 8


@dataclass(frozen=True)
class BodyFingerprint:
    """What distinguishes body models for networks that see PNCC, predict betas, or give a number for each vertex.

    Attributes:
        name: What to call the body: the file's name without its folder, which is the machine's own matter.
        template: Digest of the vertices of the mean shape, float32 metres; their order counts.
        faces: Digest of the faces.
        shape_space: Digest of the vertices' displacements by each of the ten betas, float32 metres.
    """

    name: str
    template: str
    faces: str
    shape_space: str

    @classmethod
    def of(cls, body: BodyArrays) -> BodyFingerprint:
        """Of a body model. The same numbers give the same digests, whatever file and precision they came from."""
        return cls(
            name=Path(body.name).name,
            template=_digest(body.v_template, "<f4"),
            faces=_digest(body.faces, "<i4"),
            shape_space=_digest(body.shapedirs, "<f4"),
        )

    @classmethod
    def from_record(cls, record: Any, source: str) -> BodyFingerprint:
        """What ``record`` gave, read from a file.

        Raises:
            ValueError: It is something else; the message names ``source``.
        """
        names = [entry.name for entry in fields(cls)]
        if not isinstance(record, Mapping) or any(not isinstance(record.get(name), str) for name in names):
            raise ValueError(f"{source} holds no readable fingerprint of a body, expected texts {', '.join(names)}")
        return cls(**{name: record[name] for name in names})

    def record(self) -> dict[str, str]:
        """Plain texts to write into a file."""
        return asdict(self)

    def differences(self, other: BodyFingerprint) -> list[str]:
        """The parts in which the bodies differ; names do not count."""
        parts = {"template": "template", "faces": "faces", "shape_space": "shape space"}
        return [told for part, told in parts.items() if getattr(self, part) != getattr(other, part)]

    def check(self, other: BodyFingerprint, told: str, remedy: str) -> None:
        """Raise ValueError if the bodies differ.

        Args:
            other: The other body's.
            told: How the message begins; it names both.
            remedy: How it ends.
        """
        differences = self.differences(other)
        if differences:
            raise ValueError(f"{told}: they differ in {' and '.join(differences)}. {remedy}")

    def __str__(self) -> str:
        whole = hashlib.sha256("".join((self.template, self.faces, self.shape_space)).encode()).hexdigest()
        return f"{self.name} [{whole[:_SHOWN]}]"


def _digest(values: np.ndarray, dtype: str) -> str:
    """Of the numbers, whatever their precision and order of bytes; -0 counts as 0."""
    same = np.ascontiguousarray(values).astype(dtype) + np.zeros((), dtype)
    return hashlib.sha256(same.tobytes()).hexdigest()[:_DIGITS]

"""What is compared: where a body starts, what is done with it, and which one of several is the answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ALONE, WITH_KEYPOINTS = "the picture alone", "2D keypoints"
DETECTED, CORRECTED, NONE = "detector's", "corrected", ""
MEAN_POSE, FIRST_CANDIDATE, CANDIDATES = "the mean pose", "the first candidate", "all five candidates"
FIRST_LIFTED, LIFTED, MION = "the lifter's first path", "all five of the lifter", "MION"
SMPLIFY, SMPLIFY_UNSCALED, KEYPOINT_FIT = "SMPLify", "SMPLify as mmhuman3d weighs it", "KeypointFit"
BASELINES = {name: Path(f"configs/baselines/{name.lower()}_tiny_synthetic.py") for name in ("HMR", "SPIN", "CLIFF")}
# Their camera has learned nothing, see the config: what is fitted from their bodies is first placed by the closed form.
UNPLACED = ("CLIFF",)
MULTI_START = (CANDIDATES, SMPLIFY)  # what MION has to beat
_SEVERAL = (CANDIDATES, LIFTED)


@dataclass(frozen=True)
class Row:
    """One way to an answer.

    Attributes:
        start: Where the body comes from.
        then: What pulls it onto the keypoints; None for nothing. Of several, the one of the lowest loss is the answer.
        keypoints: Which of them; ``NONE`` for a method that reads the picture alone.
        seconds: About how long an image takes on one CPU thread, for the estimate that is printed.
    """

    start: str
    then: str | None
    keypoints: str
    seconds: float

    @property
    def group(self) -> str:
        """The evidence that it reads."""
        return WITH_KEYPOINTS if self.keypoints else ALONE

    @property
    def name(self) -> str:
        """As the table has it."""
        if self.start == MION:
            return "MION, the default"
        if self.then is None:
            return {FIRST_CANDIDATE: "the first candidate alone", FIRST_LIFTED: "the lifter alone, first path"}.get(
                self.start, self.start
            )
        if self.start in BASELINES:
            return f"{self.start}, then {self.then}"
        return f"{self.then} from {self.start}{', lowest loss' if self.start in _SEVERAL else ''}"

    @property
    def key(self) -> str:
        """A name for files and for the command line."""
        words = [self.start, self.then or "alone", *self.keypoints.split()]
        return "_".join("".join(c for c in word.lower() if c.isalnum() or c == " ") for word in words).replace(" ", "-")

    @property
    def baseline(self) -> Path | None:
        """Config of the trained method that it starts from, if any."""
        return BASELINES.get(self.start)


def all_rows() -> list[Row]:
    """Every row, in the order of the page."""
    rows = [Row(name, None, NONE, 0.03) for name in BASELINES]
    for keypoints in (DETECTED, CORRECTED):
        rows += [
            Row(FIRST_CANDIDATE, None, keypoints, 0.05),
            Row(MEAN_POSE, SMPLIFY, keypoints, 0.15),
            Row(FIRST_CANDIDATE, SMPLIFY, keypoints, 0.15),
            Row(CANDIDATES, SMPLIFY, keypoints, 0.6),
            Row(FIRST_LIFTED, SMPLIFY, keypoints, 0.15),
            Row(MEAN_POSE, KEYPOINT_FIT, keypoints, 0.02),
            Row(FIRST_CANDIDATE, KEYPOINT_FIT, keypoints, 0.03),
            Row(CANDIDATES, KEYPOINT_FIT, keypoints, 0.05),
            Row(FIRST_LIFTED, None, keypoints, 0.03),
            Row(FIRST_LIFTED, KEYPOINT_FIT, keypoints, 0.03),
            Row(LIFTED, KEYPOINT_FIT, keypoints, 0.04),
            *(Row(name, then, keypoints, 0.2) for name in BASELINES for then in (SMPLIFY, KEYPOINT_FIT)),
            Row(MION, None, keypoints, 0.05),
        ]
    # for the record: what the same code gives with the weights of mmhuman3d's SPIN
    return [*rows, Row(FIRST_CANDIDATE, SMPLIFY_UNSCALED, DETECTED, 0.15)]

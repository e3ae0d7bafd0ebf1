"""The page: tables of the errors, and what one man in one clip can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.markdown import table
from benchmarks.real import joints
from benchmarks.real.clip import REQUIREMENT
from benchmarks.real.joints import ERRORS
from benchmarks.real.methods import ALTERNATIVES, CANDIDATE, FIRST, LANDMARKS, ORACLE, RANDOM, RULES
from benchmarks.real.pictures import GREY, NO_BACKGROUND, PICTURES, REAL
from benchmarks.real.scene import Scene
from benchmarks.real.scoring import Errors, gap_closed, interval_text
from benchmarks.real.triangulation import MAX_ERROR
from benchmarks.real.truth import CUT_OFF, Truth
from benchmarks.real.views import DETECTED, EXACT

from mion_plugin.detection.mediapipe_detector import DEPTH_ERROR

SOURCES = (DETECTED, EXACT)
METHODS = f"""## Errors

- {", ".join(f"`{rule}`" for rule in (FIRST, *RULES))} choose among the refined paths of `mion.MIONInferencer`;
  `{RANDOM}` is the paths' mean error, which a random choice is expected to have; `{ORACLE}` the best path's, for each
  of the first two errors by itself; *{ALTERNATIVES}* likewise (`mion.KeypointFit.alternatives`).
- MediaPipe puts hips, ankles, shoulders and elbows elsewhere on a person than the body model has its keypoints of these
  names (`tools/benchmark.py places`, on synthetic people). So its 2D keypoints, detected or exact, are moved to the
  body's places before a method reads them, as the demo's are, and the bodies' joints to MediaPipe's before they are
  compared. Truth and landmarks stay where MediaPipe has them.
- MediaPipe's world landmarks are those of its public interface, called on a crop around the man.
- The mean body has the mean pose and shape of stage 1's pool. Of the pool's orientations it takes the one that the
  closed form of stage 1 fits best to the keypoints.
- *{GREY}*: ImageNet's mean colour, of which normalisation leaves nothing. *{NO_BACKGROUND}*: the same outside the man,
  as MediaPipe's segmentation of the image has him, a little widened. Where a crop reaches beyond the frame it is black
  in all three."""
DEPTHS = f"""## With MediaPipe's depths

Stage 2 is also told how deep each keypoint lies behind the middle of the hips, as MediaPipe's world landmarks have it,
with a mean error of {DEPTH_ERROR:.1f} m, a number from synthetic pictures, not chosen here. The landmarks are those
of the detector that the demo uses, which looks for people in the whole frame; with exact 2D they are the same. With the
image."""
VIDEO = """## As a video

The same frames, each still by itself, but with the 2D keypoints as the demo has them for a video: where MediaPipe
exchanged left and right in some frames, they are put back (`SideSwapGuard`, of which two numbers were chosen so that
this clip's exchanges are found, too: the rows say what finding them is worth, not that it will do as well elsewhere).
MediaPipe's landmarks are as they come: nothing puts those of a mirrored body right. Its depths are left out of the
frames in which a side was put back."""
AS_VIDEO = f"{DETECTED}, as a video"
GIVEN = """## Keypoints as they are given

The model corrects keypoints by the picture before its stages read them. Below zero, the bodies are better with
keypoints as they are given. Exact ones leave nothing to correct."""
CAN_SAY = """## What this can say, and what not

- It is one man, in one balancing exercise of 1.7 s, before four cameras of about his height that look down by 18 to 25
  degrees, one of them rolled by 26. The intervals hold the chance of which moments of this clip were filmed, and
  nothing else: not other people, clothes, rooms, cameras or movements. A difference whose interval leaves out zero is a
  fact about this clip. As an estimate for photographs at large it is a single draw.
- It can refute: what works on synthetic people and not here has not been shown to carry over. It cannot confirm, and
  whoever tunes on these frames has no real clip left.
- The truth comes from MediaPipe's own 2D detections in four views. Faults that they share in all views (where a hip or
  a shoulder is put) are in the truth, which favours MediaPipe's landmarks and whatever follows its 2D keypoints.
- The joints compared are those of COCO's convention, where MediaPipe has them. What it takes to get there from the
  body's was measured on synthetic people, whose bodies and pictures are not this man's.
- *Exact 2D* is the truth projected, so it agrees with the truth to the pixel, which no detector does: it shows what is
  lost after the keypoints. Face and scene are as everyone finds them, his face being pixelated in the clip."""


@dataclass(frozen=True)
class Findings:
    """What the page tells.

    Attributes:
        errors: Source of the keypoints -> kind of picture -> errors; rows that look at no picture only with the image.
        with_depths: Source of the keypoints -> errors with the image where stage 2 is told MediaPipe's depths, too;
            empty for a model that reads none.
        in_video: Errors with MediaPipe's 2D and the image where exchanged sides are put back as in a video.
        in_video_with_depths: The same with MediaPipe's depths; empty for a model that reads none.
        as_given: Source of the keypoints, or ``AS_VIDEO`` -> errors with the image where keypoints are not corrected by
            it; empty for a model that corrects none.
        selection: The rule that the model chooses by.
        blocks: (S,) of the bootstrap; the same views for all.
        frames_per_block: Of one camera.
        left_out: Frames in which MediaPipe found no man.
        scene: The truth.
        model: What ``--model`` said.
    """

    errors: dict[str, dict[str, Errors]]
    with_depths: dict[str, Errors]
    in_video: Errors
    in_video_with_depths: Errors
    as_given: dict[str, Errors]
    selection: str
    blocks: np.ndarray
    frames_per_block: int
    left_out: int
    scene: Scene
    model: str


def report(found: Findings) -> str:
    """The page."""
    tables = [
        f"### {source}, {kind}\n\n{main_table(found.errors[source][kind], found.blocks)}"
        for source in SOURCES
        for kind in PICTURES
    ]
    worth = [f"### {source}\n\n{worth_table(found.errors[source], found.blocks)}" for source in SOURCES]
    parts = [
        "# A real clip with 3D truth",
        opening(found),
        truth_section(found.scene),
        METHODS,
        *tables,
        f"## Against {LANDMARKS}\n\nDifferences on the same frames, with the image: above zero, worse than what comes "
        f"with the 2D keypoints.\n\n{margins_table(found)}",
        *depths_section(found),
        f"{VIDEO}\n\n{video_table(found)}\n\n{video_margins_table(found)}",
        *([f"{GIVEN}\n\n{given_table(found)}"] if found.as_given else []),
        "## Choosing among the paths\n\nShare of the way that each rule goes from the MPJPE of "
        f"`{RANDOM}` to that of `{ORACLE}`.\n\n{gap_table(found)}",
        "## What the picture is worth\n\nMPJPE / PA-MPJPE, and differences on the same frames: above zero, the bodies "
        "are worse with the image as it is.",
        *worth,
        CAN_SAY,
    ]
    return "\n\n".join(parts) + "\n"


def opening(found: Findings) -> str:
    """What was measured, and how."""
    return (
        f"Written by `tools/benchmark.py real` with {found.model}, on the single person's demo of the package "
        f"`{REQUIREMENT}` (BSD-3, fetched at run time, nothing of it is shipped): {len(found.blocks)} frames of its "
        f"four cameras ({found.left_out} more, in which MediaPipe found no man, are left out of everything). "
        "Shoulders, elbows, wrists, hips, knees and ankles relative to the middle of the hips, millimetres; *in the "
        "plane* and *in depth* are the parts of MPJPE across and along the line of sight, in the frame of a camera "
        "that looks at the middle of the crop. In brackets 95 % bootstrap intervals over "
        f"{len(np.unique(found.blocks))} blocks of {found.frames_per_block} consecutive frames of all four cameras."
    )


def truth_section(scene: Scene) -> str:
    """How the truth was made, and how good it is."""
    before, after = (_reprojection(truth) for truth in (scene.calibrated, scene.truth))
    views = np.isfinite(scene.truth.errors[:, :, joints.FIRST :]).sum(axis=0).mean()
    shifts = ", ".join(f"{shift:+.2f}" for shift in scene.truth.shifts)
    turned = ", ".join(f"{degrees:.1f}" for degrees in _turned(scene.calibrated, scene.truth))
    return (
        "## The truth\n\nMediaPipe's 2D keypoints in the four views, triangulated: each joint from the largest set of "
        f"views that agree within {MAX_ERROR:.0f} px (on average {views:.1f} of 4), detections with exchanged sides "
        f"({100 * scene.swapped:.0f} % of all) left out, then smoothed at {CUT_OFF:.0f} Hz. The cameras' places, "
        "directions and moments of exposure were estimated anew on the same keypoints.\n\n"
        f"- Reprojection error, mean: {after:.1f} px; with the calibration that comes with the clip {before:.1f} px. "
        f"The man is about {_height(scene.truth):.0f} px tall.\n"
        f"- Shifts of the cameras in frames of 1/60 s: {shifts}. Turned by {turned} degrees.\n"
        f"- Floor: a truth from three of the four views lies {scene.floor[0]:.0f} / {scene.floor[1]:.0f} mm (MPJPE / "
        "PA-MPJPE) from that of all. What all views get wrong alike is not in that."
    )


def main_table(rows: Errors, blocks: np.ndarray) -> str:
    """All rows with all errors."""
    body = [[_name(row), *(interval_text(errors[name], blocks) for name in ERRORS)] for row, errors in rows.items()]
    return table(["method or rule", *ERRORS], body)


def margins_table(found: Findings) -> str:
    """How far each row is above MediaPipe's landmarks."""
    body = []
    for row in found.errors[DETECTED][REAL]:
        pairs = [(found.errors[source][REAL], name) for source in SOURCES for name in ERRORS[:2]]
        if row != LANDMARKS:
            differences = [rows[row][name] - rows[LANDMARKS][name] for rows, name in pairs]
            body.append([_name(row), *(interval_text(values, found.blocks, sign="+") for values in differences)])
    return table(["method or rule", *(f"{source}, {name}" for source in SOURCES for name in ERRORS[:2])], body)


def depths_section(found: Findings) -> list[str]:
    """What depths as evidence are worth; nothing of a model that reads none."""
    if not found.with_depths:
        return []
    tables = [f"### {source}, with MediaPipe's depths\n\n{depths_table(found, source)}" for source in SOURCES]
    differences = (
        "### Differences on the same frames\n\nBelow zero, better with depths than without, or than MediaPipe's "
        f"landmarks themselves.\n\n{depth_margins_table(found)}"
    )
    return [f"{DEPTHS} The model chooses by `{found.selection}`.", *tables, differences]


def depths_table(found: Findings, source: str) -> str:
    """Without and with depths, and MediaPipe's landmarks."""
    plain, informed = found.errors[source][REAL], found.with_depths[source]
    rows: Errors = {}
    for rule in _told_rules(found):
        rows |= {_name(rule): plain[rule], f"{_name(rule)}, with depths": informed[rule]}
    return main_table({**rows, LANDMARKS: plain[LANDMARKS]}, found.blocks)


def depth_margins_table(found: Findings) -> str:
    """How far each rule with depths is from itself without, and from MediaPipe's landmarks."""
    body = []
    for rule in _told_rules(found):
        for label, other in (("without", rule), (LANDMARKS, LANDMARKS)):
            differences = [
                found.with_depths[source][rule][name] - found.errors[source][REAL][other][name]
                for source in SOURCES
                for name in ERRORS[:2]
            ]
            body.append(
                [
                    f"{_name(rule)}, with depths - {label}",
                    *(interval_text(values, found.blocks, sign="+") for values in differences),
                ]
            )
    return table(["difference", *(f"{source}, {name}" for source in SOURCES for name in ERRORS[:2])], body)


def video_table(found: Findings) -> str:
    """Frame by frame, and as a video without and with depths; and MediaPipe's landmarks."""
    plain = found.errors[DETECTED][REAL]
    rows: Errors = {}
    for rule in _video_rules(found):
        rows |= {_name(rule): plain[rule]}
        rows |= {f"{_name(rule)}, {label}": errors[rule] for label, errors in _videos(found).items()}
    return main_table({**rows, LANDMARKS: plain[LANDMARKS]}, found.blocks)


def video_margins_table(found: Findings) -> str:
    """How far each rule is from MediaPipe's landmarks as a video."""
    landmarks = found.errors[DETECTED][REAL][LANDMARKS]
    body = []
    for rule in _video_rules(found):
        for label, errors in _videos(found).items():
            differences = [
                interval_text(errors[rule][name] - landmarks[name], found.blocks, "+") for name in ERRORS[:2]
            ]
            body.append([f"{_name(rule)}, {label} - {LANDMARKS}", *differences])
    return table(["difference", *ERRORS[:2]], body)


def given_table(found: Findings) -> str:
    """The model's choice from corrected keypoints and from those given."""
    body = []
    for source, rows in found.as_given.items():
        corrected = found.in_video if source == AS_VIDEO else found.errors[source][REAL]
        pairs = [(rows[found.selection][name], corrected[found.selection][name]) for name in ERRORS[:2]]
        told = [" / ".join(f"{pair[column].mean():.1f}" for pair in pairs) for column in (1, 0)]
        body.append([source, *told, *(interval_text(given - other, found.blocks, "+") for given, other in pairs)])
    headings = ["2D keypoints", "corrected", "as they are given"]
    return table([*headings, *(f"difference, {name}" for name in ERRORS[:2])], body)


def _video_rules(found: Findings) -> list[str]:
    rules = dict.fromkeys((FIRST, found.selection, ORACLE))
    return [rule for rule in rules if rule in found.in_video]


def _videos(found: Findings) -> dict[str, Errors]:
    told = {"as a video, with depths": found.in_video_with_depths} if found.in_video_with_depths else {}
    return {"as a video": found.in_video, **told}


def _told_rules(found: Findings) -> list[str]:
    """The first path, the model's own choice, and the best path."""
    rules = dict.fromkeys((FIRST, found.selection, ORACLE))
    return [rule for rule in rules if all(rule in errors for errors in found.with_depths.values())]


def gap_table(found: Findings) -> str:
    """Rules against sources and pictures."""
    columns = [(source, kind) for source in SOURCES for kind in PICTURES]
    body = []
    for rule in (FIRST, *RULES):
        if all(rule in found.errors[source][kind] for source, kind in columns):
            shares = [gap_closed(found.errors[source][kind], rule, found.blocks) for source, kind in columns]
            body.append([f"`{rule}`", *("{:.0f} % [{:.0f}, {:.0f}]".format(*(100 * x for x in one)) for one in shares)])
    return table(["rule", *(f"{source}, {kind}" for source, kind in columns)], body)


def worth_table(by_picture: dict[str, Errors], blocks: np.ndarray) -> str:
    """Rows that look at the picture: with each of the three, and paired differences."""
    body = []
    for row in by_picture[GREY]:
        if row == CANDIDATE:  # stage 1 does not look
            continue
        means = [" / ".join(f"{by_picture[kind][row][name].mean():.1f}" for name in ERRORS[:2]) for kind in PICTURES]
        differences = [
            interval_text(by_picture[REAL][row][name] - by_picture[kind][row][name], blocks, sign="+")
            for kind in (GREY, NO_BACKGROUND)
            for name in ERRORS[:2]
        ]
        body.append([_name(row), *means, *differences])
    heading = [f"{REAL} - {kind}, {name}" for kind in (GREY, NO_BACKGROUND) for name in ERRORS[:2]]
    return table(["method or rule", *PICTURES, *heading], body)


def _name(row: str) -> str:
    return f"`{row}`" if row in (FIRST, *RULES, RANDOM, ORACLE) else row


def _reprojection(truth: Truth) -> float:
    return float(np.nanmean(truth.errors[:, :, joints.FIRST :]))


def _turned(calibrated: Truth, truth: Truth) -> Sequence[float]:
    """Degrees between the cameras of two truths."""
    pairs = zip(calibrated.cameras, truth.cameras, strict=True)
    cosines = [(np.trace(before.rotation.T @ after.rotation) - 1) / 2 for before, after in pairs]
    return np.degrees(np.arccos(np.clip(cosines, -1, 1))).tolist()


def _height(truth: Truth) -> float:
    """Pixels from his highest to his lowest joint, mean over views and frames."""
    points = truth.points[:, joints.FIRST :]
    return float(np.mean([np.ptp(camera.project(points)[..., 1], axis=1).mean() for camera in truth.cameras]))

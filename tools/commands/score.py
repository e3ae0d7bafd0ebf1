"""Scores of any method's bodies."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cli import program
from demos.chosen import choose_finder, last_stage

from mion_plugin.body import SMPLBody
from mion_plugin.body.stand_in import stand_in_fingerprints
from mion_plugin.files import atomic_path
from mion_plugin.files.configs import read_config
from mion_plugin.inference import FrameSource, MIONInferencer, open_source
from mion_plugin.inference.frames import PeopleFinder
from mion_plugin.models import load_model_config
from mion_plugin.scoring import BodyScorer, Hypotheses, read_bodies
from mion_plugin.scoring.gap_table import format_rows, gap_rows
from mion_plugin.scoring.photographs import PhotographScorer, ScoredPerson, ScoredPhotograph
from mion_plugin.scoring.results import describe_scores, draw_scores
from mion_plugin.scoring.scorer import RULES
from mion_plugin.scoring.truth import ERRORS, JOINTS, read_truth
from mion_plugin.visualization.pictures import save_picture

_LISTED = 10  # bodies in the table of a single photograph's person


def run(args: argparse.Namespace) -> int:
    """Score, print and write; returns the exit code."""
    for name, value in (("draw", args.draw), ("resamples", args.resamples), ("seed", args.seed)):
        if value < 0:
            raise ValueError(f"--{name} is {value}, expected 0 or more")
    source = open_photographs(args.input)
    own_body = None if args.body_model is None else SMPLBody(args.body_model)
    read = [read_bodies(path) for path in args.bodies]
    scorer = BodyScorer(build_inferencer(args), own_body, () if args.gt is None else (JOINTS,))
    files = [of_body(bodies, scorer.body) for bodies in read]
    truth = None if args.gt is None else read_truth(args.gt, scorer.body)
    score = PhotographScorer(scorer, files, source.paths, find_people_by(args, files, source), truth)
    rule = args.rule or (scorer.model.selection if scorer.model.selection in RULES else RULES[-1])
    results = collect(score(source.frames), args, scorer, rule, source.single)
    gap = [] if truth is None else write_gap(results.people, args)  # first: a truth of other people is refused there
    scores = write_json({"chosen_by": rule, "people": results.entries}, args.out / "scores.json")
    written = [scores, *results.pictures, *gap]
    told = ", ".join(str(path) for path in written[:3])
    more = f" and {len(written) - 3} more" if len(written) > 3 else ""
    print(f"{len(results.people)} people; written: {told}{more}")
    return 0


def open_photographs(text: str) -> FrameSource:
    """The photographs of a command line; bodies of videos' frames have no names to be found by."""
    source = open_source(text)
    if source.frame_rate is not None:
        raise ValueError(f"{text} is a video, expected an image, a folder or a glob: cut it into images")
    return source


def of_body(bodies: Hypotheses, body: SMPLBody) -> Hypotheses:
    """The bodies as far as a body model can show them: those of the licensed SMPL lose their shape on the stand-in.

    Raises:
        ValueError: They are vertices of the licensed SMPL, but the body model is the stand-in.
    """
    if not bodies.licensed or body.arrays.name not in stand_in_fingerprints():
        return bodies
    whose = f"{bodies.source} ({bodies.layout})"
    if bodies.pose is None:
        raise ValueError(f"{whose} holds vertices of the licensed SMPL: name its file or folder by --body-model")
    told = "without --body-model its poses are put on the free stand-in, and its betas left out"
    print(f"{program('score.py')}: {whose} is of the licensed SMPL: {told}", file=sys.stderr)
    return bodies.without_betas()


def build_inferencer(args: argparse.Namespace) -> MIONInferencer:
    """The model without its first stage and fit, which only find bodies.

    Raises:
        ValueError: Not a ``mion.MION`` with a third stage.
    """
    if last_stage(args) < 3:
        raise ValueError("no trained third stage comes with the package; give --config and --checkpoint")
    cfg = load_model_config() if args.config is None else read_config(args.config)
    model = cfg.get("model")
    if not isinstance(model, dict) or model.get("type") != "mion.MION" or model.get("cen") is None:
        raise ValueError(f"config {args.config}: its model is no mion.MION with a third stage (cen)")
    rule = model.get("selection") if model.get("selection") in RULES else RULES[0]
    cfg.model.update(selector=None, num_candidates=None, fit=None, selection=rule)
    return MIONInferencer(cfg, args.checkpoint, device=args.device)


def find_people_by(args: argparse.Namespace, files: Sequence[Hypotheses], source: FrameSource) -> PeopleFinder | None:
    """Where the 2D keypoints come from: what is named, else the files of bodies (None), else the light detector.

    That is said, since the scores of 2D keypoints are of other ones then.
    """
    named = args.keypoints is not None or args.pose_config or args.pose_checkpoint or args.person_checkpoint
    if not named and any(one.keypoints2d is not None for one in files):
        return None
    if not named:
        told = f"{', '.join(str(one.source) for one in files)} without keypoints2d, and no --keypoints"
        print(f"{program('score.py')}: {told}: the light detector looks for them", file=sys.stderr)
    return choose_finder(args, source.names())


class Results:
    """What has been found so far."""

    def __init__(self) -> None:
        self.people: list[ScoredPerson] = []
        self.entries: list[dict[str, Any]] = []
        self.pictures: list[Path] = []


def collect(
    photographs: Iterable[ScoredPhotograph], args: argparse.Namespace, scorer: BodyScorer, rule: str, single: bool
) -> Results:
    """Draw and describe everybody; tell what is left out.

    Raises:
        ValueError: Nobody was scored.
    """
    results, first, taken = Results(), "", set[str]()
    for found in photographs:
        first = first or "".join(found.problems[:1])
        for problem in found.problems if found.people or not single else ():
            print(f"{program('score.py')}: {problem}", file=sys.stderr)
        stem = Path(found.frame.name).stem
        stem = f"{found.frame.index}_{stem}" if stem in taken else stem
        taken.add(stem)
        for one in found.people:
            entry = {"image": found.frame.name, "person": one.number}
            results.entries.append({**entry, **describe_scores(one.scored, rule, one.sources, one.errors)})
            results.people.append(one)
            if single:
                print_ranking(results.entries[-1])
            if args.draw:
                faces = scorer.body.faces
                picture = draw_scores(found.frame.pixels, one.person, one.scored, rule, faces, args.draw)
                results.pictures.append(save_picture(picture, args.out / f"{stem}_person{one.number}.png"))
    if not results.people:
        raise ValueError(f"nobody was scored; first: {first}")
    return results


def print_ranking(entry: dict[str, Any]) -> None:
    """Print one person's bodies from the best to the worst."""
    print(f"person {entry['person']}, {len(entry['bodies'])} bodies by {entry['chosen_by']}")
    print(f"{'body':>6}  {'cen':>7}  {'reprojection':>12}  {'both':>7}  {'expected error':>14}  of")
    for n in entry["ranking"][:_LISTED]:
        body = entry["bodies"][n]
        expected = body.get("expected_error_mm")
        told = "-" if expected is None else f"{expected:.0f} mm"
        cen, both = ("-" if body[rule] is None else f"{body[rule]:.4f}" for rule in ("cen", "cen+reprojection"))
        off = "-" if body["reprojection_rms_px"] is None else f"{body['reprojection_rms_px']:.1f}"
        print(f"{n:>6}  {cen:>7}  {off:>9} px  {both:>7}  {told:>14}  {body['file']} {body['index']}")


def write_gap(people: Sequence[ScoredPerson], args: argparse.Namespace) -> list[Path]:
    """Print and write the tables of the gap closed; the files.

    Raises:
        ValueError: The truth is of none of the people.
    """
    known = [one for one in people if one.errors is not None]
    if not known:
        raise ValueError(f"{args.gt} is of none of the people that were scored")
    # people of whom not every file has bodies have fewer: a table needs one number
    count = Counter(len(one.sources) for one in known).most_common(1)[0][0]
    used = [one for one in known if len(one.sources) == count]
    scores = {rule: np.stack([one.scored.scores[rule] for one in used]).astype(np.float64) for rule in RULES}
    tables = {
        error: gap_rows(np.stack([one.errors[error] for one in used if one.errors]), scores, args.seed, args.resamples)
        for error in ERRORS
    }
    text = f"{len(used)} people with {count} bodies each; {len(people) - len(used)} left out\n\n"
    text += "\n".join(format_rows(rows, error) for error, rows in tables.items())
    print(text)
    with atomic_path(args.out / "gap_closed.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    numbers = {"people": len(used), "left_out": len(people) - len(used), "seed": args.seed, **tables}
    return [args.out / "gap_closed.md", write_json(numbers, args.out / "gap_closed.json")]


def write_json(content: Any, path: Path) -> Path:
    """Write a JSON file, whole or not at all; its path."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path

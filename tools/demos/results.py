"""What the demo writes: pictures, bodies, meshes, numbers, videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demos.former_files import remove_former_people

from mion_plugin.files import atomic_path, remove_leftovers
from mion_plugin.inference import (
    BodySmoother,
    FramePeople,
    FrameSource,
    MIONInferencer,
    PersonBodies,
    draw_people,
    save_person,
)
from mion_plugin.inference.frame_lines import describe_frame
from mion_plugin.inference.frames import NobodyError
from mion_plugin.inference.motion import MotionRecorder, save_motion
from mion_plugin.inference.overlay import guessed_parts
from mion_plugin.inference.partial_lines import PartialLines
from mion_plugin.inference.video_results import note_results, write_lines, write_video
from mion_plugin.visualization.drawing import surface_colors
from mion_plugin.visualization.image_overlay import body_color
from mion_plugin.visualization.pictures import save_picture
from mion_plugin.visualization.turntable import draw_turntable, save_gif


@dataclass(frozen=True)
class Wishes:
    """What to write beside the picture, the numbers and the parameters.

    Attributes:
        folder: Where to.
        mesh_formats: Of the chosen body's surface, none for no mesh.
        turntable: A GIF of the chosen body, turning.
        overlay_camera: See ``draw_people``.
        motion_formats: Of everyone's motion in a video, none for no such files.
        everyone: Whom a run does not find has no files; not so where it looks at one person alone.
    """

    folder: Path
    mesh_formats: tuple[str, ...] = ()
    turntable: bool = False
    overlay_camera: str = "crop"
    motion_formats: tuple[str, ...] = ()
    everyone: bool = True

    @property
    def endings(self) -> tuple[str, ...]:
        """Of the files of a photograph's person, after ``NAME_personN``."""
        meshes = (f".{name}" for name in self.mesh_formats)
        return (".png", ".json", ".npz", *meshes, *(["_turntable.gif"] if self.turntable else []))


def write_photograph(result: FramePeople, stem: str, inferencer: MIONInferencer, wishes: Wishes) -> list[Path]:
    """Write what was found in one photograph; the files."""
    image, faces = result.frame.pixels, inferencer.body.faces.cpu()
    if image is None or not result.people:
        return []
    weights = inferencer.skinning_weights
    overlay = draw_people(image, result.people, faces, wishes.overlay_camera, weights)
    files = [save_picture(overlay, wishes.folder / f"{stem}_overlay.jpg")]
    for person in result.people:
        base = wishes.folder / f"{stem}_person{person.person}"
        files.append(save_picture(inferencer.draw(image, person), base.with_name(f"{base.name}.png")))
        files += save_person(person, base, faces.numpy(), wishes.mesh_formats)
        if wishes.turntable:
            files.append(base.with_name(f"{base.name}_turntable.gif"))
            vertices = torch.from_numpy(person.vertices[person.selected])
            color = surface_colors(body_color(person.person), guessed_parts(person, weights))
            save_gif(files[-1], draw_turntable(vertices, faces, color))
    return files


def write_photographs(
    results: Iterable[FramePeople], lines: PartialLines, inferencer: MIONInferencer, wishes: Wishes
) -> list[Path]:
    """Write each photograph's files as it is done, and one file of JSON lines for all; the latter's path.

    Those of the lines that were kept from an earlier run are there already.
    """
    found, paths = dict[str, set[int]](), list[Path | None]()
    with lines:
        for result in results:
            stem = Path(result.frame.name).stem
            if stem in found:  # of one name in several folders
                stem = f"{result.frame.index}_{stem}"
            found[stem] = {person.person for person in result.people}
            paths.append(result.frame.path)
            if result.frame.index >= len(lines.kept):
                write_photograph(result, stem, inferencer, wishes)
                lines.write(describe_frame(result, None))
    people, images = sum(map(len, found.values())), len(found)
    print(f"{people_found(people)} in {images} {'photograph' if images == 1 else 'photographs'}")
    remove_former(found, paths, wishes)
    return [lines.path]


def write_bodies_of_video(
    results: Iterable[FramePeople],
    source: FrameSource,
    lines: PartialLines,
    inferencer: MIONInferencer,
    smooth: BodySmoother | None,
    wishes: Wishes,
) -> list[Path]:
    """Write the video with the bodies over it, its JSON lines, and everyone's motion; the files."""
    body, rate = inferencer.body, source.frame_rate
    faces, recorder, people = body.faces.cpu(), MotionRecorder(body, rate), PeopleOfVideo()

    def draw(result: FramePeople) -> np.ndarray:
        people.see(result)
        if wishes.motion_formats:
            recorder.add(result)
        return draw_people(
            result.frame.pixels, result.people, faces, wishes.overlay_camera, inferencer.skinning_weights
        )

    video = wishes.folder / f"{source.name}_overlay.mp4"
    remove_leftovers(video)
    with ExitStack() as stack:
        stack.enter_context(lines)
        if smooth is not None:  # these lines get the name, those before the filter serve a stopped run
            file = stack.enter_context(stack.enter_context(atomic_path(lines.path)).open("w", encoding="utf-8"))
        results = note_results(results, lines, rate, body)
        if smooth is not None:
            results = write_lines((smoothed(result, smooth, rate) for result in results), file, rate)
        files = write_video(results, video, rate, draw, source)
        motions = recorder.motions()
        for motion in motions:
            stem = wishes.folder / f"{source.name}_person{motion.person}_motion"
            files += save_motion(motion, stem, wishes.motion_formats, body)
    print(people.told("the video"))
    if wishes.everyone and wishes.motion_formats:
        found = {source.name: {motion.person for motion in motions}}
        remove_former_people(wishes.folder, found, [f"_motion.{name}" for name in wishes.motion_formats])
    return [*files, lines.path]


def smoothed(result: FramePeople, smooth: BodySmoother, frame_rate: float) -> FramePeople:
    """A frame's people with their bodies smoothed."""
    index = result.frame.index
    time = index / frame_rate if result.frame.time is None else result.frame.time
    return dataclasses.replace(result, people=[smooth(person, index, time) for person in result.people])


def write_one(result: FramePeople, inferencer: MIONInferencer, wishes: Wishes) -> list[Path]:
    """Print and write what was found in the only photograph; the files."""
    print(people_found(len(result.people)))
    for person in result.people:
        if len(result.people) > 1:
            print(f"person {person.person}")
        report_paths(person)
    stem = Path(result.frame.name).stem
    files = write_photograph(result, stem, inferencer, wishes)
    remove_former({stem: {person.person for person in result.people}}, [result.frame.path], wishes)
    return files


def remove_former(found: Mapping[str, set[int]], paths: Iterable[Path | None], wishes: Wishes) -> None:
    """Remove what an earlier run wrote of people whom this one has not found in its photographs, at ``paths``."""
    if wishes.everyone:
        inputs = [path for path in paths if path is not None]
        remove_former_people(wishes.folder, found, wishes.endings, "_overlay.jpg", inputs)


@dataclass
class PeopleOfVideo:
    """How many people a video shows: all who ever had a number, also somebody seen for a moment, and at once.

    Attributes:
        everyone: Their numbers.
        most: In one picture.
    """

    everyone: set[int] = field(default_factory=set)
    most: int = 0

    def see(self, result: FramePeople) -> None:
        """Count those of a picture."""
        self.everyone.update(person.person for person in result.people)
        self.most = max(self.most, len(result.people))

    def told(self, where: str) -> str:
        """What was found ``where``, to be read."""
        fewer = f", at most {self.most} in one picture" if self.most < len(self.everyone) else ""
        return f"{people_found(len(self.everyone))} in {where}{fewer}"


def people_found(count: int) -> str:
    """How many people were found, to be read."""
    return {0: "nobody was found", 1: "1 person found"}.get(count, f"{count} people found")


def report_paths(person: PersonBodies) -> None:
    """Print one person's bodies as a table, and why the chosen one; the lowest score wins."""
    numbers: dict[str, Any] = person.describe()
    told = person.expected_error is not None
    expected = f"  {'by the picture':>14}" if told else ""
    print(f"{'path':>6}  {'score':>9}{expected}  {'reprojection':>12}  {'from the chosen':>15}")
    for n, path in enumerate(numbers["paths"]):
        chosen = "  chosen" if n == numbers["selected"] else ""
        expected = f"  {path['expected_error_mm']:>11.0f} mm" if told else ""
        print(
            f"{n + 1:>6}  {person.score_text(n) or '-':>9}{expected}  {path['reprojection_rms_px']:>9.1f} px"
            f"  {path['distance_to_selected_mm']:>12.0f} mm{chosen}"
        )
    print(person.reason)
    if numbers["joints_guessed"]:
        print(f"guessed, since no keypoint in the photograph tells of them: {', '.join(numbers['joints_guessed'])}")


def watched(results: Iterable[FramePeople], single: bool, tell: Callable[[str], None]) -> Iterator[FramePeople]:
    """Pass results on, and ``tell`` each problem.

    Args:
        results: Of all frames.
        single: There is one frame alone.
        tell: Prints a line.

    Raises:
        NobodyError: At the end, if there was no body at all.
    """
    count, people, first = 0, 0, ""
    for result in results:
        count, people = count + 1, people + len(result.people)
        first = first or "".join(result.problems[:1])
        if not single or result.people:  # else the error below says it
            for problem in result.problems:
                tell(problem)
        yield result
    if not count:
        raise NobodyError("there is no picture in it that can be read")
    if not people:
        raise NobodyError(first if single else f"no body in any of {count} images; first: {first}")

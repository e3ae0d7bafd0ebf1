"""Many photographs: people per second, work outside the networks and memory, against the demo's loop.

All loops run one after the other in this process, on the same photographs with given keypoints, after a first round
that is not measured. Work is time on processors, of this process and its workers: other programs disturb it less than
the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.markdown import table, write_section
from demos.results import Wishes, write_photographs
from PIL import Image
from robustness.long_runs import RUNS
from robustness.memory import HEADING, judge, measure, memory_row

from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.inference import MIONInferencer, find_in_file, infer_frames, open_source, save_person
from mion_plugin.inference.partial_lines import PartialLines
from mion_plugin.prediction import Pace, Part, open_photographs, predict
from mion_plugin.prediction.keypoints import KeypointTable
from mion_plugin.synthesis.synthesizer import CONVENTION
from mion_plugin.synthesis.writing import SetSettings

SYNTHETIC, SYNTHETIC_SIZE = 7, 320  # pictures beside the demo's photograph, and their side in pixels
DEMO_BATCH = 8  # the demo's default
CORES = (1, 8, 64)
MILLION = 1_000_000


@dataclass(frozen=True)
class Work:
    """What a loop took.

    Attributes:
        name: The loop.
        people: With bodies.
        seconds: By the clock.
        cpu_seconds: On processors, workers included.
        cpu_in_model: Of these in the model's ``test_step``: all three stages and the fit.
    """

    name: str
    people: int
    seconds: float
    cpu_seconds: float
    cpu_in_model: float

    @property
    def outside(self) -> float:
        """Seconds on processors outside the model, per person."""
        return (self.cpu_seconds - self.cpu_in_model) / self.people


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument(
        "--photographs", type=int, default=400, help="copies of eight pictures, for all but the pictures"
    )
    parser.add_argument("--demo-photographs", type=int, default=40, help="of them for the loop that draws pictures")
    parser.add_argument("--batch-size", type=int, default=16, help="people at once of tools/predict.py")
    parser.add_argument("--workers", type=int, default=1, help="workers of tools/predict.py")
    parser.add_argument(
        "--memory-photographs", type=int, default=2000, help="for the memory; 0 for no such measurement"
    )
    parser.add_argument("--page", type=Path, help="Markdown file with a section to write into")


def run(args: argparse.Namespace) -> None:
    """Print, and write on request, the tables."""
    with tempfile.TemporaryDirectory(prefix="predict_") as name:
        folder = Path(name)
        # first: it forks processes, which must not inherit threads
        memory = memory_table(args.memory_photographs, folder / "memory") if args.memory_photographs else ""
        write_inputs(folder / "few", args.demo_photographs)
        write_inputs(folder / "many", args.photographs)
        works = measure_loops(folder, Pace(args.batch_size, args.workers))
    text = "\n\n".join(part for part in (speed_table(works), million_table(works[-1]), memory) if part)
    if args.page is not None:
        write_section(args.page, "predict", text)
    print(text)


def write_inputs(folder: Path, count: int) -> None:
    """The demo's photograph and synthetic people, in turn, as JPEG, and one file with all keypoints."""
    (folder / "images").mkdir(parents=True)
    content = json.loads(KEYPOINTS.read_text(encoding="utf-8"))
    originals = [(PHOTO.read_bytes(), content["annotations"][0])]
    synthesizer = SetSettings(SYNTHETIC, image_size=SYNTHETIC_SIZE).build()
    for number in range(SYNTHETIC):
        sample = synthesizer.sample(number)
        path = folder / "new.jpg"
        Image.fromarray(sample["image"]).save(path, quality=90)
        originals.append((path.read_bytes(), _annotation(sample["keypoints2d"])))
        path.unlink()
    images, annotations = [], []
    for number in range(count):
        picture, annotation = originals[number % len(originals)]
        name = f"{number:06d}.jpg"
        (folder / "images" / name).write_bytes(picture)
        images.append({"id": number, "file_name": name})
        annotations.append({**annotation, "id": number, "image_id": number})
    (folder / "people.json").write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")


def _annotation(keypoints2d: np.ndarray) -> dict:
    points = convert_keypoints(keypoints2d, CONVENTION, "coco")[0]
    seen = points[:, 2] > 0
    values = np.column_stack([np.where(seen[:, None], points[:, :2] - 0.5, 0.0), 2 * seen])
    return {"keypoints": values.ravel().tolist(), "bbox": [0, 0, SYNTHETIC_SIZE, SYNTHETIC_SIZE]}


def measure_loops(folder: Path, pace: Pace) -> list[Work]:
    """The demo's loop, the same without pictures, and that of tools/predict.py."""
    inferencer = MIONInferencer(device="cpu")
    loops: dict[str, tuple[Path, Callable[[Path, Path], int]]] = {
        "the demo's loop": (folder / "few", functools.partial(demo_loop, inferencer)),
        "the demo's loop, numbers and parameters alone": (folder / "many", functools.partial(plain_loop, inferencer)),
        f"tools/predict.py, {pace.num_workers} workers": (
            folder / "many",
            functools.partial(predict_loop, inferencer, pace),
        ),
    }
    write_inputs(folder / "first", SYNTHETIC + 1)
    works = []
    for name, (inputs, loop) in loops.items():
        for where in (folder / "first", inputs):
            out = folder / "out"
            out.mkdir()
            work = measured(name, inferencer, functools.partial(loop, where, out))
            shutil.rmtree(out)
        works.append(work)
        print(f"{name}: {work}", flush=True)
    return works


def demo_loop(inferencer: MIONInferencer, inputs: Path, out: Path) -> int:
    """What tools/demo.py does on a folder; the number of people."""
    source = open_source(str(inputs / "images"))
    results = infer_frames(inferencer, source.frames, find_in_file(inputs / "people.json"), batch_size=DEMO_BATCH)
    (lines,) = write_photographs(results, PartialLines(out / "images.jsonl", {}), inferencer, Wishes(out))
    return sum(len(json.loads(line)["people"]) for line in lines.read_text(encoding="utf-8").splitlines())


def plain_loop(inferencer: MIONInferencer, inputs: Path, out: Path) -> int:
    """The same without pictures, by the package's own functions; the number of people."""
    source, count = open_source(str(inputs / "images")), 0
    for result in infer_frames(inferencer, source.frames, find_in_file(inputs / "people.json"), batch_size=DEMO_BATCH):
        for person in result.people:
            save_person(person, out / f"{Path(result.frame.name).stem}_person{person.person}")
            count += 1
    return count


def predict_loop(inferencer: MIONInferencer, pace: Pace, inputs: Path, out: Path) -> int:
    """What tools/predict.py does; the number of people."""
    people: list[int] = []
    pieces = open_photographs([str(inputs / "images")]).pieces(Part())
    table_of = KeypointTable(inputs / "people.json")
    predict(inferencer, pieces, table_of, out, pace, lambda done: people.append(done.num_people))
    return sum(people)


def measured(name: str, inferencer: MIONInferencer, loop: Callable[[], int]) -> Work:
    """Run a loop and tell what it took."""
    with watched_model(inferencer) as in_model:
        start, cpu = time.perf_counter(), cpu_seconds()
        people = loop()
        return Work(name, people, time.perf_counter() - start, cpu_seconds() - cpu, sum(in_model))


@contextlib.contextmanager
def watched_model(inferencer: MIONInferencer) -> Iterator[list[float]]:
    """Yield a list that gets the seconds on processors of each call of the model."""
    model, spent = inferencer.model, []
    step = model.test_step

    def timed(data: object) -> object:
        start = time.process_time()
        found = step(data)
        spent.append(time.process_time() - start)
        return found

    model.test_step = timed
    try:
        yield spent
    finally:
        del model.test_step  # the class's shows again


def cpu_seconds() -> float:
    """Of this process and of its workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def speed_table(works: list[Work]) -> str:
    """A row for each loop; ratios against the last."""
    rows = [
        [
            work.name,
            str(work.people),
            f"{work.people / work.cpu_seconds:.1f}",
            f"{1000 * work.cpu_in_model / work.people:.1f}",
            f"{1000 * work.outside:.1f}",
            f"{work.outside / works[-1].outside:.1f}",
        ]
        for work in works
    ]
    heading = [
        *("loop", "people", "people per second and core"),
        *("work in the model, ms per person", "work outside, ms per person", "times that of tools/predict.py"),
    ]
    threads = torch.get_num_threads()
    return f"{table(heading, rows)}\n\nOn {threads} {'thread' if threads == 1 else 'threads'}, without a GPU."


def million_table(work: Work) -> str:
    """What a million people would take."""
    hours = work.cpu_seconds / work.people * MILLION / 3600
    rows = [[f"{cores}", f"{hours / cores:.2f}"] for cores in CORES]
    head = table(["cores", "hours for a million people"], rows)
    each = f"{1000 * work.cpu_seconds / work.people:.1f} ms in all, {work.people} people measured"
    return (
        f"{head}\n\nComputed, not run: the work per person of {work.name} ({each}) times a million, by the number of "
        "cores, as if they did not hinder each other."
    )


def memory_table(count: int, folder: Path) -> str:
    """Resident memory of tools/predict.py over many small photographs; see ``robustness.memory``."""
    judged = judge(measure(RUNS["prediction"], count, folder), count)
    return (
        f"{table(HEADING, [memory_row('prediction', count, judged)])}\n\nResident memory of the process and its worker."
    )

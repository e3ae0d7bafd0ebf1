"""Command lines: numbers out of range, names that cannot be, options that exclude each other."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mion_plugin import console
from robustness.faults.case import REFUSED, Case
from robustness.faults.doors.files import tool
from robustness.faults.seeds import Seeds

_CALIBRATED = Path(__file__).resolve().parents[4] / "configs" / "mion" / "mion_tiny_synthetic.py"
# what messages call an option, where it is not its name
_CALLED = {"--box-scale": "box scale"}
_NUMBERS = ("-1", "0", "nan", "inf", "1e400", "a", "", "9" * 400, "0x10", "--")
_SYNTHESIZE_NUMBERS = (
    *("--num-images", "--image-size", "--test-fraction", "--detected-noise"),
    *("--pitch-std", "--roll-std", "--wide-prob", "--exchange-prob"),
)
_WITH_SUFFIX = "calibrate demo export train test publish_model score predict".split()
_LOGS = ("work/*/*.log", "work/*/vis_data/*", "work/*.py")


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    yield from _wrong_numbers(seeds)
    yield from _wrong_options(seeds)


def _sound(seeds: Seeds, command: str) -> list[str]:
    """The arguments of a tool that a case adds something wrong to."""
    photo, keypoints = str(seeds.path("photo.jpg")), str(seeds.path("keypoints.json"))
    known = ["--keypoints", keypoints, "--out", "{out}"]
    photos, people, bodies = (str(seeds.path(name)) for name in ("album/photos", "people", "bodies.npz"))
    return {
        "demo": [photo, *known],
        "synthesize": ["--out", "{out}", "--workers", "0", "--num-images", "1", "--image-size", "32"],
        "export": ["--out", "{out}", "--formats", "onnx"],
        "detect_keypoints": ["--images", str(seeds.folder), "--checkpoint", "nothing.pth", "--out", "{out}/k.json"],
        "build_candidate_pool": ["--source", str(seeds.path("motion.npz")), "--out", "{out}/pool.npz"],
        "publish_model": [str(seeds.path("weights.pth"))],
        "score": [photo, "--bodies", bodies, *known, "--device", "cpu"],
        "predict": [photos, *known, "--device", "cpu", "--workers", "0"],
        "cache_crops": ["train.npz", "--data-root", people, "--out", "{out}/cache", "--workers", "0"],
        "convert_dataset": ["lspet", "--split", "train", "--archive", str(seeds.path("lspet")), "--data-root", "{out}"],
    }[command]


def _wrong_numbers(seeds: Seeds) -> Iterator[Case]:
    for name, options in (
        ("demo", ("--num-candidates", "--batch-size", "--max-frames", "--stage", "--person", "--smooth")),
        ("synthesize", _SYNTHESIZE_NUMBERS),
        ("build_candidate_pool", ("--num-poses", "--num-orientations", "--fps")),
        ("detect_keypoints", ("--batch-size", "--box-scale", "--min-score")),
        ("score", ("--draw", "--resamples", "--seed")),
        ("predict", ("--batch-size", "--shard-size", "--shard", "--num-candidates", "--workers")),
        ("cache_crops", ("--quality", "--crop-size", "--scale-factor", "--rot-factor", "--workers")),
        ("convert_dataset", ("--frame-step",)),
    ):
        for option, number in itertools.product(options, _NUMBERS):
            if not _legal(option, number):
                told, arguments = f"{option} {number[:10]}", [*_sound(seeds, name), option, number]
                yield _case(name, "wrong number", told, arguments, _CALLED.get(option, option))


def _wrong_options(seeds: Seeds) -> Iterator[Case]:
    photo = str(seeds.path("photo.jpg"))
    demo, synthesize, export = (_sound(seeds, name) for name in ("demo", "synthesize", "export"))
    detect, pool = _sound(seeds, "detect_keypoints"), _sound(seeds, "build_candidate_pool")
    publish, convert = _sound(seeds, "publish_model"), _sound(seeds, "convert_dataset")
    score, predict, cache = (_sound(seeds, name) for name in ("score", "predict", "cache_crops"))
    photo_folder, people = str(seeds.path("album/photos")), str(seeds.path("people"))
    for name, arguments, mention in (
        ("demo", [*demo, "--device", "tpu"], "tpu"),
        ("demo", [*demo, "--device", "cuda:99"], "cuda"),
        ("demo", [*demo, "--checkpoint", "w.pth"], "--config"),
        ("demo", [*demo, "--image", photo], "--image"),
        ("demo", [*demo, "--resume"], "--resume"),
        ("demo", [*demo, "--save-motion", "bvh"], "--save-motion"),
        ("demo", [*demo, "--mesh-format", "glb"], "--mesh-format"),
        ("demo", ["999", "--out", "{out}"], "999"),
        ("demo", ["*.nothing", "--out", "{out}"], "*.nothing"),
        ("demo", ["[", "--out", "{out}"], "["),
        ("demo", ["http://example.invalid/a.jpg", "--out", "{out}"], "a.jpg"),
        ("demo", ["a\0b.jpg", "--out", "{out}"], "b.jpg"),
        ("demo", ["n" * 5000, "--out", "{out}"], "nnn"),
        ("demo", [*demo, "--pose-config", "nothing", "--input"], "--input"),
        ("export", [*export, "--tolerance", "nan"], "tolerance"),
        ("export", [*export, "--tolerance", "-1"], "tolerance"),
        ("export", [*export, "--formats", "exe"], "exe"),
        ("export", [*export, "--config", "nothing.py"], "nothing.py"),
        ("export", [*export, "--checkpoint", "w.pth"], "--config"),
        ("publish_model", [*publish, "{out}/model.exe"], ".pth"),
        ("publish_model", [*publish, "{out}/a.pth", "--part", "nothing"], "nothing"),
        ("publish_model", ["nothing.pth", "{out}/a.pth"], "nothing.pth"),
        ("calibrate", ["nothing.py", *publish, "{out}/a.pth"], "nothing.py"),
        ("calibrate", [str(_CALIBRATED), *publish, "{out}/model.exe"], ".pth"),
        ("calibrate", [str(_CALIBRATED), "nothing.pth", "{out}/a.pth"], "nothing.pth"),
        ("convert_dataset", [*convert, "--split", "nothing"], "nothing"),
        ("convert_dataset", [*convert, "--frame-step", "3"], "frame_step"),
        ("convert_dataset", [*convert, "--archive", "nothing"], "nothing"),
        ("convert_dataset", ["nothing", "--split", "train"], "nothing"),
        ("build_candidate_pool", [*pool, "--out", "{out}/pool.txt"], "pool.txt"),
        ("build_candidate_pool", [*pool, "--source", "nothing"], "nothing"),
        ("build_candidate_pool", [*pool, "--seed", "-1"], "seed"),
        ("build_candidate_pool", [*pool, "--orientations", "nothing.npz"], "nothing.npz"),
        ("synthesize", [*synthesize, "--workers", "-1"], "workers"),
        ("synthesize", [*synthesize, "--seed", "-1"], "seed"),
        ("synthesize", [*synthesize, "--test-clips", "nothing"], "nothing"),
        ("synthesize", [*synthesize, "--backgrounds", "nothing"], "nothing"),
        ("synthesize", [*synthesize, "--backgrounds", str(seeds.path("pw3d/sequenceFiles"))], "sequenceFiles"),
        ("synthesize", [*synthesize, "--looks", "nothing"], "nothing"),
        ("synthesize", [*synthesize, "--skins", "nothing"], "nothing"),
        ("synthesize", [*synthesize, "--skins", str(seeds.path("pw3d/sequenceFiles"))], "sequenceFiles"),
        ("detect_keypoints", [*detect, "--out", "{out}/k.txt"], "k.txt"),
        ("detect_keypoints", [*detect, "--images", "nothing"], "nothing"),
        ("detect_keypoints", [*detect, "--config", "nothing"], "nothing"),
        ("detect_keypoints", [*detect, "--workers", "0"], "workers"),
        ("detect_keypoints", [*detect, "--checkpoint", "nothing.pth"], "nothing.pth"),
        ("score", [*score, "--bodies", "nothing.npz"], "nothing.npz"),
        ("score", [*score, "--gt", "nothing.npz"], "nothing.npz"),
        ("score", [*score, "--keypoints", "nothing.json"], "nothing.json"),
        ("score", [*score, "--rule", "nothing"], "nothing"),
        ("score", [*score, "--config", "nothing.py"], "nothing.py"),
        ("score", [*score, "--checkpoint", "w.pth"], "--config"),
        ("score", [*score, "--body-model", "nothing"], "nothing"),
        ("score", [*score, "--device", "tpu"], "tpu"),
        ("score", [str(seeds.path("video.mp4")), *score[1:]], "video.mp4"),
        ("score", ["nothing.jpg", *score[1:]], "nothing.jpg"),
        ("score", [photo, "--out", "{out}"], "--bodies"),
        ("predict", ["nothing", *predict[1:]], "nothing"),
        ("predict", [photo, *predict[1:]], "photo.jpg"),
        ("predict", [*predict[:1], photo_folder, *predict[1:]], "photos"),
        ("predict", [*predict, "--keypoints", "nothing.json"], "nothing.json"),
        ("predict", [*predict, "--keypoints-member", "json"], "--keypoints-member"),
        ("predict", [*predict, "--pose-config", "nothing"], "--pose-config"),
        ("predict", [*predict, "--shard", "2/2"], "2/2"),
        ("predict", [*predict, "--shard", "1e3/2e3"], "1e3/2e3"),
        ("predict", [*predict, "--checkpoint", "w.pth"], "--config"),
        ("predict", [*predict, "--device", "tpu"], "tpu"),
        ("cache_crops", ["nothing.npz", *cache[1:]], "nothing.npz"),
        ("cache_crops", ["../train.npz", *cache[1:]], "../train.npz"),
        ("cache_crops", ["..\\train.npz", *cache[1:]], "train.npz"),
        ("cache_crops", [*cache, "--out", people], "people"),
        ("cache_crops", [*cache, "--img-prefix", "../images"], "../images"),
        ("cache_crops", [*cache, "--img-prefix", "nothing"], "nothing"),
        ("cache_crops", [*cache, "--dataset", "a", "--img-prefix", "b"], "--img-prefix"),
        ("cache_crops", [*cache, "--dataset", "nothing"], "preprocessed_datasets"),
        ("cache_crops", [*cache, "--format", "exe"], "exe"),
        ("mion", ["nothing"], "nothing"),
        ("mion", ["sccore", "--help"], "score"),
        ("mion", [""], "no such command"),
        ("mion", ["a\nb"], "no such command"),
        ("mion", ["configs", "nothing"], "nothing"),
        ("mion", ["score", *score, "--bodies", "nothing.npz"], "nothing.npz"),
        ("mion", ["predict", "nothing", *predict[1:]], "nothing"),
        ("mion", ["convert", "nothing", "--split", "train"], "nothing"),
        ("mion", ["cache", "nothing.npz", *cache[1:]], "nothing.npz"),
        ("mion", ["pool", *pool, "--source", "nothing"], "nothing"),
        ("mion", ["train", "nothing", "--work-dir", "{out}/work"], "nothing"),
        ("mion", ["demo", "nothing.jpg", "--out", "{out}"], "nothing.jpg"),
        ("train", ["nothing.py", "--work-dir", "{out}/work"], "nothing.py"),
        ("train", [".", "--work-dir", "{out}/work"], "config ."),
        ("test", ["nothing.py", "nothing.pth", "--work-dir", "{out}/work"], "nothing.py"),
    ):
        told = " ".join(argument for argument in arguments[-2:] if "/" not in argument) or mention
        yield _case(name, "wrong option", told[:40], arguments, mention)


def _legal(option: str, number: str) -> bool:
    """What is no mistake: the first of several, no noise, everything that was found."""
    zero = ("--person", "--min-score", "--draw", "--resamples", "--seed", "--workers", "--scale-factor", "--rot-factor")
    zero += _SYNTHESIZE_NUMBERS[2:]
    return (number == "0" and option in zero) or (number == "-1" and option == "--min-score")


def _main(name: str) -> Callable[[list[str]], int]:
    return console.main if name == "mion" else tool(name).main


def _prefix(name: str, arguments: list[str]) -> str:
    """How a tool begins its errors; what ``mion`` is asked for is named by its command."""
    if name == "mion":
        return " ".join([name, *arguments[:1]]) if arguments[0] in (*console.offered(), "configs") else name
    return f"{name}.py" if name in _WITH_SUFFIX else name


def _case(name: str, kind: str, told: str, arguments: list[str], mention: str) -> Case:
    def enter(given: None, out: Path) -> int:
        sys.argv[0] = prefix  # argparse's name of the program
        return _main(name)([argument.replace("{out}", str(out)) for argument in arguments])

    prefix = _prefix(name, arguments)
    names = (told.split()[0], mention, mention.lstrip("-").replace("-", "_"), mention.lstrip("-").replace("-", " "))
    return Case(
        f"command: {name}", kind, told, lambda folder: None, enter, REFUSED, names, f"{prefix}: error: ", _LOGS
    )  # fmt: skip

"""Checkpoints: loaded into a network, published, and given to the demo."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import mion_plugin
from mion_plugin.constants import STAND_IN
from mion_plugin.detection.pose_checkpoint import load_pose_weights
from mion_plugin.weights import load_part
from robustness.faults import pickles
from robustness.faults.case import ANYTHING, REFUSED, Case, require_finite
from robustness.faults.damage import Damage, damages, hostile
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds, small_network

_NAME = "weights.pth"


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    every = [*damages(seeds.read(_NAME), seeds.seed), *_pickles(seeds), *_contents(), *_tensors(), *_archives(seeds)]
    yield from file_cases("weights", _NAME, every, _load)
    yield from file_cases("weights of a pose network", _NAME, every[::3], _load_pose)
    yield from file_cases("publish_model", _NAME, every[::2], _publish, tool="publish_model.py: error: ")
    few = [*hostile(seeds.read(_NAME), seeds.seed)[::6], *list(_pickles(seeds))[::10]]
    yield from file_cases("demo: weights", _NAME, few, _demo(seeds), tool="demo.py: error: ")


def _pickles(seeds: Seeds) -> Iterator[Damage]:
    """Alone, as torch's files were before 1.6, and inside an archive as they are now."""
    groups = (
        ("code in a pickle", pickles.with_code()),
        ("exhausting pickle", pickles.exhausting()),
        ("forged pickle", pickles.forged_arrays()),
    )
    for kind, group in groups:
        for name, code in group:
            yield Damage(kind, f"{name}, alone", _writes(code))
            yield Damage(kind, f"{name}, in an archive", _replaced(seeds, "data.pkl", code))


def _writes(content: bytes) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(content)


def _replaced(seeds: Seeds, member: str, content: bytes, compression: int = 0) -> Callable[[Path], None]:
    """The sound archive with one member's content changed."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(seeds.path(_NAME)) as sound, zipfile.ZipFile(path, "w", compression) as archive:
            for name in sound.namelist():
                archive.writestr(name, content if name.endswith(member) else sound.read(name))

    return write


def _saved(value: Any) -> Callable[[Path], int]:
    file = io.BytesIO()
    torch.save(value, file)
    return _writes(file.getvalue())


def _contents() -> Iterator[Damage]:
    sound = small_network().state_dict()
    for told, value in (
        ("an empty dict", {}),
        ("a list", [1, 2]),
        ("a tensor", torch.zeros(3)),
        ("None", None),
        ("a text", "text"),
        ("an empty state_dict", {"state_dict": {}}),
        ("a state_dict of text", {"state_dict": "text"}),
        ("a state_dict of numbers", {"state_dict": {"0.weight": 1.0}}),
        ("a state_dict of lists", {"state_dict": {"0.weight": [1.0, 2.0]}}),
        ("meta of text", {"state_dict": {"other": torch.zeros(1)}, "meta": "text"}),
        ("names that are numbers", {1: torch.zeros(3)}),
    ):
        yield Damage("wrong type", told, _saved(value), ANYTHING if told.startswith("meta") else REFUSED)
    yield Damage("key missing", "0.weight", _saved({k: v for k, v in sound.items() if k != "0.weight"}), ANYTHING)
    yield Damage("wrong shape", "0.weight turned", _saved({**sound, "0.weight": sound["0.weight"].mT}), ANYTHING)
    yield Damage("wrong type", "0.weight of complex numbers", _saved({**sound, "0.weight": sound["0.weight"] * 1j}))
    for value in (torch.nan, torch.inf):
        hit = sound["0.weight"].clone()
        hit[0, 0] = value
        yield Damage("NaN or infinite", f"0.weight with one {value}", _saved({**sound, "0.weight": hit}))


def _tensors() -> Iterator[Damage]:
    """Tensors whose size is not that of their numbers."""
    sound = small_network().state_dict()
    for told, tensor in (
        ("10^12 numbers that are one", torch.zeros(1).expand(10**12)),
        ("10^9 numbers that are one", torch.zeros(1).expand(10**9)),
        (
            "a sparse one of 10^12",
            torch.sparse_coo_tensor(torch.zeros(1, 1).long(), torch.ones(1), (10**12,)),
        ),
        ("on a device that is not there", torch.zeros(10**12, device="meta")),
        ("quantised", torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)),
    ):
        yield Damage("huge", told, _saved({**sound, "0.bias": tensor}))


def _archives(seeds: Seeds) -> Iterator[Damage]:
    bomb = bytes(1 << 28)
    yield Damage("zip bomb", "numbers of 256 MiB of zeros", _replaced(seeds, "data/0", bomb, zipfile.ZIP_DEFLATED))
    yield Damage("zip bomb", "a pickle of 256 MiB of zeros", _replaced(seeds, "data.pkl", bomb, zipfile.ZIP_DEFLATED))
    yield Damage("wrong type", "no numbers", _replaced(seeds, "data/0", b""))
    yield Damage("wrong type", "no byte order", _replaced(seeds, "byteorder", b"neither"))
    yield Damage("wrong type", "version 99", _replaced(seeds, "/version", b"99\n"), ANYTHING)
    yield Damage("wrong type", "an archive without members", lambda path: zipfile.ZipFile(path, "w").close())
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(small_network()), script)
    yield Damage("code in an archive", "a TorchScript program", _writes(script.getvalue()))


def _load(path: Path, out: Path) -> None:
    network = small_network()
    load_part(network, path)
    require_finite(network.state_dict().values())


def _load_pose(path: Path, out: Path) -> None:
    network = small_network()
    load_pose_weights(network, path)
    require_finite(network.state_dict().values())


def _publish(path: Path, out: Path) -> int:
    # the body is named, since the sound file does not tell it, of which the tool warns
    code = tool("publish_model").main([str(path), str(out / "published.pth"), "--body-model", STAND_IN])
    if code == 0:
        require_finite(torch.load(out / "published.pth", weights_only=True)["state_dict"].values())
    return code


def _demo(seeds: Seeds) -> Callable[[Path, Path], int]:
    config = str(Path(mion_plugin.__file__).parent / "models" / "mion_tiny" / "config.py")
    photo, keypoints = str(seeds.path("photo.jpg")), str(seeds.path("keypoints.json"))

    def enter(path: Path, out: Path) -> int:
        arguments = [photo, "--keypoints", keypoints, "--config", config, "--checkpoint", str(path), "--out", str(out)]
        return tool("demo").main(arguments)

    return enter

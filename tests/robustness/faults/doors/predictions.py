"""What ``tools/predict.py`` looks at, and what it finds in its output folder."""

from __future__ import annotations

import functools
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from mion_plugin.prediction import read_shard
from robustness.faults.arrays import writes_npz
from robustness.faults.case import ANYTHING, REFUSED, SAME, Case, WrongResultError, require_finite
from robustness.faults.damage import Damage, damages, hostile, no_files
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_TOOL = "predict.py: error: "
_LIST, _COCO, _TAR, _NOTE, _SHARD, _KEYPOINTS = (
    "list.txt",
    "people.json",
    "photos.tar",
    "settings.json",
    "000000.npz",
    "keypoints.json",
)

_TOLD = ("settings.json", "summary.json", "*.npz")  # what was skipped, and why


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    folder = seeds.path("album/photos")
    look = functools.partial(_predict, seeds)
    yield from file_cases("predict: list", _LIST, _lists(), look, beside=folder, tool=_TOOL, may_leave=_TOLD)
    annotations = hostile(seeds.read("keypoints.json"), seeds.seed)
    few = [damage for damage in annotations if damage.kind != "bits flipped"]
    yield from file_cases("predict: COCO file", _COCO, few, look, beside=folder, tool=_TOOL)
    tars = [*damages(_tar(seeds), seeds.seed, tolerant=True), *_members(seeds)]
    yield from file_cases("predict: tar", _TAR, tars, look, tool=_TOOL, may_leave=_TOLD)
    given = functools.partial(_with_keypoints, seeds)
    yield from file_cases("predict: keypoint file", _KEYPOINTS, few[::2], given, tool=_TOOL)
    for name, found in ((_NOTE, _notes()), (_SHARD, _shards())):
        enter = functools.partial(_go_on, seeds)
        yield from file_cases(
            "predict: output folder", name, found, enter, tool=_TOOL, mentions=("out",), may_leave=_TOLD
        )


def _predict(seeds: Seeds, path: Path, out: Path) -> int:
    keypoints = ["--keypoints", str(seeds.path("keypoints.json"))] if path.suffix != ".json" else []
    return _run([str(path), *keypoints], out)


def _with_keypoints(seeds: Seeds, path: Path, out: Path) -> int:
    return _run([str(seeds.path("album/photos")), "--keypoints", str(path)], out)


def _go_on(seeds: Seeds, path: Path, out: Path) -> int:
    """Into a folder that holds a damaged file already."""
    shutil.copytree(path.parent, out, dirs_exist_ok=True)
    return _run([str(seeds.path("album/photos")), "--keypoints", str(seeds.path("keypoints.json"))], out)


def _run(arguments: list[str], out: Path) -> int:
    options = ["--num-candidates", "2", "--workers", "0", "--device", "cpu"]
    code = tool("predict").main([*arguments, *options, "--out", str(out)])
    if code == 0:
        summary = json.loads((out / "summary.json").read_text())
        if not summary["people"] and not summary["skipped"]:
            raise WrongResultError("nobody, and nothing that was skipped")
        for path in out.glob("*.npz"):
            people = read_shard(path)
            if people is not None:
                require_finite((people.pose, people.betas, people.transl, people.crop))
    return code


def _lists() -> Iterator[Damage]:
    text = "photo.jpg\n"
    yield Damage("nothing", "nothing is wrong", _writes(text.encode()), SAME)
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        marked = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
        yield Damage("odd but legal", encoding, _writes(marked + text.encode(encoding)), SAME)
    yield Damage("odd but legal", "lines end as in Windows", _writes(b"photo.jpg\r\n\r\n"), SAME)
    yield Damage("empty", "no bytes", _writes(b""))
    yield Damage("empty", "blank lines", _writes(b"\n \n\t\n"))
    for told, content in (
        ("zeros", bytes(4096)),
        ("a missing photograph", b"photo.jpg\nother.jpg\n"),
        ("a Windows path", b"C:\\photos\\photo.jpg\n"),
        ("Latin-1", "h\u00f6he.jpg\n".encode("latin-1")),
        ("a name of 5,000 letters", b"n" * 5000 + b".jpg\n"),
        ("a folder", b"..\n"),
        ("/dev/zero", b"/dev/zero\n"),
        ("half of UTF-16", text.encode("utf-16")[:-1]),
        ("a JSON file", b'{"images": []}'),
    ):
        expected = REFUSED if told in ("zeros", "half of UTF-16") else ANYTHING
        yield Damage("wrong type", told, _writes(content), expected)
    yield from no_files(text.encode())


def _tar(seeds: Seeds, names: tuple[str, ...] = ("photo.jpg",), kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    content = seeds.read("photo.jpg")
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            member.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _members(seeds: Seeds) -> Iterator[Damage]:
    for name in ("../photo.jpg", "/photo.jpg", "a/../../photo.jpg", "C:\\photo.jpg", "a/photo.jpg"):
        yield Damage("path traversal", name, _writes(_tar(seeds, (name,))), ANYTHING)
    for told, kind in (("a symbolic link", tarfile.SYMTYPE), ("a hard link", tarfile.LNKTYPE)):
        yield Damage("wrong type", told, _writes(_tar(seeds, kind=kind)), ANYTHING)
    yield Damage("empty", "no members", _writes(_tar(seeds, ())), ANYTHING)
    yield Damage("wrong order", "one name twice", _writes(_tar(seeds, ("photo.jpg", "photo.jpg"))), ANYTHING)


def _notes() -> Iterator[Damage]:
    for told, content in (
        ("empty", b""),
        ("a list", b"[]"),
        ("an object", b"{}"),
        ("deep", b"[" * 100_000),
        ("not UTF-8", b"\xff\xfe\x00"),
        ("a number", b"3"),
    ):
        yield Damage("left by another", told, _writes(content))


def _shards() -> Iterator[Damage]:
    for told, content in (("empty", b""), ("zeros", bytes(100)), ("text", b"not an archive")):
        yield Damage("left by another", told, _writes(content))
    yield Damage("left by another", "other arrays", writes_npz({"a": [1]}))


def _writes(content: bytes) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(content)

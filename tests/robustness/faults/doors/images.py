"""Photographs and videos: read in Python, and given to the demo."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.inference import open_source
from robustness.faults.case import ANYTHING, REFUSED, SAME, Case, SkippedError, WrongResultError, require_equal
from robustness.faults.damage import Damage, damages
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_ERROR = "demo.py: error: "
_BOMB_SIDE = 30_000
_ODD_NAMES = (
    "fòtó 照片.jpg",
    "-rf.jpg",
    "a[1]*?.jpg",
    "%s%n{0}.jpg",
    "$(touch canary).jpg",
    "; touch canary;.jpg",
    "line\nbreak.jpg",
    "\x1b[31mred.jpg",
    "n" * 200 + ".jpg",
    os.fsdecode(b"not\xffutf8.jpg"),
    ".jpg.jpg",
    "[bold]markup[red].jpg",
)


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    for name in ("small.jpg", "small.png"):
        yield from file_cases("image", name, damages(seeds.read(name), seeds.seed, tolerant=True), _read)
    for suffix in ("bmp", "tif", "webp"):
        sound = seeds.read(f"small.{suffix}")
        yield from file_cases("image", f"small.{suffix}", _few(sound, seeds.seed), _read)
    yield from file_cases("image", "photo.png", _traps(seeds), _read)
    yield from file_cases("image", "photo.png", _odd(), _read_same)
    yield from file_cases("image", "photo.tif", _deep(), _read, same=_read_same)
    yield from _demo_cases(seeds)
    yield from _video_cases(seeds)


def _read(path: Path, out: Path) -> None:
    image = read_image(path)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise WrongResultError(f"an image of {image.dtype} {image.shape}")


def _read_same(path: Path, out: Path) -> None:
    require_equal(read_image(path), _picture())


def _picture() -> np.ndarray:
    """Black and white blocks: the same in every mode of colour."""
    return np.kron(np.indices((6, 8)).sum(axis=0) % 2, np.ones((8, 8)))[..., None].repeat(3, -1).astype(np.uint8) * 255


def _few(sound: bytes, seed: int) -> Iterator[Damage]:
    """A third of the damages."""
    yield from list(damages(sound, seed, tolerant=True))[::3]


def _png(width: int, height: int, data: bytes, bits: int = 8, color: int = 0, more: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + more + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _traps(seeds: Seeds) -> Iterator[Damage]:
    def written(content: bytes) -> Callable[[Path], int]:
        return lambda path: path.write_bytes(content)

    nothing = zlib.compress(b"")
    for width, height in ((100_000, 100_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (1, 2**31 - 1), (0, 0), (0, 5)):
        yield Damage("huge", f"a PNG of {width} x {height}", written(_png(width, height, nothing)))
    compressor = zlib.compressobj(9)
    zeros = b"".join(compressor.compress(bytes(_BOMB_SIDE // 8 + 1)) for _ in range(_BOMB_SIDE)) + compressor.flush()
    bomb = _png(_BOMB_SIDE, _BOMB_SIDE, zeros, bits=1)
    yield Damage("zip bomb", f"a PNG of {_BOMB_SIDE} x {_BOMB_SIDE} in {len(bomb) // 1000} kB", written(bomb))
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 28)))
    yield Damage("zip bomb", "a comment of 256 MiB", written(_png(8, 8, zlib.compress(bytes(72)), more=text)), ANYTHING)
    profile = _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 28)))
    yield Damage(
        "zip bomb", "a profile of 256 MiB", written(_png(8, 8, zlib.compress(bytes(72)), more=profile)), ANYTHING
    )
    yield Damage("huge", "a PNG whose chunk has 2^31 bytes", written(b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffIHDR"))
    yield Damage("forged header", "a PNG of colour type 9", written(_png(8, 8, nothing, color=9)))
    yield Damage("forged header", "a PNG of 99 bits", written(_png(8, 8, nothing, bits=99)))
    yield Damage("forged header", "a PNG without pixels", written(_png(8, 8, nothing)))
    yield Damage("forged header", "a GIF of 65535 x 65535", written(b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(64)))
    yield Damage(
        "forged header", "a TIFF whose directory is itself", written(b"II*\0\x08\0\0\0\x01\0" + b"\x08\0" * 40)
    )
    yield Damage("forged header", "a BMP of 2^31 - 1 rows", written(_bmp(64, 2**31 - 1)))
    yield Damage("forged header", "a JPEG of markers", written(b"\xff\xd8" + b"\xff\xe1\xff\xff" * 1000))
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file closefile\nshowpage\n%%EOF\n"
    yield Damage("code in an image", "a PostScript program", written(script))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield Damage("code in an image", "an SVG that names a file", written(svg))
    for name in ("video.mp4", "pool.npz", "keypoints.json", "weights.pth"):
        yield Damage("wrong type", f"our {name}", written(seeds.read(name)))


def _bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + header + bytes(64)


def _odd() -> Iterator[Damage]:
    """Legal images of other modes."""
    picture = Image.fromarray(_picture())
    for mode in ("1", "L", "P", "RGBA", "LA", "I;16", "CMYK", "RGB"):
        name = f"mode {mode}"
        if mode == "I;16":
            wide = Image.fromarray(_picture()[..., 0].astype(np.uint16) * 257)
            yield Damage("odd but legal", name, lambda path, wide=wide: wide.save(path), SAME)
        else:
            kind = "TIFF" if mode == "CMYK" else "PNG"
            yield Damage(
                "odd but legal", name, lambda path, m=mode, k=kind: picture.convert(m).save(path, format=k), SAME
            )
    for orientation in (0, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield Damage(
            "odd but legal", f"EXIF orientation {orientation}", lambda path, e=exif: picture.save(path, exif=e), SAME
        )
    broken = b"Exif\0\0ab"
    yield Damage("wrong type", "EXIF of random bytes", lambda path: picture.save(path, exif=broken))


def _deep() -> Iterator[Damage]:
    """Pictures whose white nothing tells, which Pillow would clip."""
    grey = np.linspace(0, 1, 48 * 64).reshape(48, 64)
    wide = (grey * (2**31 - 1)).astype(np.int32)
    for told, pixels in (
        ("whole numbers of 32 bits", wide),
        ("floats to 255", (grey * 255).astype(np.float32)),
        ("floats below 0", (grey - 0.5).astype(np.float32)),
        ("NaN", np.full((8, 8), np.nan, np.float32)),
        ("infinite floats", np.full((8, 8), np.inf, np.float32)),
    ):
        yield Damage("too deep", told, lambda path, p=pixels: Image.fromarray(p).save(path, format="TIFF"))
    floats = (_picture()[..., 0] / 255).astype(np.float32)
    yield Damage("too deep", "floats of 0 and 1", lambda path: Image.fromarray(floats).save(path, format="TIFF"), SAME)


def _demo_cases(seeds: Seeds) -> Iterator[Case]:
    sound = seeds.read("photo.jpg")
    options = {"tool": _ERROR}
    small = list(damages(sound, seeds.seed, tolerant=True))[::4]
    yield from file_cases("demo: image", "photo.jpg", small, _demo(seeds), **options)
    yield from file_cases(
        "demo: folder", "photos/broken.jpg", small, _demo_of_folder(seeds), beside=seeds.path("album"), **options
    )
    for name in _ODD_NAMES:
        yield Case(
            "demo: image", "odd name", ascii(name), lambda folder, n=name: _named(folder, sound, n), _detect,
            SAME, (name[:20],), _ERROR,
        )  # fmt: skip
    yield Case("demo: folder", "empty", "no image in it", _folder, _detect, REFUSED, ("photos",), _ERROR)
    yield Case("demo: image", "huge", "a picture of 6000 x 4 pixels", _strip, _detect, ANYTHING, ("strip",), _ERROR)


def _demo(seeds: Seeds) -> Callable[[Path, Path], int]:
    keypoints = str(seeds.path("keypoints.json"))
    return lambda path, out: tool("demo").main([str(path), "--keypoints", keypoints, "--out", str(out)])


def _demo_of_folder(seeds: Seeds) -> Callable[[Path, Path], int]:
    """A folder of which one image is damaged and the other sound."""
    keypoints = str(seeds.path("album.json"))
    return lambda path, out: tool("demo").main([str(path.parent), "--keypoints", keypoints, "--out", str(out)])


def _detect(path: Path, out: Path) -> int:
    """By the light detector, which needs no annotation by name."""
    return tool("demo").main([str(path), "--out", str(out)])


def _named(folder: Path, sound: bytes, name: str) -> Path:
    (folder / name).write_bytes(sound)
    return folder / name


def _folder(folder: Path) -> Path:
    (folder / "photos").mkdir()
    return folder / "photos"


def _strip(folder: Path) -> Path:
    Image.new("RGB", (6000, 4)).save(folder / "strip.png")
    return folder / "strip.png"


def _video_cases(seeds: Seeds) -> Iterator[Case]:
    sound = seeds.read("video.mp4")
    yield from file_cases("video", "video.mp4", damages(sound, seeds.seed, tolerant=True), _watch)
    few = list(damages(sound, seeds.seed, tolerant=True))[::5]
    keypoints = str(seeds.path("video.json"))
    yield from file_cases(
        "demo: video",
        "video.mp4",
        few,
        lambda path, out: tool("demo").main([str(path), "--keypoints", keypoints, "--out", str(out)]),
        tool=_ERROR,
        mentions=("video_0", "video.json"),
    )
    yield from file_cases("video", "video.avi", [Damage("wrong type", "a picture", _as_video, ANYTHING)], _watch)


def _as_video(path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())


def _watch(path: Path, out: Path) -> None:
    """Every frame; one that cannot be decoded is reported in its place."""
    problems = []
    for frame in open_source(str(path)).frames:
        if frame.pixels is None:
            problems.append(frame.problem)
        elif frame.pixels.dtype != np.uint8 or frame.pixels.shape[2:] != (3,):
            raise WrongResultError(f"a frame of {frame.pixels.dtype} {frame.pixels.shape}")
    if problems:
        raise SkippedError(problems[0])

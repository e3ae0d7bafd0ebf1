"""MP4 files changed as phones and screen recorders write them: turned, and with frames at uneven times."""

import struct
from fractions import Fraction

import numpy as np

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_ONE = 1 << 16  # 1.0 in a matrix of 16.16 bits
# the first four numbers of the track's matrix: turn the picture clockwise by so many degrees to show it
_TURNS = {0: (_ONE, 0, 0, _ONE), 90: (0, _ONE, -_ONE, 0), 180: (-_ONE, 0, 0, -_ONE), 270: (0, -_ONE, _ONE, 0)}


def write_clip(path, pictures, rate=10, sound=None, codec="mpeg4", seconds=1.0, oblong=None):
    """Write pictures (H, W, 3) as another program would: without any code of ours, the index behind the pictures.

    ``sound`` is the codec of a tone of 440 Hz beside them, ``oblong`` how wide a pixel is over its height.
    """
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if oblong is not None:
            video.codec_context.sample_aspect_ratio = Fraction(oblong)
        audio = container.add_stream(sound, rate=48000, layout="mono") if sound else None
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, 1 / Fraction(rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            for frame in _tone(audio, seconds):
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


def _tone(audio, seconds):
    import av

    wave = (20000 * np.sin(2 * np.pi * 440 * np.arange(int(48000 * seconds)) / 48000)).astype(np.int16)
    resampler = av.AudioResampler(format=audio.format.name, layout="mono", rate=48000)
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        yield from resampler.resample(frame)


def turn(path, degrees):
    """Let the file say that its picture is shown turned clockwise."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0: the matrix stands behind 40 bytes
    a, b, c, d = _TURNS[degrees]
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def time_frames(path, durations):
    """Give each frame its own duration, in the unit of the file's clock; the index must stand behind the pictures."""
    data = bytearray(path.read_bytes())
    assert data.index(b"mdat") < data.index(b"moov")
    start = data.index(b"stts") - 4
    (old,) = struct.unpack_from(">I", data, start)
    box = b"stts" + struct.pack(">II", 0, len(durations)) + b"".join(struct.pack(">II", 1, one) for one in durations)
    data[start : start + old] = struct.pack(">I", len(box) + 4) + box
    for name in _PATH:
        place = data.index(name, data.index(b"moov")) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(box) + 4 - old)
    for name in (b"mdhd", b"tkhd", b"mvhd", b"elst"):
        _lengthen(data, name, sum(durations))
    path.write_bytes(data)


def clock(path):
    """Units of the file's clock in a second."""
    data = path.read_bytes()
    return struct.unpack_from(">I", data, data.index(b"mdhd") + 4 + 12)[0]


def _lengthen(data, name, duration):
    """The duration that a box of version 0 tells; those of the film are in its own clock's units."""
    if name not in data:
        return
    place = data.index(name) + 4
    units, film = (struct.unpack_from(">I", data, data.index(box) + 4 + 12)[0] for box in (b"mdhd", b"mvhd"))
    offset = {b"mdhd": 16, b"mvhd": 16, b"tkhd": 20, b"elst": 8}[name]
    struct.pack_into(">I", data, place + offset, duration if name == b"mdhd" else duration * film // units)

"""MP4 files changed as phones and screen recorders write them: turned, and with frames at uneven times."""

import struct

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_ONE = 1 << 16  # 1.0 in a matrix of 16.16 bits
# the first four numbers of the track's matrix: turn the picture clockwise by so many degrees to show it
_TURNS = {0: (_ONE, 0, 0, _ONE), 90: (0, _ONE, -_ONE, 0), 180: (-_ONE, 0, 0, -_ONE), 270: (0, -_ONE, _ONE, 0)}


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

"""What is written, read by PyAV itself."""

import gc
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.video_files import write_clip

from mion_plugin.files import atomic_path
from mion_plugin.inference.frames import FramePeople
from mion_plugin.inference.sources import open_source
from mion_plugin.inference.video_results import write_video
from mion_plugin.inference.videos import VideoReader, VideoWriter

av = pytest.importorskip("av", reason="PyAV is not installed")
FRAMES = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)


def plain(*colors, size=(64, 48)):
    return [np.full((size[1], size[0], 3), color, np.uint8) for color in colors]


def greys(count):
    return plain(*(20 * index for index in range(count)))


def write(path):
    with atomic_path(path) as temporary, VideoWriter(temporary, 10.0, (64, 48), called=path) as writer:
        for frame in FRAMES:
            writer.write(frame)


def copy(source, path):
    """As the demo writes a video, without bodies."""
    frames = open_source(str(source))
    results = (FramePeople(frame) for frame in frames.frames)
    return write_video(results, path, frames.frame_rate, lambda result: result.frame.pixels, frames)


def test_it_is_what_browsers_play(tmp_path):
    write(tmp_path / "a.mp4")
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before all of it is there
    with av.open(str(tmp_path / "a.mp4")) as video:
        (stream,) = video.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.frames, len(list(video.decode(stream)))) == (12, 12)
        assert stream.duration * stream.time_base == Fraction(12, 10)


def test_a_name_that_looks_like_a_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("12:30.mp4"))
    assert len(list(open_source("12:30.mp4").frames)) == len(FRAMES)


def test_colors_come_back(tmp_path):
    colors = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (128, 128, 128)]
    with VideoWriter(tmp_path / "a.mp4", 10.0, (64, 48)) as writer:
        for picture in plain(*colors):
            writer.write(picture)
    for color, frame in zip(colors, VideoReader(tmp_path / "a.mp4"), strict=True):
        np.testing.assert_allclose(frame.mean((0, 1)), color, atol=4)


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (33, 21), (1, 1)])
def test_odd_sides_get_a_copy_of_the_last_row_or_column(tmp_path, size):
    with VideoWriter(tmp_path / "a.mp4", 10.0, size) as writer:
        writer.write(plain((200, 100, 50), size=size)[0])
    with av.open(str(tmp_path / "a.mp4")) as video:
        (frame,) = video.decode(video=0)
        assert (frame.width, frame.height) == tuple(side + side % 2 for side in size)
        np.testing.assert_allclose(frame.to_ndarray(format="rgb24")[-1, -1], (200, 100, 50), atol=5)


def test_uneven_times_are_kept(tmp_path):
    times = [Fraction(units, 600) for units in (0, 20, 40, 200, 210, 500, 1100)]
    with VideoWriter(tmp_path / "a.mp4", 4.0, (64, 48), Fraction(1, 600)) as writer:
        for picture, time in zip(greys(7), times, strict=True):
            writer.write(picture, float(time))
    with av.open(str(tmp_path / "a.mp4")) as video:
        stream = video.streams.video[0]
        assert [frame.pts * frame.time_base for frame in video.decode(stream)] == times
        assert stream.duration * stream.time_base >= times[-1]  # else players leave the end out


@pytest.mark.parametrize(("ending", "codec", "kept"), [("mp4", "aac", "aac"), ("mkv", "pcm_s16le", "aac")])
def test_the_sound_stays_with_the_pictures(tmp_path, ending, codec, kept):
    write_clip(tmp_path / f"a.{ending}", greys(10), sound=codec)
    copy(tmp_path / f"a.{ending}", tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as video:
        stream = video.streams.audio[0]
        frames = list(video.decode(stream))
        assert stream.codec_context.name == kept
    wave = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in frames])
    assert len(wave) / 48000 == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.fft.rfft(wave)).argmax() * 48000 / len(wave) == pytest.approx(440, abs=2)
    assert [frame.mean() for frame in VideoReader(tmp_path / "b.mp4")] == pytest.approx(
        [20 * index for index in range(10)], abs=3
    )


def test_sound_ends_with_the_pictures(tmp_path):
    write_clip(tmp_path / "a.mp4", greys(5), sound="aac", seconds=3.0)
    copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as video:
        stream = video.streams.audio[0]
        assert 0.45 < stream.duration * stream.time_base < 0.6


def test_a_file_that_names_others_is_no_video(tmp_path):
    """A list of files, which FFmpeg would open."""
    write(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'a.mp4'}'\n")
    (tmp_path / "c.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{tmp_path / 'a.mp4'}\n")
    for name in ("b.mp4", "c.mp4"):
        with pytest.raises(ValueError, match=rf"video \S+{name} cannot be read"):
            VideoReader(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.rate, silence.pts = 48000, 0
        container.mux([*stream.encode(silence), *stream.encode(None)])
    with pytest.raises(ValueError, match=r"a\.mp4 cannot be read: no pictures in it"):
        VideoReader(tmp_path / "a.mp4")


def test_another_size(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10.0, (64, 48)) as writer:
        writer.write(FRAMES[0])
        with pytest.raises(ValueError, match="a frame of 32 x 48 pixels in a video of 64 x 48"):
            writer.write(FRAMES[0][:, :32])


# A process of its own: a fork of this one may find a lock taken by a thread that it does not have.
LITTLE_ROOM = """
import resource
import sys

import numpy as np

from mion_plugin.files import atomic_path
from mion_plugin.inference.videos import VideoWriter

resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
path, noise = sys.argv[1], np.random.default_rng(0)
with atomic_path(path) as temporary, VideoWriter(temporary, 10.0, (64, 48), called=path) as writer:
    for _ in range(12):
        writer.write(noise.integers(0, 256, (48, 64, 3), dtype=np.uint8))
"""


def test_a_full_disk_is_told_with_the_files_own_name(tmp_path):
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", LITTLE_ROOM, str(tmp_path / "out" / "a.mp4")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("OSError")
    assert "out/a.mp4" in last
    assert "File too large" in last
    assert not list((tmp_path / "out").iterdir())


def test_a_video_that_was_read_keeps_no_frames_and_no_threads(tmp_path):
    """Threads of a decoder or frame that wait for Python's collector would hang a process that is forked from here."""

    def num_threads():
        return len(os.listdir("/proc/self/task"))

    write(tmp_path / "a.mp4")
    gc.collect()
    before, reading = num_threads(), []
    gc.disable()
    try:
        reader = VideoReader(tmp_path / "a.mp4")
        reading = [num_threads() for frame in reader if frame is not None]
        reader.close()
        del reader
        after = num_threads()
    finally:
        gc.enable()
    assert len(reading) == len(FRAMES)
    assert reading[-1] == reading[0] > before  # as many for the last frame as for the first
    assert after == before

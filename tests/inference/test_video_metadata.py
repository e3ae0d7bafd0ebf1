"""What a video file says of itself is obeyed: rotation, time stamps, rate."""

import numpy as np
import pytest
from PIL import Image
from support.video_files import clock, time_frames, turn, write_clip

from mion_plugin.inference import open_source
from mion_plugin.inference.frame_lines import describe_frame
from mion_plugin.inference.frames import FramePeople
from mion_plugin.inference.videos import VideoReader, VideoWriter

pytest.importorskip("av", reason="PyAV is not installed")
COUNT, SIZE = 6, (64, 48)


def picture():
    """Four plain quarters, all different."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for number, color in enumerate(((250, 20, 20), (20, 250, 20), (20, 20, 250), (240, 240, 240))):
        row, column = divmod(number, 2)
        pixels[24 * row : 24 * row + 24, 32 * column : 32 * column + 32] = color
    return pixels


@pytest.fixture
def clip(tmp_path):
    write_clip(tmp_path / "clip.mp4", [picture()] * COUNT)
    return tmp_path / "clip.mp4"


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pictures_stand_upright(clip, degrees):
    turn(clip, degrees)
    frames = list(open_source(str(clip)).frames)
    assert len(frames) == COUNT
    expected = np.rot90(picture(), -degrees // 90)  # numpy turns the other way
    for frame in frames:
        assert frame.pixels.shape == expected.shape
        error = np.abs(frame.pixels.astype(int) - expected)
        assert np.median(error) <= 6  # lossy
        assert (error > 60).mean() < 0.05  # along the edges


@pytest.mark.parametrize("durations", [(1, 1, 4, 1, 2, 1), (10, 1, 1, 1, 1, 1), (3, 3, 3, 3, 3, 3)])
def test_frames_have_the_times_of_the_file(clip, durations):
    units = clock(clip) // 10
    time_frames(clip, [units * one for one in durations])
    source = open_source(str(clip))
    frames = list(source.frames)
    times = [describe_frame(FramePeople(frame), source.frame_rate)["time"] for frame in frames]
    np.testing.assert_allclose(times, np.cumsum([0, *durations[:-1]]) / 10, atol=1e-3)
    assert source.frame_rate == pytest.approx(10 * COUNT / sum(durations), rel=0.02)


@pytest.mark.parametrize("rate", [239.863, 1000 / 3, 59.94006, 29.97003, 23.976, 12.5, 119.88, 960.0, 65.536, 7.25])
def test_any_rate_can_be_written_and_is_read(tmp_path, rate):
    with VideoWriter(tmp_path / "a.mp4", rate, SIZE) as writer:
        for _ in range(3):
            writer.write(picture())
    assert VideoReader(tmp_path / "a.mp4").frame_rate == pytest.approx(rate, rel=1e-4)


def test_what_a_cut_leaves_out_is_not_counted(tmp_path):
    """A player's cut without coding anew: the pictures before it stay in the file, and are not to be shown."""
    import av

    write_clip(tmp_path / "whole.mp4", [picture()] * 3 * COUNT)
    with (
        av.open(str(tmp_path / "whole.mp4")) as whole,
        av.open(str(tmp_path / "cut.mp4"), "w", options={"avoid_negative_ts": "disabled"}) as cut,
    ):
        stream = cut.add_stream_from_template(whole.streams.video[0])
        begin = round(2 * COUNT / whole.streams.video[0].average_rate / whole.streams.video[0].time_base)
        for packet in whole.demux(whole.streams.video[0]):
            if packet.size:
                packet.stream, packet.pts, packet.dts = stream, packet.pts - begin, packet.dts - begin
                cut.mux(packet)
    source = open_source(str(tmp_path / "cut.mp4"))
    frames = list(source.frames)
    assert source.count == len(frames) == COUNT
    assert not any(frame.problem for frame in frames)
    assert VideoReader(tmp_path / "cut.mp4").num_frames == 3 * COUNT


@pytest.mark.parametrize(("oblong", "expected"), [("4/3", 64), ("8/9", 57), (None, 64), ("50/1", 64)])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_pixels_are_square(tmp_path, oblong, expected, ending):
    """Camcorders and DVDs store fewer columns than are shown."""
    stored = Image.fromarray(picture()).resize((48, 48)) if oblong == "4/3" else Image.fromarray(picture())
    write_clip(tmp_path / f"clip.{ending}", [np.asarray(stored)] * 2, oblong=oblong)
    first, second = open_source(str(tmp_path / f"clip.{ending}")).frames
    assert first.pixels.shape == second.pixels.shape == (48, expected, 3)
    shown = np.asarray(Image.fromarray(picture()).resize((expected, 48)))
    assert np.median(np.abs(first.pixels.astype(int) - shown)) <= 6


def test_a_turned_clip_of_oblong_pixels(tmp_path):
    write_clip(tmp_path / "clip.mp4", [picture()] * 2, oblong="2/1")
    turn(tmp_path / "clip.mp4", 90)
    assert next(iter(open_source(str(tmp_path / "clip.mp4")).frames)).pixels.shape == (128, 48, 3)


def test_a_phone_that_is_turned_in_a_call(tmp_path):
    """Upright pictures after ones that lie keep their shape, in the middle of black."""
    parts = []
    for shown in (picture(), picture().swapaxes(0, 1)):
        write_clip(tmp_path / "part.ts", [shown] * 3, codec="mpeg2video", rate=25)
        parts.append((tmp_path / "part.ts").read_bytes())
    (tmp_path / "clip.ts").write_bytes(b"".join(parts))
    last = list(open_source(str(tmp_path / "clip.ts")).frames)[-1].pixels.astype(int)
    assert last.shape == (48, 64, 3)
    upright = np.asarray(Image.fromarray(picture().swapaxes(0, 1)).resize((36, 48)))
    assert np.median(np.abs(last[:, 14:50] - upright)) <= 8
    assert not last[:, :14].any()
    assert not last[:, 50:].any()


@pytest.mark.parametrize("ending", ["mts", "m2ts", "ts"])
def test_a_broadcast_whose_size_changes(tmp_path, ending):
    """And the endings of camcorders and receivers are a video's."""
    parts = []
    for step in (1, 2):
        write_clip(tmp_path / "part.ts", [picture()[::step, ::step]] * 3, codec="mpeg2video", rate=25)
        parts.append((tmp_path / "part.ts").read_bytes())
    (tmp_path / f"clip.{ending}").write_bytes(b"".join(parts))
    frames = list(open_source(str(tmp_path / f"clip.{ending}")).frames)
    assert [frame.pixels.shape for frame in frames] == [(48, 64, 3)] * len(frames)
    assert len(frames) >= 5
    assert np.median(np.abs(frames[-1].pixels.astype(int) - picture())) <= 8

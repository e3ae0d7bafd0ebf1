import numpy as np
import pytest
from PIL import Image

from mion_plugin.inference import ffmpeg, open_source
from mion_plugin.inference.videos import VideoReader, VideoWriter


def picture(value, size=(48, 64)):
    """A plain colour with a bright left half: flips, rotations and swapped channels show."""
    pixels = np.full((*size, 3), (value, 40, 10), np.uint8)
    pixels[:, : size[1] // 2] += 60
    return pixels


@pytest.fixture
def folder(tmp_path):
    for name, value in (("b.png", 20), ("a.jpg", 10), ("sub/c.png", 30)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(value)).save(path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.png").write_text("no image either")
    return tmp_path


@pytest.fixture
def clip(tmp_path):
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "clip.mp4", 12.5, (64, 48)) as writer:
        for frame in range(10):
            writer.write(picture(10 * frame))
    return tmp_path / "clip.mp4"


class TestPhotographs:
    def test_a_file(self, folder):
        source = open_source(str(folder / "b.png"))
        assert (source.name, source.count, source.frame_rate, source.single) == ("b", 1, None, True)
        (frame,) = source.frames
        assert (frame.index, frame.name, frame.problem) == (0, "b.png", "")
        np.testing.assert_array_equal(frame.pixels, picture(20))

    def test_a_folder_with_a_broken_one(self, folder):
        source = open_source(str(folder))
        assert (source.name, source.count, source.single) == (folder.name, 3, False)
        frames = list(source.frames)
        assert [frame.name for frame in frames] == ["a.jpg", "b.png", "broken.png"]
        assert frames[2].pixels is None
        assert "broken.png cannot be read" in frames[2].problem

    def test_globs(self, folder):
        assert [frame.name for frame in open_source(str(folder / "*")).frames] == ["a.jpg", "b.png", "broken.png"]
        assert [frame.name for frame in open_source(str(folder / "**/[bc].png")).frames] == ["b.png", "sub/c.png"]

    def test_a_file_whose_name_looks_like_a_glob_or_a_webcam(self, folder, monkeypatch):
        Image.fromarray(picture(1)).save(folder / "x[1].png")
        assert open_source(str(folder / "x[1].png")).single
        (folder / "7").write_bytes((folder / "b.png").read_bytes())
        monkeypatch.chdir(folder)
        assert [frame.name for frame in open_source("7").frames] == ["7"]

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("none.jpg", FileNotFoundError, r"none\.jpg does not exist; expected an image, folder, glob, video"),
            ("*.gif", FileNotFoundError, r"no image \(.*\) fits .*\*\.gif"),
            ("none.mp4", FileNotFoundError, r"video .*none\.mp4 does not exist"),
            ("empty", ValueError, "holds no images"),
        ],
    )
    def test_nothing_there(self, folder, text, error, message):
        (folder / "empty").mkdir()
        with pytest.raises(error, match=message):
            open_source(str(folder / text))


class TestVideos:
    def test_what_was_written_is_read(self, clip):
        source = open_source(str(clip))
        assert (source.name, source.count, source.frame_rate, source.live) == ("clip", 10, 12.5, False)
        frames = list(source.frames)
        assert [frame.index for frame in frames] == list(range(10))
        assert frames[3].name == "clip_000003.jpg"
        for frame in frames:  # lossy
            np.testing.assert_allclose(frame.pixels[4:-4, 4:28], picture(10 * frame.index)[4:-4, 4:28], atol=12)
            np.testing.assert_allclose(frame.pixels[4:-4, 36:-4], picture(10 * frame.index)[4:-4, 36:-4], atol=12)

    @pytest.mark.parametrize("emptied", [True, False])
    def test_a_file_that_ends_early(self, clip, emptied):
        """Its index, which stands at the beginning, still tells of the frames that were cut out."""
        content = clip.read_bytes()
        end = content.index(b"mdat") + (len(content) - content.index(b"mdat")) * 9 // 10
        clip.write_bytes(content[:end] + (bytes(len(content) - end) if emptied else b""))
        frames = list(open_source(str(clip)).frames)
        assert frames[0].pixels is not None
        assert all(
            frame.pixels is not None or f" of {clip.name} cannot be decoded" in frame.problem for frame in frames
        )
        assert any(frame.pixels is None for frame in frames)
        assert len(frames) <= 11

    @pytest.mark.parametrize("content", [b"", b"no video", None])
    def test_not_a_video(self, clip, content):
        clip.write_bytes(clip.read_bytes()[:200] if content is None else content)
        with pytest.raises(ValueError, match=r"clip\.mp4 (cannot be read|is not a readable video: it is empty)"):
            open_source(str(clip))

    def test_no_such_webcam(self, monkeypatch, tmp_path):
        pytest.importorskip("av")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ValueError, match="webcam 97 cannot be opened"):
            open_source("97")

    def test_frames_of_another_size(self, clip, tmp_path):
        message = "a frame of 48 x 64 pixels in a video of 64 x 48"
        with VideoWriter(tmp_path / "b.mp4", 10.0, (64, 48)) as writer, pytest.raises(ValueError, match=message):
            writer.write(picture(0, (64, 48)))

    def test_a_folder_that_is_not_there(self, clip, tmp_path):
        with pytest.raises(OSError, match="cannot be written"):
            VideoWriter(tmp_path / "none" / "b.mp4", 10.0, (64, 48))

    def test_without_pyav(self, clip, monkeypatch):
        ffmpeg.pyav.cache_clear()
        monkeypatch.setitem(__import__("sys").modules, "av", None)
        with pytest.raises(ImportError, match=r"videos need PyAV .*: pip install 'mion-plugin\[video\]'"):
            VideoReader(clip)

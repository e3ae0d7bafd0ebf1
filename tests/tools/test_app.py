"""tools/app.py in a real browser, as a user sees it; and what of it needs no browser."""

from __future__ import annotations

import io
import json
import signal
import socket
import sys

import app as tool
import demos
import numpy as np
import pytest
from commands.app import SILENT, check_address, past_proxies
from demos.uploads import MAX_SIDE, read_upload
from PIL import Image
from support.web_page import Visitor

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import PHOTO
from mion_plugin.detection.mediapipe_detector import MediaPipeDetector
from mion_plugin.inference import MIONInferencer
from mion_plugin.models import load_model_config

pytest.importorskip("gradio", reason="gradio is not installed: pip install 'mion-plugin[app]'")
pytest.importorskip("mediapipe")

NUM_PATHS = 3  # of the page; see conftest.py


@pytest.fixture(scope="module")
def visitor(browser, server):
    return Visitor.open(browser, server.url)


@pytest.fixture(scope="module")
def uploaded(visitor):
    """A page with the results of the demo's photograph, whose people the detector finds."""
    visitor.upload(PHOTO)
    visitor.wait_for_results()
    return visitor


@pytest.fixture(scope="module")
def expected():
    """What the Python interface finds."""
    config = load_model_config()
    config.model.num_candidates = NUM_PATHS
    people = MediaPipeDetector()(read_image(PHOTO))
    return MIONInferencer(config, device="cpu")(PHOTO, keypoints2d=people)["predictions"][0][0]


def test_the_overlay_is_the_photograph_with_a_body(uploaded):
    source = uploaded.page.locator("#overlay img").get_attribute("src")
    overlay = np.asarray(Image.open(io.BytesIO(uploaded.page.request.get(source).body()))).astype(int)
    photograph = read_image(PHOTO)
    assert overlay.shape == photograph.shape
    assert uploaded.page.locator("#overlay img").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [
        photograph.shape[1],
        photograph.shape[0],
    ]
    changed = np.abs(overlay - photograph).max(axis=-1) > 40
    assert changed[150:350, 350:450].mean() > 0.2  # the skier
    assert changed[:, :200].mean() < 0.01


def test_paths_and_scores_are_those_of_the_inferencer(uploaded, expected):
    paths, rows = expected.describe()["paths"], uploaded.table()
    order = np.argsort(expected.selection_scores).tolist()
    assert [row[0] for row in rows] == [f"{order[0] + 1}, chosen", *(str(path + 1) for path in order[1:])]
    for row, path in zip(rows, order, strict=True):
        assert row[1] == expected.score_text(path)
        assert row[1].endswith(" mm")
        keys = ("reprojection_rms_px", "distance_to_selected_mm")
        shown, found = [float(cell) for cell in row[2:]], [paths[path][key] for key in keys]
        assert shown == pytest.approx(found, rel=1e-2, abs=1e-3)
    assert uploaded.captions() == [f"{row[0]}: {row[1]}" for row in rows]
    assert uploaded.page.locator("#reason").inner_text().strip() == f"P{expected.reason[1:]}."
    assert uploaded.summary("found") == "1 person found"
    assert uploaded.page.locator("#pictures img").count() == NUM_PATHS


def test_the_body_turns_under_the_mouse(uploaded):
    canvas = uploaded.page.locator("#mesh canvas")
    canvas.scroll_into_view_if_needed()
    pictures = [wait_for_body(uploaded.page, canvas)]
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    uploaded.page.mouse.move(x, y)
    uploaded.page.mouse.down()
    uploaded.page.mouse.move(x + 120, y, steps=8)
    uploaded.page.mouse.up()
    uploaded.page.wait_for_timeout(500)
    pictures.append(wait_for_body(uploaded.page, canvas))
    assert (np.abs(pictures[0] - pictures[1]).max(axis=-1) > 30).mean() > 0.02


def wait_for_body(page, canvas):
    """The canvas (H, W, 3), once there is something on its ground."""
    for _ in range(100):
        picture = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(int)
        if (np.abs(picture - picture[-20, 20]).max(axis=-1) > 30).mean() > 0.03:
            return picture
        page.wait_for_timeout(200)
    pytest.fail("the canvas shows nothing")


def test_another_path_in_3d(uploaded, expected):
    second = np.argsort(expected.selection_scores)[1]
    uploaded.page.locator("#pictures button").nth(1).click()
    uploaded.page.get_by_text(f"3D: path {second + 1}; drag to turn").wait_for()


def test_the_mesh_and_the_parameters_can_be_downloaded(uploaded, expected, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    chosen = expected.vertices[expected.selected] - expected.transl[expected.selected]
    for suffix in (".glb", ".obj"):
        path = uploaded.download(suffix, tmp_path)
        assert path.name == f"{PHOTO.stem}_person0{suffix}"
        loaded = trimesh.load(path, process=False, force="mesh")
        np.testing.assert_allclose(loaded.vertices, chosen * [1, -1, -1], atol=1e-3)
    with np.load(uploaded.download(".npz", tmp_path), allow_pickle=False) as arrays:
        assert set(arrays) == {*expected.arrays(), "gender"}
        np.testing.assert_allclose(arrays["pose"], expected.pose, atol=1e-3)


def test_nothing_is_asked_of_other_machines(uploaded, server):
    asked = {address for address in uploaded.requests if not address.startswith(("data:", "blob:"))}
    assert len(asked) > 10
    assert [address for address in asked if not address.startswith(server.url)] == []
    assert uploaded.faults == []


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "<b>text.jpg").write_text("not an image")
    (folder / "cut.jpg").write_bytes(PHOTO.read_bytes()[:40_000])
    (folder / "empty.png").write_bytes(b"")
    Image.new("RGB", (8, 8)).save(folder / "drawing.eps")  # a program, in PostScript
    Image.new("RGB", (320, 200), (120, 130, 90)).save(folder / "meadow.png")
    Image.new("1", (MAX_SIDE + 1, 3)).save(folder / "wide.png")
    Image.new("1", (40_000, 40_000)).save(folder / "bomb.png")  # a few kilobytes
    return folder


BAD = {
    "<b>text.jpg": "text.jpg is not an image that can be read; expected JPEG, PNG, WebP, TIFF or BMP",
    "cut.jpg": "cut.jpg is damaged: image file is truncated",
    "empty.png": "empty.png is not an image that can be read",
    "drawing.eps": "drawing.eps is not an image that can be read",
    "wide.png": "wide.png has 10001 x 3 pixels; expected at most 10000 a side",
    "bomb.png": "bomb.png is too large; expected at most 10000 pixels a side",
}
NOT_SHOWN = (
    "bomb.png",
    "drawing.eps",
)  # the browser would decode the one, too, and the page takes no other as an image


def test_bad_photographs_end_in_a_message(uploaded, bad):
    """Comes after the tests of the results, which it clears."""
    shown = {name: message for name, message in BAD.items() if name not in NOT_SHOWN}
    for name, message in {**shown, "meadow.png": "meadow.png: nobody was found in it"}.items():
        uploaded.upload(bad / name)
        said = uploaded.summary(message)
        assert said.startswith("Nobody found." if name == "meadow.png" else "This photograph cannot be used.")
        assert uploaded.error_boxes() == 0  # one message, and no red boxes beside it
        assert uploaded.page.locator("#overlay img").count() == 0  # not that of the photograph before
        for part in ("rows", "overlay", "mesh"):
            assert not uploaded.page.locator(f"#{part}").is_visible(), part


@pytest.mark.parametrize("name", BAD)
def test_reading_bad_photographs(bad, name):
    with pytest.raises(ValueError, match=r"expected|damaged") as error:
        read_upload(bad / name, name)
    assert BAD[name] in str(error.value)
    assert str(bad) not in str(error.value)


def test_the_example_and_several_people(browser, server, tmp_path):
    visitor = Visitor.open(browser, server.url)
    visitor.page.locator("#example button, #example img").first.click()
    visitor.wait_for_results()
    assert len(visitor.captions()) == NUM_PATHS
    assert not visitor.page.locator("#person").is_visible()
    skier = read_image(PHOTO)[:, 200:]
    Image.fromarray(np.hstack([skier, skier])).save(tmp_path / "two.png")
    visitor.upload(tmp_path / "two.png")
    visitor.page.locator("#files a[download='two_person0.glb']").wait_for()
    visitor.page.locator("#person label").nth(1).click()
    visitor.page.locator("#files a[download='two_person1.glb']").wait_for()
    assert visitor.page.locator("#person label").count() == 2
    assert visitor.summary("found") == "2 people found"
    assert visitor.download("_person1.glb", tmp_path).stat().st_size > 100_000
    before = visitor.page.locator("#overlay img").get_attribute("src")
    visitor.page.locator("#gender label").filter(has_text="female").click()
    visitor.page.wait_for_function("src => document.querySelector('#overlay img').src !== src", arg=before)
    genders = {1: "female", 0: "neutral"}  # the other one keeps his
    for number, gender in genders.items():
        visitor.page.locator("#person label").nth(number).click()
        visitor.page.locator(f"#files a[download='two_person{number}.glb']").wait_for()
        visitor.page.wait_for_function(f"document.querySelector('#gender input:checked').value === '{gender}'")
        described = json.loads(visitor.download(f"_person{number}.json", tmp_path).read_text())
        assert (described["gender"], described["num_people"]) == (gender, 2)
    assert visitor.error_boxes() == 0


def test_on_a_phone_everything_is_below_each_other(browser, server):
    visitor = Visitor.open(browser, server.url, width=390, height=844)
    visitor.page.locator("#example button, #example img").first.click()
    visitor.wait_for_results()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = {
        name: visitor.page.locator(f"#{name}").bounding_box() for name in ("photograph", "overlay", "mesh", "pictures")
    }
    for name, box in boxes.items():
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= 390, name
    tops = [box["y"] for box in boxes.values()]
    assert tops == sorted(tops)
    assert boxes["overlay"]["width"] > 300


def test_a_video_on_a_phone(browser, server, tmp_path):
    visitor = Visitor.open(browser, server.url, width=390, height=844)
    page = visitor.page
    page.get_by_role("tab", name="Video").click()
    (tmp_path / "text.mp4").write_text("no video")
    page.set_input_files("#video input[type=file]", tmp_path / "text.mp4")
    said = page.locator("#video_summary").filter(has_text="cannot be used")
    said.wait_for()
    assert said.inner_text().startswith("This video cannot be used. video text.mp4 cannot be read")
    assert visitor.error_boxes() == 0
    assert not page.locator("#video_overlay").is_visible()
    page.locator("#video_example").click()
    page.wait_for_selector("#video_files a")
    assert page.locator("#video_summary").inner_text().strip() == "1 person found in 16 pictures"
    page.wait_for_function("document.querySelector('#video_overlay video')?.videoWidth > 0")
    playing = "(() => {const v = document.querySelector('#video_overlay video'); return [v.videoWidth, v.duration]})()"
    assert page.evaluate(playing) == [400, 2]
    names = page.locator("#video_files a").evaluate_all("links => links.map(link => link.download)")
    motion = [f"pan_person0_motion.{ending}" for ending in ("npz", "bvh", "glb", "csv")]
    assert names == ["pan_overlay.mp4", *motion, "pan.jsonl"]
    with page.expect_download() as download:
        page.locator("#video_files a[download='pan.jsonl']").click()
    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(16))
    for name in ("video", "video_overlay", "video_files"):
        box = page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= 390, name
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visitor.faults == []


def test_captions_cover_no_feet(uploaded, visitor, browser, server):
    """The caption lies on the white band beneath a picture."""
    page = Visitor.open(browser, server.url)
    page.page.locator("#example button, #example img").first.click()
    page.wait_for_results()
    for index in range(NUM_PATHS):
        picture = page.page.locator("#pictures img").nth(index).bounding_box()
        caption = page.page.locator("#pictures .caption-label").nth(index).bounding_box()
        height = picture["width"] * (2 * 320 + 56) / 320  # as drawn, within the thumbnail
        bottom = picture["y"] + picture["height"] / 2 + min(height, picture["height"]) / 2
        band = 56 / (2 * 320 + 56) * min(height, picture["height"])
        assert caption["y"] >= bottom - band - 2


def test_its_files_are_gone_when_it_ends(server):
    """Comes last: it ends the server."""
    assert list(server.folder.glob("mion_app_*/**/*.glb"))
    assert server.stop() == 0
    assert not list(server.folder.iterdir())


@pytest.fixture(autouse=True)
def same_environment(monkeypatch):
    """Let what the tool sets for itself end with the test."""
    for name in (*SILENT, "GRADIO_TEMP_DIR", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_proxies_that_are_to_be_passed_by_stay(monkeypatch):
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "example.org,localhost")
    expected = "example.org,localhost,127.0.0.1,0.0.0.0"
    assert past_proxies("0.0.0.0") == {"no_proxy": expected, "NO_PROXY": expected}


def test_a_port_that_is_taken_is_said_before_a_model_is_loaded(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert tool.main([f"--port={port}", "--checkpoint=never_read.pth"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    expected = f"cannot serve at 127.0.0.1, port {port} (Address already in use): see --port and --host"
    assert line == f"app.py: error: {expected}"


def test_a_name_without_an_address_is_said():
    with pytest.raises(OSError, match=r"cannot serve at nobody\.invalid, port 7860 \(.*\): see --port and --host"):
        check_address("nobody.invalid", 7860)


@pytest.fixture
def no_gradio(monkeypatch):
    monkeypatch.delitem(sys.modules, "demos.page", raising=False)
    monkeypatch.delattr(demos, "page", raising=False)  # `from demos import page` takes it from there first
    monkeypatch.setitem(sys.modules, "gradio", None)


def test_without_gradio_one_line_names_the_extra(no_gradio, capsys):
    assert tool.main([]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("app.py: error: the web page needs gradio")
    assert line.endswith("pip install 'mion-plugin[app]'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "0"], "--port is 0, expected 1 to 65535"),
        (["--checkpoint", "a.pth"], "--checkpoint a.pth needs --config"),
        (["--config", "none.py"], "config none.py does not exist"),
        (["--keypoints", "none.json"], "keypoint file none.json does not exist"),
        (["--num-candidates", "0"], "num_candidates is 0"),
    ],
)
def test_bad_options_end_with_one_line(arguments, message, capsys):
    try:
        status = tool.main(arguments)
    except SystemExit as exit:  # of the parser
        status = exit.code
    assert status == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line

"""Keypoints and boxes dragged on the web page, in a real browser, by mouse, finger and keyboard."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from support.web_page import Visitor

from mion_plugin.body import SMPLBody
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import PHOTO
from mion_plugin.inference import Frame, find_in_file

pytest.importorskip("gradio", reason="gradio is not installed: pip install 'mion-plugin[app]'")
pytest.importorskip("mediapipe")

NUM_PATHS = 2  # of the page; see conftest.py
LEFT_WRIST, RIGHT_ANKLE = 9, 16  # of COCO's keypoints
DESKTOP, PHONE = (1280, 900), (390, 844)


@dataclass
class Hand:
    """What drags on a page: the mouse, or a finger where the screen feels it.

    Attributes:
        visitor: At the page, with the picture of the keypoints open.
        touch: Use a finger.
        folder: For downloads.
    """

    visitor: Visitor
    touch: bool
    folder: object

    @classmethod
    def at(cls, browser, server, photo, folder, size=DESKTOP, touch=False):
        visitor = Visitor.open(browser, server.url, *size, touch=touch)
        if photo is None:
            visitor.page.locator("#example button, #example img").first.click()
        else:
            visitor.upload(photo)
        visitor.wait_for_results()
        visitor.page.get_by_text("Wrong keypoints").click()
        visitor.page.locator("#keypoints svg").wait_for()
        return cls(visitor, touch, folder)

    @property
    def scale(self):
        """Pixels of the photograph in one of the screen."""
        return self._picture()[1]

    def _picture(self):
        """Where the photograph's first pixel is on the screen, how long a pixel of the screen is, and what is shown."""
        svg = self.visitor.page.locator("#keypoints svg")
        svg.evaluate(  # and until it is drawn there
            "svg => new Promise(done => { svg.scrollIntoView({block: 'center', behavior: 'instant'});"
            " requestAnimationFrame(() => requestAnimationFrame(done)); })"
        )
        shown = np.array(svg.get_attribute("viewBox").split(), float)
        box = svg.locator("image").bounding_box()
        lengths = shown[2:] / [box["width"], box["height"]]
        assert lengths[0] == pytest.approx(lengths[1], rel=2e-3)
        return np.array([box["x"], box["y"]]) - shown[:2] / lengths, lengths[0], shown

    def drag(self, start, end):
        """From one point of the photograph to another."""
        origin, length, _ = self._picture()
        points = [origin + np.asarray(point) / length for point in (start, end)]
        path = [points[0] + share * (points[1] - points[0]) for share in np.linspace(0, 1, 5)]
        if not self.touch:
            mouse = self.visitor.page.mouse
            mouse.move(*path[0])
            mouse.down()
            for point in path[1:]:
                mouse.move(*point)
            mouse.up()
            return
        session = self.visitor.page.context.new_cdp_session(self.visitor.page)
        for index, point in enumerate(path):
            kind = "touchStart" if index == 0 else "touchMove"
            touch = {"x": float(point[0]), "y": float(point[1])}
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [touch]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()

    def told(self, text):
        """Wait for a line."""
        self.visitor.page.locator("#told").filter(has_text=text).wait_for()

    def wait_until(self, said, change):
        """Let something happen, and wait until the files are those of other bodies."""
        page, file = self.visitor.page, "#files a[download$='.npz']"
        before = page.locator(file).get_attribute("href")
        change()
        self.told(said)
        page.wait_for_function(
            "([file, before]) => { const link = document.querySelector(file); return link && link.href !== before; }",
            arg=[file, before],
        )

    def handle(self, keypoint):
        """Where a keypoint is drawn, in pixels of the photograph, by its place on the screen."""
        origin, length, _ = self._picture()
        box = self.visitor.page.locator(f"#keypoints [data-keypoint='{keypoint}'] .dot").bounding_box()
        return (np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]) - origin) * length

    def keypoints(self, photo, number=0):
        """(17, 3) in the file of keypoints."""
        link = self.visitor.page.locator("#files a[download$='_keypoints.json']").get_attribute("href")
        file = self.folder / "keypoints.json"
        file.write_bytes(self.visitor.page.request.get(link).body())
        people = find_in_file(file)(Frame(0, photo.name, read_image(photo)))
        return people[number].keypoints2d

    def body(self):
        """(17, 2) where the chosen body's keypoints are, in pixels of the photograph."""
        described = json.loads(self.visitor.download("person0.json", self.folder).read_text())
        with np.load(self.visitor.download(".npz", self.folder)) as arrays:
            chosen = int(arrays["selected"])
            parts = [torch.from_numpy(arrays[name][chosen][None]) for name in ("pose", "betas", "transl")]
        points = SMPLBody().pose_keypoints(*parts, "coco")[0].double().numpy()
        centre, side = np.array(described["crop"]["center"]), described["crop"]["side"]
        length = side / described["image_size"]
        return centre + described["crop_camera"]["focal_length"] * length * points[:, :2] / points[:, 2:]

    def check(self):
        """Nothing went wrong on the page."""
        page = self.visitor.page
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        assert self.visitor.error_boxes() == 0
        assert self.visitor.faults == []
        page.close()


def portrait(folder):
    """The skier on a photograph that is higher than wide, and of other pixels."""
    path = folder / "portrait.png"
    Image.fromarray(read_image(PHOTO)[:, 270:540]).resize((810, 1275), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.parametrize(
    ("shape", "size", "touch", "whole"),
    [
        ("landscape", DESKTOP, False, False),
        ("portrait", PHONE, True, True),
    ],
)
def test_the_body_follows_the_keypoint_that_was_dragged(browser, server, tmp_path, shape, size, touch, whole):
    photo = PHOTO if shape == "landscape" else portrait(tmp_path)
    hand = Hand.at(browser, server, None if photo == PHOTO else photo, tmp_path, size, touch)
    if whole:
        hand.visitor.page.locator("#show label").nth(1).click()
        height, width = read_image(photo).shape[:2]
        hand.visitor.page.locator(f"#keypoints svg[viewBox='0 0 {width} {height}']").wait_for()
    box = hand.visitor.page.locator("#keypoints svg").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size[0]
    before, body = hand.keypoints(photo), hand.body()
    start = before[LEFT_WRIST, :2]
    np.testing.assert_allclose(hand.handle(LEFT_WRIST), start, atol=hand.scale)
    shift = np.array([-0.06, 0.1]) * 0.5 * np.ptp(before[before[:, 2] > 0, 1])
    hand.wait_until("found anew", lambda: hand.drag(start, start + shift))
    after, follower = hand.keypoints(photo), hand.body()
    np.testing.assert_allclose(after[LEFT_WRIST], [*(start + shift), 1.0], atol=hand.scale)
    np.testing.assert_allclose(hand.handle(LEFT_WRIST), after[LEFT_WRIST, :2], atol=hand.scale)
    others = np.arange(17) != LEFT_WRIST
    np.testing.assert_allclose(after[others], before[others], atol=1e-6)
    moved = follower - body
    assert np.linalg.norm(moved, axis=1).argmax() == LEFT_WRIST
    assert moved[LEFT_WRIST] @ shift > 0.3 * (shift @ shift)
    hand.check()


def test_a_thumb_takes_hold_beside_a_keypoint_or_scrolls_the_page(browser, server, tmp_path):
    hand = Hand.at(browser, server, None, tmp_path, PHONE, touch=True)
    _, _, shown = hand._picture()
    place, top = shown[:2] + shown[2:] * [0.93, 0.6], hand.visitor.page.evaluate("scrollY")
    hand.drag(place, place - [0, 0.5 * shown[3]])
    hand.visitor.page.wait_for_function("top => scrollY > top + 20", arg=top)
    # until the page has come to rest
    hand.visitor.page.wait_for_function("() => window.before === (window.before = scrollY)", polling=300)
    assert hand.visitor.page.locator("#told").inner_text().strip().endswith("Drag a keypoint to where it belongs.")
    start, shift = hand.keypoints(PHOTO)[RIGHT_ANKLE, :2], np.array([9, -12])
    beside = start + np.array([0, 14 * hand.scale])
    hand.wait_until("found anew", lambda: hand.drag(beside, beside + shift))
    np.testing.assert_allclose(hand.keypoints(PHOTO)[RIGHT_ANKLE], [*(start + shift), 1.0], atol=hand.scale)
    hand.check()


def test_drags_in_a_row_all_count_and_are_undone_one_by_one(browser, server, tmp_path):
    hand = Hand.at(browser, server, None, tmp_path)
    before, page = hand.keypoints(PHOTO), hand.visitor.page
    body = hand.body()
    ends = {keypoint: before[keypoint, :2] + [8, 11] for keypoint in (LEFT_WRIST, RIGHT_ANKLE)}
    for keypoint, end in ends.items():  # nobody waits
        hand.drag(before[keypoint, :2], end)
    hand.told("found anew, by these keypoints. Drag a keypoint to where it belongs. 2 changes so far.")
    page.wait_for_function("document.querySelectorAll('.generating, .wrap.translucent').length === 0")
    after = hand.keypoints(PHOTO)
    for keypoint, end in ends.items():
        np.testing.assert_allclose(after[keypoint], [*end, 1.0], atol=hand.scale)
    hand.wait_until("1 change so far", page.locator("#undo").click)
    np.testing.assert_allclose(hand.keypoints(PHOTO)[RIGHT_ANKLE], before[RIGHT_ANKLE])
    hand.wait_until("Drag a keypoint to where it belongs.", page.locator("#undo").click)
    np.testing.assert_allclose(hand.body(), body, atol=1e-3)
    hand.check()


def test_clicks_and_the_keyboard_move_keypoints_too(browser, server, tmp_path):
    hand = Hand.at(browser, server, None, tmp_path)
    page, before = hand.visitor.page, hand.keypoints(PHOTO)
    origin, length, shown = hand._picture()
    page.mouse.click(*(origin + before[LEFT_WRIST, :2] / length))
    hand.told("Left wrist: click where it is")
    wanted = before[LEFT_WRIST, :2] + [-20, 25]
    hand.wait_until("1 change so far", lambda: page.mouse.click(*(origin + wanted / length)))
    np.testing.assert_allclose(hand.keypoints(PHOTO)[LEFT_WRIST], [*wanted, 1.0], atol=length)
    ankle = page.locator(f"#keypoints [data-keypoint='{RIGHT_ANKLE}']")
    ankle.focus()
    hand.wait_until("2 changes so far", lambda: page.keyboard.press("Shift+ArrowLeft"))
    moved = before[RIGHT_ANKLE, :2] - [shown[2] / 40, 0]
    np.testing.assert_allclose(hand.keypoints(PHOTO)[RIGHT_ANKLE], [*moved, 1.0], atol=0.01)
    ankle.focus()  # downloads have it else
    hand.wait_until("3 changes so far", lambda: page.keyboard.press("Delete"))
    assert hand.keypoints(PHOTO)[RIGHT_ANKLE].tolist() == [0, 0, 0]
    page.locator("#absent").click()
    hand.told("Take a keypoint first")
    hand.check()


def box_of(hand):
    """Left, top, right, bottom in pixels of the photograph, by what the screen shows."""
    origin, length, _ = hand._picture()
    corners = hand.visitor.page.locator("#keypoints .corner .dot")
    boxes = [corners.nth(index).bounding_box() for index in range(4)]
    points = [np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]) for box in boxes]
    points = (np.array(points) - origin) * length
    np.testing.assert_allclose(points[[1, 3]], [[points[2, 0], points[0, 1]], [points[0, 0], points[2, 1]]], atol=0.5)
    return np.array([*points[0], *points[2]])


def test_a_corner_of_the_box_is_dragged_and_the_detector_looks_in_it(browser, server, tmp_path):
    hand = Hand.at(browser, server, None, tmp_path)
    page, before = hand.visitor.page, hand.keypoints(PHOTO)
    page.locator("#drags label").filter(has_text="box").click()
    hand.told("Drag a corner")
    box = box_of(hand)
    hand.wait_until("found anew", lambda: hand.drag(box[[2, 1]], box[[2, 1]] + [30, -15]))
    expected = box + np.array([0, -15, 30, 0])
    np.testing.assert_allclose(box_of(hand), expected, atol=1 + hand.scale)
    after = hand.keypoints(PHOTO)
    assert not np.allclose(after, before)
    both = (after[:, 2] > 0) & (before[:, 2] > 0)
    assert np.median(np.linalg.norm(after - before, axis=1)[both]) < 20
    hand.check()


def test_a_box_is_drawn_around_somebody_who_was_missed(browser, server, tmp_path):
    hand = Hand.at(browser, server, None, tmp_path, PHONE, touch=True)
    page = hand.visitor.page
    page.locator("#another").click()
    hand.told("Person 1. Draw a box around somebody.")
    hand.drag([10, 20], [120, 200])  # snow
    hand.told("The box: nobody was found in it")
    np.testing.assert_allclose(box_of(hand), [10, 20, 120, 200], atol=1 + hand.scale)
    hand.drag([250, 10], [540, 420])
    hand.told("Person 1. The bodies above are found anew")
    assert hand.visitor.summary("2 people") == "2 people found"
    page.locator("#files a[download$='_person1.npz']").wait_for()
    assert page.locator("#person label").count() == 2
    found, first = hand.keypoints(PHOTO, 1), hand.keypoints(PHOTO, 0)
    both = (found[:, 2] > 0) & (first[:, 2] > 0)
    assert np.median(np.linalg.norm(found - first, axis=1)[both]) < 20
    hand.check()

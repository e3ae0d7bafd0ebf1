"""tools/score.py as it is called; its scores are compared in tests/scoring."""

import json

import numpy as np
import pytest
import score as tool
from PIL import Image

from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.files.npz import write_npz
from mion_plugin.inference import MIONInferencer
from mion_plugin.models import load_model_config


@pytest.fixture(scope="module")
def found():
    """Three bodies of the skier."""
    config = load_model_config()
    config.model.num_candidates = 3
    return MIONInferencer(config, device="cpu")(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0]


@pytest.fixture
def project(found, tmp_path):
    """A folder with two copies of the photograph, bodies and keypoints of both, and the truth."""
    (tmp_path / "photos").mkdir()
    names = np.array(["a.jpg", "b.jpg"])
    for name in names:
        (tmp_path / "photos" / name).write_bytes(PHOTO.read_bytes())
    camera = found.crop_camera_in_image
    known = {
        "image_name": names,
        "person": np.array([0, 0]),
        "pose": np.stack([found.axis_angle()] * 2),
        "betas": np.stack([found.betas] * 2),
    }
    placed = {
        "keypoints2d": np.stack([found.keypoints2d] * 2),
        "transl": np.stack([found.transl] * 2),
        "focal_length": np.full(2, camera.focal_length),
        "principal_point": np.tile(camera.principal_point, (2, 1)),
    }
    write_npz(tmp_path / "bodies.npz", {**known, **placed})
    write_npz(tmp_path / "truth.npz", {name: v[:, 1] if v.ndim > 2 else v for name, v in known.items()})
    return tmp_path


def run(project, *arguments):
    bodies = ["--bodies", str(project / "bodies.npz")]
    return tool.main([*bodies, "--device", "cpu", "--out", str(project / "out"), *map(str, arguments)])


def test_the_truth_of_somebody_else_leaves_no_scores(project, capsys):
    with np.load(project / "truth.npz") as file:
        truth = {**file, "image_name": np.array(["c.jpg", "d.jpg"])}
    write_npz(project / "others.npz", truth)
    assert run(project, project / "photos", "--gt", project / "others.npz", "--draw", "0") == 2
    assert "is of none of the people that were scored" in capsys.readouterr().err
    assert not list(project.glob("out/*"))


def test_a_folder_with_the_truth(project, found, capsys):
    assert run(project, project / "photos", "--gt", project / "truth.npz", "--resamples", "50", "--draw", "1") == 0
    out = project / "out"
    assert {path.name for path in out.iterdir()} == {
        *("scores.json", "gap_closed.md", "gap_closed.json", "a_person0.png", "b_person0.png")
    }
    people = json.loads((out / "scores.json").read_text())["people"]
    assert [(one["image"], one["person"], len(one["bodies"])) for one in people] == [("a.jpg", 0, 3), ("b.jpg", 0, 3)]
    for n, body in enumerate(people[1]["bodies"]):
        assert body["cen"] == pytest.approx(found.scores[n], abs=1e-4)
        assert (body["file"], body["index"]) == ("bodies.npz", n)
    assert people[0]["chosen"] == np.argmin([body["cen+reprojection"] for body in people[0]["bodies"]])
    # the second of the three is the truth, so the errors are the distances to it
    assert people[0]["bodies"][1]["MPJPE_mm"] == pytest.approx(0, abs=0.01)
    assert people[0]["bodies"][0]["MPJPE_mm"] > 1
    table = json.loads((out / "gap_closed.json").read_text())
    assert [row["bodies"] for row in table["MPJPE"]] == [1, 2, 3]
    assert table["MPJPE"][2]["oracle"]["error"] == pytest.approx(0, abs=0.01)
    assert (out / "gap_closed.md").read_text() in capsys.readouterr().out
    with Image.open(out / "a_person0.png") as picture:
        assert picture.width > 3 * 448


def test_one_photograph_and_several_files(project, capsys):
    write_npz(project / "more.npz", {"pose": np.load(project / "bodies.npz")["pose"][:1, :1]})
    files = ["--bodies", project / "bodies.npz", project / "more.npz"]
    assert run(project, project / "photos" / "a.jpg", "--keypoints", renamed(project), "--draw", "0", *files) == 0
    (person,) = json.loads((project / "out" / "scores.json").read_text())["people"]
    assert [body["file"] for body in person["bodies"]] == [*["bodies.npz"] * 3, "more.npz"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "person 0, 4 bodies by cen+reprojection"
    assert printed[2].split()[0] == str(person["chosen"])


def renamed(project):
    """The demo's keypoints under the name of the copy."""
    content = json.loads(KEYPOINTS.read_text())
    content["images"][0]["file_name"] = "a.jpg"
    (project / "k.json").write_text(json.dumps(content))
    return project / "k.json"


def spoil(project, **changes):
    content = dict(np.load(project / "bodies.npz"))
    write_npz(project / "bodies.npz", {**content, **changes})


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"pose": np.full((2, 3, 24, 3), np.nan)}, [], "bodies.npz: pose of row 0, body 0 is NaN or infinite"),
        ({"betas": np.zeros((2, 4, 10))}, [], "betas has shape (2, 4, 10), expected (2, 3, 10)"),
        ({}, ["--gt", "{}/bodies.npz"], "pose has shape (2, 1, 3, 24, 3), expected (P, N, 24, 3)"),
        ({}, ["--gt", "{}/none.npz"], "none.npz does not exist"),
        ({"image_name": np.array(["c.jpg", "d.jpg"])}, [], "nobody was scored; first: a.jpg: no bodies of it in"),
        ({}, ["--draw", "-1"], "--draw is -1, expected 0 or more"),
        ({}, ["--config", "{}/none.py"], "none.py"),
        ({}, ["--checkpoint", "{}/none.pth"], "needs --config"),
    ],
)
def test_bad_input_ends_with_one_line_and_nothing_written(project, capsys, changes, arguments, message):
    spoil(project, **changes)
    assert run(project, project / "photos", *(text.format(project) for text in arguments)) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1
    assert errors[0].startswith("score.py: error: ")
    assert message in errors[0]
    assert not (project / "out").exists()


def test_it_is_said_when_a_detector_looks_for_the_keypoints(project, capsys):
    pytest.importorskip("mediapipe", reason="it is the light detector")
    photo, scores = project / "photos" / "a.jpg", project / "out" / "scores.json"
    assert run(project, photo, "--draw", "0") == 0
    assert capsys.readouterr().err == ""
    own = json.loads(scores.read_text())["people"][0]["bodies"][0]["reprojection_rms_px"]
    content = dict(np.load(project / "bodies.npz"))
    del content["keypoints2d"]
    write_npz(project / "bodies.npz", content)
    assert run(project, photo, "--draw", "0") == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("score.py")]
    told = "bodies.npz without keypoints2d, and no --keypoints: the light detector looks for them"
    assert line == f"score.py: {project}/{told}"
    found = json.loads(scores.read_text())["people"][0]["bodies"][0]["reprojection_rms_px"]
    assert abs(found - own) > 0.1  # by other keypoints


def test_vertices_of_the_licensed_body_need_it(project, capsys):
    content = {
        "img_path": np.array(["a.jpg"]),
        "pred_cam": np.array([[0.9, 0.0, 0.0]]),
        "box_center": np.array([[300.0, 200.0]]),
        "box_size": np.array([200.0]),
    }
    write_npz(project / "bodies.npz", {**content, "pred_vertices": np.random.default_rng(0).random((1, 6890, 3))})
    assert run(project, project / "photos" / "a.jpg", "--keypoints", renamed(project)) == 2
    assert "(4D-Humans) holds vertices of the licensed SMPL: name its file or folder by" in capsys.readouterr().err
    rotations = np.tile(np.diag([1.0, -1.0, -1.0]), (1, 1, 1, 1)), np.tile(np.eye(3), (1, 23, 1, 1))
    parameters = {"global_orient": rotations[0], "body_pose": rotations[1], "betas": np.full((1, 10), 3.0)}
    write_npz(project / "bodies.npz", {**content, **parameters})
    assert run(project, project / "photos" / "a.jpg", "--keypoints", renamed(project), "--draw", "0") == 0
    assert "its poses are put on the free stand-in, and its betas left out" in capsys.readouterr().err

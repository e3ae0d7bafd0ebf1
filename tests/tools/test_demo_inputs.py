"""tools/demo.py on more than one photograph of one person."""

import json
from pathlib import Path

import demo as tool
import numpy as np
import pytest
from demos import results
from demos.inferring import expected_count
from PIL import Image
from support.untrained_mion import use_model

from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import FrameSource, detectors, draw_people
from mion_plugin.inference.videos import VideoReader, VideoWriter


@pytest.fixture
def run(untrained, tmp_path, monkeypatch):
    """Run the demo with few candidates; the folder of its results."""
    use_model(untrained, monkeypatch)

    def demo(*arguments):
        out = tmp_path / "out"
        assert tool.main([*map(str, arguments), "--num-candidates", "2", "--out", str(out), "--device", "cpu"]) == 0
        return out

    return demo


def write_annotations(path, people):
    """Annotate images by the skier, moved: name -> list of shifts in pixels."""
    (skier,) = json.loads(KEYPOINTS.read_text())["annotations"]
    images, annotations = [], []
    for image_id, (name, shifts) in enumerate(people.items()):
        images.append({"id": image_id, "file_name": name})
        for shift in shifts:
            keypoints = np.array(skier["keypoints"]).reshape(17, 3) + np.array([shift, 0, 0])
            bbox = [skier["bbox"][0] + shift, *skier["bbox"][1:]]
            annotations.append({"image_id": image_id, "bbox": bbox, "keypoints": keypoints.ravel().tolist()})
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


@pytest.fixture
def photographs(tmp_path):
    """A folder with photographs of two, of nobody, and a broken one, and their keypoints."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(PHOTO.read_bytes())
    (folder / "c.jpg").write_text("broken")
    return folder, write_annotations(tmp_path / "k.json", {"a.jpg": [0, -150], "b.jpg": []})


@pytest.fixture
def clip(tmp_path):
    """Two frames, in the second of which the two people are listed the other way round and have moved."""
    pytest.importorskip("av")
    image = read_image(PHOTO)[:424]
    with VideoWriter(tmp_path / "clip.mp4", 5.0, (640, 424)) as writer:
        for _ in range(3):
            writer.write(image)
    people = {"clip_000000.jpg": [0, -200], "clip_000001.jpg": [-195, 5]}
    return tmp_path / "clip.mp4", write_annotations(tmp_path / "k.json", people)


def test_a_folder(run, photographs, capsys):
    folder, keypoints = photographs
    out = run(folder, "--keypoints", keypoints)
    names = {f"a_person{n}.{end}" for n in (0, 1) for end in ("json", "npz", "png")}
    assert {path.name for path in out.iterdir()} == {"photos.jsonl", "a_overlay.jpg", *names}
    lines = [json.loads(line) for line in (out / "photos.jsonl").read_text().splitlines()]
    assert [(line["image"], len(line["people"])) for line in lines] == [("a.jpg", 2), ("b.jpg", 0), ("c.jpg", 0)]
    reported = [line for line in capsys.readouterr().err.splitlines() if line.startswith("demo.py: ")]
    assert [line["problems"][0] for line in lines[1:]] == [line.removeprefix("demo.py: ") for line in reported]
    assert "nobody in b.jpg has keypoints" in reported[0]
    assert "c.jpg cannot be read" in reported[1]


def test_several_people_with_everything_that_can_be_written(run, photographs, capsys):
    folder, keypoints = photographs
    extras = ["--save-mesh", "--mesh-format", "obj", "glb", "ply", "--turntable", "--overlay-camera", "image"]
    out = run(folder / "a.jpg", "--keypoints", keypoints, *extras)
    endings = (".json", ".npz", ".png", ".obj", ".glb", ".ply", "_turntable.gif")
    names = {f"a_person{n}{end}" for n in (0, 1) for end in endings}
    assert {path.name for path in out.iterdir()} == {"a_overlay.jpg", *names}
    printed = capsys.readouterr().out
    assert "person 0" in printed
    assert "person 1" in printed
    with Image.open(out / "a_person1_turntable.gif") as gif:
        assert gif.n_frames == 24
    overlay, image = (np.asarray(Image.open(path)).astype(int) for path in (out / "a_overlay.jpg", PHOTO))
    changed = np.abs(overlay - image).max(axis=-1) > 40
    assert changed[150:350, 350:450].mean() > 0.2  # the skier
    assert changed[150:350, 200:300].mean() > 0.2  # and the one beside
    assert changed[:, 560:].mean() < 0.01


def test_one_of_several_people(run, photographs):
    folder, keypoints = photographs
    out = run(folder / "a.jpg", "--keypoints", keypoints, "--person", "1")
    assert sorted(path.stem for path in out.glob("*.npz")) == ["a_person1"]


def test_a_rerun_that_finds_fewer_leaves_no_files_of_the_others(run, photographs, capsys):
    folder, keypoints = photographs
    out = run(folder, "--keypoints", write_annotations(keypoints, {"a.jpg": [0, -150], "b.jpg": [0]}), "--save-mesh")
    others = ["a_person01.png", "a_person1.txt", "ba_person1.png", "a_person1_notes.json", "a_person1_overlay.jpg"]
    for name in others:
        (out / name).touch()
    before = {path.name for path in out.iterdir()}
    write_annotations(keypoints, {"a.jpg": [0], "b.jpg": []})
    run(folder / "a.jpg", "--keypoints", keypoints, "--person", "0")
    assert {path.name for path in out.iterdir()} == before  # the others were not looked for
    run(folder / "a.jpg", "--keypoints", keypoints)
    gone = {f"a_person1.{ending}" for ending in ("json", "npz", "png")}  # and no mesh, for this run writes none
    assert {path.name for path in out.iterdir()} == before - gone
    assert f"{out / 'a_person1.json'} and 2 more" in capsys.readouterr().out
    run(folder, "--keypoints", keypoints, "--save-mesh")
    gone |= {"a_person1.obj", "b_overlay.jpg", *(f"b_person0.{ending}" for ending in ("json", "npz", "png", "obj"))}
    assert {path.name for path in out.iterdir()} == before - gone


def test_a_rerun_leaves_photographs_alone_that_are_called_like_results(run, photographs):
    folder, keypoints = photographs
    (folder / "a_person1.png").write_bytes(PHOTO.read_bytes())
    write_annotations(keypoints, {"a.jpg": [0]})
    assert tool.main([str(folder), "--keypoints", str(keypoints), "--out", str(folder), "--device", "cpu"]) == 0
    assert (folder / "a_person1.png").read_bytes() == PHOTO.read_bytes()


def test_the_candidates_of_one_person_do_not_overwrite_anothers(run, photographs):
    folder, keypoints = photographs
    for person in ([], ["--person", "0"], ["--person", "1"]):
        out = run(folder / "a.jpg", "--keypoints", keypoints, "--stage", "1", *person)
    numbers = {path.name: json.loads(path.read_text())["person"] for path in out.glob("*.json")}
    assert numbers == {"a_candidates.json": 0, "a_person0_candidates.json": 0, "a_person1_candidates.json": 1}


def test_photographs_of_one_name_do_not_overwrite_each_other(run, photographs):
    folder, keypoints = photographs
    (folder / "sub").mkdir()
    (folder / "sub" / "a.jpg").write_bytes(PHOTO.read_bytes())
    out = run(folder / "**" / "a.jpg", "--keypoints", keypoints, "--person", "0")
    assert sorted(path.name for path in out.glob("*.npz")) == ["1_a_person0.npz", "a_person0.npz"]
    assert (out / "images.jsonl").exists()


def test_a_video_where_people_keep_their_numbers(run, clip, capsys):
    video, keypoints = clip
    out = run(video, "--keypoints", keypoints)
    assert {path.name for path in out.iterdir()} == {"clip_overlay.mp4", "clip.jsonl"}
    lines = [json.loads(line) for line in (out / "clip.jsonl").read_text().splitlines()]
    assert [line["time"] for line in lines] == [0.0, 0.2, 0.4]
    assert [[person["person"] for person in line["people"]] for line in lines] == [[0, 1], [0, 1], []]
    for number in (0, 1):
        first, second = (line["people"][number]["crop"]["center"][0] for line in lines[:2])
        assert second - first == pytest.approx(5.0)
    assert "none of its 2 images is called clip_000002.jpg" in capsys.readouterr().err


def test_a_rerun_of_a_video_leaves_no_motion_of_the_others(run, clip):
    video, keypoints = clip
    out = run(video, "--keypoints", keypoints, "--save-motion", "npz", "bvh")
    write_annotations(keypoints, {"clip_000000.jpg": [0]})
    run(video, "--keypoints", keypoints, "--save-motion", "bvh")
    left = ["clip_person0_motion.bvh", "clip_person0_motion.npz", "clip_person1_motion.npz"]
    assert sorted(path.name for path in out.glob("*_motion.*")) == left


def test_smoothing_steadies_what_the_lines_tell(run, clip):
    video, keypoints = clip
    places = []
    for options in ([], ["--smooth", "0.5", "--smooth-beta", "0"]):
        lines = (run(video, "--keypoints", keypoints, *options) / "clip.jsonl").read_text().splitlines()
        places.append([json.loads(line)["people"][0]["image_transl"] for line in lines[:2]])
    (start, end), (first, second) = np.array(places)
    share = 1 / (1 + 1 / (2 * np.pi * 0.5 * 0.2))  # of 5 frames a second
    np.testing.assert_allclose(first, start, atol=1e-4)
    np.testing.assert_allclose(second, start + share * (end - start), atol=1e-4)


def test_motions_of_a_video_one_for_each_person(run, clip):
    video, keypoints = clip
    out = run(video, "--keypoints", keypoints, "--save-motion", "npz", "bvh", "glb", "csv")
    names = {f"clip_person{n}_motion.{end}" for n in (0, 1) for end in ("npz", "bvh", "glb", "csv")}
    assert {path.name for path in out.iterdir()} == {"clip_overlay.mp4", "clip.jsonl", *names}
    lines = [json.loads(line) for line in (out / "clip.jsonl").read_text().splitlines()]
    with np.load(out / "clip_person1_motion.npz") as arrays:
        assert float(arrays["mocap_frame_rate"]) == 5.0
        told = np.array([line["people"][1]["body_pose"] for line in lines[:2]])
        np.testing.assert_allclose(arrays["smpl_poses"][:, 3:], told, atol=1e-4)


def stop_after(count, monkeypatch):
    """Let a run break down when it draws its next frame."""
    drawn = []

    def draw(*arguments):
        drawn.append(len(drawn))
        if len(drawn) > count:
            raise RuntimeError("the machine is switched off")
        return draw_people(*arguments)

    monkeypatch.setattr(results, "draw_people", draw)


def stop_run(run, arguments, monkeypatch):
    """Run until the first frame is drawn."""
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(RuntimeError, match="switched off"):
            run(*arguments)


def stop_in_folder(run, folder, keypoints, arguments, monkeypatch):
    """Run on a folder with people in two photographs until the first is drawn."""
    (folder / "a2.jpg").write_bytes(PHOTO.read_bytes())
    write_annotations(keypoints, {"a.jpg": [0], "a2.jpg": [0], "b.jpg": []})
    stop_run(run, arguments, monkeypatch)


@pytest.mark.parametrize("smooth", [[], ["--smooth"]])
def test_a_stopped_video_goes_on_and_ends_as_if_it_were_not(run, clip, tmp_path, monkeypatch, smooth):
    video, keypoints = clip
    arguments = [video, "--keypoints", keypoints, "--batch-size", "1", "--save-motion", "bvh", *smooth]
    out = run(*arguments)
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    for path in out.iterdir():
        path.unlink()
    stop_run(run, arguments, monkeypatch)
    assert {path.name for path in out.iterdir()} == {"clip.partial.jsonl", "clip.partial.json"}
    assert len((out / "clip.partial.jsonl").read_text().splitlines()) == 2
    assert tool.main([*map(str, arguments), "--resume", "--out", str(out), "--num-candidates", "3"]) == 2
    run(*arguments, "--resume")
    found = {path.name: path.read_bytes() for path in out.iterdir()}
    (tmp_path / "whole.mp4").write_bytes(whole.pop("clip_overlay.mp4"))
    found.pop("clip_overlay.mp4")
    assert found == whole
    videos = [list(VideoReader(path)) for path in (tmp_path / "whole.mp4", out / "clip_overlay.mp4")]
    for frame, expected in zip(*videos, strict=True):  # its bytes are not promised
        assert np.abs(frame.astype(int) - expected).mean() < 0.1


def test_a_stopped_folder_goes_on(run, photographs, monkeypatch):
    folder, keypoints = photographs
    arguments = [folder, "--keypoints", keypoints, "--batch-size", "1"]
    stop_in_folder(run, folder, keypoints, arguments, monkeypatch)
    out = run(*arguments[:3], "--batch-size", "1", "--resume")
    assert {path.stem for path in out.glob("*.npz")} == {"a_person0", "a2_person0"}
    lines = [json.loads(line) for line in (out / "photos.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == ["a.jpg", "a2.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize(("name", "told"), [("k.json", "keypoints"), ("photos/a.jpg", "photographs")])
def test_a_stopped_folder_with_a_file_that_was_changed_since_begins_anew(
    run, photographs, tmp_path, monkeypatch, capsys, name, told
):
    folder, keypoints = photographs
    arguments = [str(folder), "--keypoints", str(keypoints), "--batch-size", "1"]
    stop_in_folder(run, folder, keypoints, arguments, monkeypatch)
    with (tmp_path / name).open("a") as file:
        file.write("\n")
    again = [*arguments, "--resume", "--num-candidates", "2", "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert tool.main(again) == 2
    assert f"is of a run with {told} " in capsys.readouterr().err


def test_the_first_images_alone(run, photographs):
    folder, keypoints = photographs
    out = run(folder, "--keypoints", keypoints, "--max-frames", "1")
    assert len((out / "photos.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mesh-format", "glb"], "--mesh-format does nothing without --save-mesh"),
        (["a.mp4", "--smooth-beta", "1"], "--smooth-beta does nothing without --smooth"),
        (["a.jpg", "--keypoints", "k.json", "--pose-config", "c.py"], "--pose-config does nothing beside --keypoints"),
        (
            ["a.jpg", "--keypoints", "k", "--person-checkpoint", "p"],
            "--person-checkpoint does nothing beside --keypoints",
        ),
    ],
)
def test_options_that_would_do_nothing_are_refused_at_once(arguments, message, capsys):
    with pytest.raises(SystemExit):
        tool.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos/b.jpg"], "nothing here finds people in photographs: give --keypoints COCO_JSON; or install the"),
        (["photos/b.jpg", "--keypoints", "k.json"], "k.json: nobody in b.jpg has keypoints"),
        (["photos/[bc].jpg", "--keypoints", "k.json"], "no body in any of 2 images; first: k.json: nobody in b.jpg"),
        (["photos", "--keypoints", "k.json", "--stage", "1"], "stage 1 alone draws the candidates of one photograph"),
        (["photos/b.jpg", "--stage", "1", "--config", "a.py"], "--config would do nothing with photos/b.jpg"),
        (["photos/b.jpg", "--stage", "1", "--amp"], "--amp would do nothing with photos/b.jpg: it is for networks"),
        (["clip.mp4", "--keypoints", "k.json", "--person", "5"], "no body in any of 3 images; first: --person 5"),
        (["clip.mp4", "--keypoints", "k.json", "--smooth", "0"], "min_cutoff is 0.0"),
        (["clip.mp4", "--keypoints", "k.json", "--save-mesh"], "--save-mesh would do nothing with clip.mp4"),
        (["clip.mp4", "--keypoints", "k.json", "--turntable"], "--turntable would do nothing with clip.mp4"),
        (["photos", "--keypoints", "k.json", "--smooth"], "--smooth would do nothing with photos: it steadies a video"),
        (["photos/b.jpg", "--keypoints", "k.json", "--save-motion", "bvh"], "--save-motion would do nothing with"),
        (["photos/b.jpg", "--keypoints", "k.json", "--resume"], "--resume would do nothing with photos/b.jpg"),
        (["photos", "--keypoints", "k.json", "--batch-size", "0"], "batch_size is 0, expected at least 1"),
    ],
)
def test_bad_input_ends_with_one_line_and_nothing_written(
    untrained, clip, photographs, tmp_path, arguments, message, monkeypatch, capsys
):
    use_model(untrained, monkeypatch)
    write_annotations(tmp_path / "k.json", {"b.jpg": [], "clip_000000.jpg": [0]})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detectors.importlib.util, "find_spec", lambda name: None)
    assert tool.main([*arguments, "--num-candidates", "2"]) == 2
    printed = capsys.readouterr().err
    errors = [line for line in printed.splitlines() if line.startswith("demo.py: error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "━" not in printed  # of the bar
    assert not list(Path().glob("outputs/*"))


@pytest.mark.parametrize(
    ("count", "limit", "expected"), [(100, 20, 20), (100, None, 100), (3, 20, 3), (None, 20, 20), (None, None, None)]
)
def test_the_bar_of_progress_ends_where_the_run_does(count, limit, expected):
    assert expected_count(FrameSource("clip", [], count), limit) == expected

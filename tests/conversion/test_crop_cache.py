"""A cache of crops gives the samples of the photographs, and comes to an end after any kill."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cache_crops as tool
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mion_plugin.conversion import crop_cache
from mion_plugin.conversion.crop_cache import CacheOptions, Layout, cache_crops
from mion_plugin.conversion.crop_regions import Augmentation, person_region
from mion_plugin.datasets import HumanDataset, save_human_data
from mion_plugin.datasets.transforms.geometric import crop_matrix

ROOT = Path(__file__).parents[2]
CROP = 64  # instead of the configs' 224
EPOCHS = 4
SHAPE = (240, 320)  # height, width of the photographs
# x, y, width, height of each person's box, and the photograph: inside, larger than crops show, smaller, at a corner and
# an edge, as large as the photograph, and beside it
PEOPLE = [
    ((120, 60, 50, 90), 0),
    ((80, 10, 90, 200), 1),
    ((200, 150, 12, 20), 1),
    ((-20, -30, 80, 120), 0),
    ((290, 100, 60, 130), 2),
    ((10, -40, 300, 320), 2),
    ((700, 700, 40, 50), 0),
]


def photograph(seed: int) -> Image.Image:
    """Smooth shapes with an edge here and there, and a little noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(SHAPE[::-1], Image.Resampling.BICUBIC)).astype(float)
    smooth[40:180, 100:140] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(smooth + rng.normal(scale=2.0, size=smooth.shape), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module", params=["K", "in_mat", "meta"])
def source(request, tmp_path_factory) -> Path:
    """A set in mmengine's layout, cameras in either form."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "images").mkdir()
    for number in range(3):
        photograph(number).save(root / f"images/{number}.jpg", quality=95)
    rng, count = np.random.default_rng(7), len(PEOPLE)
    boxes = np.array([box for box, _ in PEOPLE], dtype=float)
    points = boxes[:, None, :2] + rng.uniform(size=(count, 17, 2)) * boxes[:, None, 2:]
    keypoints = np.dstack([points, rng.integers(0, 2, (count, 17))])
    cameras = np.array([[300.0, 0, 160], [0, 310, 120], [0, 0, 1]]) + np.zeros((count, 3, 3))
    in_mat = [{"in_mat": camera.tolist(), "H": SHAPE[0], "W": SHAPE[1]} for camera in cameras]
    content = {
        "image_path": [f"images/{number}.jpg" for _, number in PEOPLE],
        "bbox_xywh": np.column_stack([boxes, np.ones(count)]),
        "keypoints2d": keypoints.astype(np.float32),
        "keypoints2d_detected": keypoints + np.array([1.0, -1.0, 0.0]),
        **{f"{key}_convention": "coco" for key in ("keypoints2d", "keypoints2d_detected")},
        "keypoints3d": np.dstack([rng.normal(size=(count, 17, 3)), np.ones((count, 17))]),
        "keypoints3d_convention": "h36m",
        "smpl": {
            "body_pose": rng.normal(size=(count, 23, 3)),
            "global_orient": rng.normal(size=(count, 3)),
            "betas": rng.normal(size=(count, 10)),
            "transl": np.array([0.0, 0.0, 8.0]) + rng.normal(size=(count, 3)),
        },
        "meta": {"gender": np.array(["female"] * count)},
        **({"cam_param": {"K": cameras} if request.param == "K" else in_mat} if request.param != "meta" else {}),
    }
    if request.param == "meta":
        content["meta"] |= {"focal_length": [(300.0, 310.0)] * count, "principal_point": [(160.0, 120.0)] * count}
    save_human_data(root / "train.npz", content)
    return root


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(crop_cache, "PIECE", 3)


def layout(root: Path) -> Layout:
    return Layout(root / "train.npz", root)


def options(**changes) -> CacheOptions:
    return CacheOptions(Augmentation(crop_size=CROP), **changes)


def config_pipeline(whole: bool) -> list[dict]:
    """The augmentation of the paper's configs at a small crop; pictures stay uint8."""
    steps = Config.fromfile(ROOT / "configs/_base_/augmentation_224.py").train_pipeline
    kept = [dict(step) for step in steps if step["type"] != "mion.Normalize"]
    for step in kept:
        step |= {key: CROP for key in ("crop_size", "img_res") if key in step}
        if whole:
            step.pop("crop_size", None)
    return kept


def samples(root: Path, whole: bool = False) -> list:
    """All people in several epochs, augmented as in training, and all that their samples tell."""
    dataset = HumanDataset(
        "train.npz",
        str(root),
        keypoints2d_source="detected",
        body={"type": "mion.SMPLBody"},
        pipeline=config_pipeline(whole),
        seed=5,
    )
    found = []
    for epoch in range(EPOCHS):
        dataset.set_epoch(epoch)
        found += [dataset[index] for index in range(len(dataset))]
    return found


def check_labels(original: list, cached: list) -> None:
    """Everything but the pictures is the same: keypoints and camera to a thousandth of a pixel."""
    for one, other in zip(original, cached, strict=True):
        truth, found = one["data_samples"].gt_body, other["data_samples"].gt_body
        assert set(truth.keys()) == set(found.keys()) >= {"cam_intrinsics", "keypoints2d_input", "smpl_transl"}
        for key in truth.keys():  # noqa: SIM118  # an element, no dict
            atol = 1e-3 if key.startswith(("keypoints2d", "cam")) else 0.0
            np.testing.assert_allclose(found.get(key), truth.get(key), rtol=1e-6, atol=atol, err_msg=key)
        for key in ("rotation", "is_flipped", "sample_idx", "gender"):
            assert one["data_samples"].get(key) == other["data_samples"].get(key)


def differences(original: list, cached: list) -> np.ndarray:
    """Mean absolute difference of each sample's picture, grey levels."""
    pairs = zip(original, cached, strict=True)
    return np.array([(a["inputs"].float() - b["inputs"].float()).abs().mean() for a, b in pairs])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestSamples:
    def test_all_pixels_without_loss_are_the_photographs(self, source, tmp_path):
        """A single pixel that the crop lacks would be black."""
        cache_crops(layout(source), layout(tmp_path), options(image_format="png", all_pixels=True))
        original, cached = samples(source, whole=True), samples(tmp_path, whole=True)
        check_labels(original, cached)
        pairs = zip(original, cached, strict=True)
        largest = max(int((a["inputs"].int() - b["inputs"].int()).abs().max()) for a, b in pairs)
        assert largest <= 1  # the places that are sampled differ by 1e-13 px
        assert differences(original, cached).max() < 1e-3

    @pytest.mark.parametrize(("changes", "most"), [({"image_format": "png"}, 1.5), ({}, 2.5), ({"quality": 50}, 6.0)])
    def test_reduced_and_packed(self, source, tmp_path, changes, most):
        cache_crops(layout(source), layout(tmp_path), options(**changes))
        original, cached = samples(source), samples(tmp_path)
        check_labels(original, cached)
        shift = differences(original, cached[1:] + cached[:1])  # of other people
        same = differences(original, cached)
        assert same.mean() < most < 0.2 * shift.mean()

    def test_no_picture_has_more_than_it_takes(self, source, tmp_path):
        """The largest crop shows the widest square at the least reduction."""
        cache_crops(layout(source), layout(tmp_path), options())
        widest = CROP * (1.25 / 0.75) * np.sqrt(2) + 10  # the margin, and whole pixels on both sides
        sizes = [Image.open(path).size for path in tmp_path.rglob("*.jpg")]
        assert len(sizes) == len(PEOPLE)
        assert max(max(size) for size in sizes) <= widest

    def test_mmhuman3d_reads_it(self, source, tmp_path):
        human_data = pytest.importorskip("mmhuman3d.data.data_structures.human_data", reason="the format's reference")
        cache_crops(layout(source), layout(tmp_path), options())
        data = human_data.HumanData.fromfile(str(tmp_path / "train.npz"))
        assert data.data_len == len(PEOPLE)
        assert all((tmp_path / path).is_file() for path in data["image_path"])
        info = HumanDataset("train.npz", str(tmp_path)).get_data_info(1)
        np.testing.assert_allclose(data["bbox_xywh"][1], info["bbox_xywh"], rtol=1e-6)


@pytest.mark.parametrize("side", [1e-9, 1e5, 1e12])
def test_a_region_holds_a_pixel_whatever_the_box(side):
    region = person_region(np.array([20.0, 30.0]), side, (48, 64), Augmentation())
    assert region.cut(np.zeros((48, 64, 3), np.uint8)).size == (region.width, region.height)
    assert min(region.width, region.height) >= 1


@pytest.mark.parametrize("scale_factor", [0.0, 0.25])
@pytest.mark.parametrize("rot_factor", [0.0, 10.0, 30.0])
@pytest.mark.parametrize("side", [20.0, 90.0, 700.0])
def test_a_region_holds_every_pixel_that_a_crop_samples(scale_factor, rot_factor, side):
    """By the corners of all turned crops, in a photograph that ends far away; and it is no wider than that."""
    center, augmentation = np.array([2000.3, 1999.6]), Augmentation(CROP, scale_factor, rot_factor)
    region = person_region(center, side, (4000, 4000), augmentation)
    first = np.array([region.left, region.top])
    last = first + region.reduction * np.array([region.width, region.height])
    corners = np.array([[0, 0, CROP, CROP], [0, CROP, 0, CROP], [1, 1, 1, 1]])
    reached = []
    for angle in np.linspace(-2 * rot_factor, 2 * rot_factor, 49):
        for scale in (1 - scale_factor, 1.0, 1 + scale_factor):
            reached.append((np.linalg.inv(crop_matrix(center, scale * side, angle, CROP)) @ corners)[:2])
    low, high = np.min(reached, axis=(0, 2)), np.max(reached, axis=(0, 2))
    pixel = max(1.0, region.reduction)
    assert (low - first >= pixel).all()
    assert (last - high >= pixel).all()
    assert (last - first <= high - low + 8 * max(pixel, 1.25 * side / CROP)).all()


class TestRuns:
    def test_a_stopped_run_goes_on_and_ends_with_the_same_files(self, source, tmp_path):
        def stop_after_first_piece(done, total):
            if done >= 3:
                raise KeyboardInterrupt

        cache_crops(layout(source), layout(tmp_path / "whole"), options())
        with pytest.raises(KeyboardInterrupt):
            cache_crops(layout(source), layout(tmp_path / "cut"), options(), progress=stop_after_first_piece)
        assert not (tmp_path / "cut" / "train.npz").exists()
        (tmp_path / "cut" / "train" / "0000" / ".0000004.k2_x91ab.jpg").write_bytes(b"half a file")
        seen = []
        cached = cache_crops(
            layout(source), layout(tmp_path / "cut"), options(), progress=lambda done, total: seen.append(done)
        )
        assert seen == [3, 6, 7]
        assert (cached.num_people, cached.num_lost) == (7, 0)
        assert files(tmp_path / "cut") == files(tmp_path / "whole")
        assert set(files(tmp_path / "whole")) == {"train.npz", *(f"train/0000/{row:07d}.jpg" for row in range(7))}

    def test_workers_write_the_same_files(self, source, tmp_path):
        cache_crops(layout(source), layout(tmp_path / "alone"), options())
        cache_crops(layout(source), layout(tmp_path / "shared"), options(), workers=2)
        assert files(tmp_path / "alone") == files(tmp_path / "shared")

    def test_other_options_or_annotations_are_not_mixed_in(self, source, tmp_path):
        cache_crops(layout(source), layout(tmp_path), options())
        before = files(tmp_path)
        with pytest.raises(ValueError, match=r"train\.npz is a cache of crops with quality 95 \(not 90\); remove it"):
            cache_crops(layout(source), layout(tmp_path), options(quality=90))
        cache_crops(layout(source), layout(tmp_path), options())  # finished: nothing to do
        assert files(tmp_path) == before

    def test_a_photograph_that_was_changed_since_is_not_taken_from_the_cache(self, source, tmp_path):
        changed, out = tmp_path / "changed", tmp_path / "out"
        shutil.copytree(source, changed)
        cache_crops(layout(source), layout(out), options())
        cache_crops(layout(changed), layout(out), options())  # the same photographs elsewhere, with other times
        photograph(3).save(changed / "images/2.jpg", quality=95)
        with pytest.raises(ValueError, match=r"is a cache of crops with photographs '\w+' \(not '\w+'\); remove it"):
            cache_crops(layout(changed), layout(out), options())

    def test_a_stopped_run_does_again_what_it_did_of_a_photograph_that_was_changed_since(self, source, tmp_path):
        def stop(done, total):
            if done >= 6:
                raise KeyboardInterrupt

        changed = tmp_path / "changed"
        shutil.copytree(source, changed)
        with pytest.raises(KeyboardInterrupt):
            cache_crops(layout(changed), layout(tmp_path / "cut"), options(), progress=stop)
        photograph(3).save(changed / "images/2.jpg", quality=95)  # of rows 4 and 5
        seen = []
        cache_crops(layout(changed), layout(tmp_path / "cut"), options(), progress=lambda done, _: seen.append(done))
        assert seen == [3, 6, 7]
        cache_crops(layout(changed), layout(tmp_path / "whole"), options())
        assert files(tmp_path / "cut") == files(tmp_path / "whole")

    def test_the_source_is_not_overwritten(self, source):
        before = files(source)
        with pytest.raises(ValueError, match=r"train\.npz is there already, and is no cache of crops"):
            cache_crops(layout(source), layout(source), options())
        assert files(source) == before

    def test_lost_images(self, source, tmp_path):
        """An error; or the same other samples take their place as without a cache."""
        broken = tmp_path / "broken"
        (broken / "images").mkdir(parents=True)
        for name, content in files(source).items():
            (broken / name).write_bytes(content)
        (broken / "images" / "1.jpg").write_bytes(b"no image")
        out = tmp_path / "out"
        with pytest.raises(OSError, match=r"1\.jpg cannot be read"):
            cache_crops(layout(broken), layout(out), options())
        assert not (out / "train.npz").exists()
        cached = cache_crops(layout(broken), layout(tmp_path / "kept"), options(allow_lost=True))
        assert cached.num_lost == 2
        assert cache_crops(layout(broken), layout(tmp_path / "kept"), options(allow_lost=True)) == cached
        check_labels(samples(broken), samples(tmp_path / "kept"))


class TestTool:
    def test_both_layouts(self, source, tmp_path, capsys):
        host = tmp_path / "data"
        (host / "preprocessed_datasets").mkdir(parents=True)
        (host / "datasets").mkdir()
        (host / "datasets" / "lsp").symlink_to(source)
        (host / "preprocessed_datasets" / "lsp_train.npz").write_bytes((source / "train.npz").read_bytes())
        flags = ["--crop-size", str(CROP), "--workers", "0"]
        out = ["--data-root", str(host), "--out", str(tmp_path / "crops")]
        assert tool.main(["lsp_train.npz", "--dataset", "lsp", *out, *flags]) == 0
        assert f"data_prefix='{tmp_path / 'crops'}'" in capsys.readouterr().out
        out = ["--data-root", str(source), "--out", str(tmp_path / "plain")]
        assert tool.main(["train.npz", *out, *flags]) == 0
        ours, theirs = (
            HumanDataset("lsp_train.npz", data_prefix=str(tmp_path / "crops"), dataset_name="lsp"),
            HumanDataset("train.npz", str(tmp_path / "plain")),
        )
        for index in range(len(PEOPLE)):
            one, other = (Path(each.get_data_info(index)["image_path"]).read_bytes() for each in (ours, theirs))
            assert one == other

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["none.npz"], r"none.npz does not exist"),
            (["train.npz", "--quality", "0"], "quality 0, expected 1 to 100"),
            (["train.npz", "--crop-size", "0"], "crop_size 0, expected a positive number"),
            (["train.npz", "--scale-factor", "1"], "scale_factor 1.0, expected 0 to below 1"),
            (["train.npz", "--rot-factor", "-1"], "rot_factor -1.0, expected 0 or more"),
            (["train.npz", "--workers", "-1"], "-1 workers, expected at least 0"),
            (["../train.npz"], "the annotation file '../train.npz', expected a path below"),
            (["train.npz", "--dataset", "a", "--img-prefix", "b"], "give one of them"),
        ],
    )
    def test_bad_input_is_one_line(self, source, tmp_path, capsys, arguments, message):
        out = ["--data-root", str(source), "--out", str(tmp_path / "out"), "--workers", "0"]
        assert tool.main([*out, *arguments]) == 2
        told = capsys.readouterr().err
        assert told.startswith("cache_crops: error: ")
        assert message in told
        assert told.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_keypoints_of_another_shape(self, source, tmp_path):
        with np.load(source / "train.npz", allow_pickle=True) as archive:
            content = {key: archive[key] for key in archive.files if not key.startswith("__")}
        content["keypoints2d_detected"] = content["keypoints2d_detected"][..., :2]
        save_human_data(tmp_path / "train.npz", content)
        with pytest.raises(ValueError, match=r"keypoints2d_detected' has shape \(7, 17, 2\), expected \(7, K, 3\)"):
            cache_crops(Layout(tmp_path / "train.npz", source), layout(tmp_path / "out"), options())
        assert not (tmp_path / "out").exists()

    @pytest.mark.slow
    def test_a_killed_tool_goes_on(self, source, tmp_path):
        command = [sys.executable, tool.__file__, "train.npz", "--data-root", str(source), "--crop-size", str(CROP)]
        with subprocess.Popen(
            [*command, "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            for _ in range(3000):
                if list((tmp_path / "out").rglob("*.jpg")):
                    break
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGKILL)
        assert list((tmp_path / "out").rglob("*.jpg"))
        for out in ("out", "whole"):
            subprocess.run([*command, "--out", str(tmp_path / out)], check=True, stderr=subprocess.DEVNULL)
        assert files(tmp_path / "out") == files(tmp_path / "whole")

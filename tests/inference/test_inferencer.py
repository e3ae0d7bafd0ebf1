"""Photographs to bodies with random weights: everything but how good the bodies are."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import smplx
import torch
from mmengine.config import Config
from mmengine.registry import INFERENCERS
from PIL import Image
from support.tiny_mion import refiner_config

from mion_plugin.body.export import export_smpl_pickle
from mion_plugin.body.stand_in import load_stand_in
from mion_plugin.datasets.coco import load_coco_people
from mion_plugin.datasets.transforms.loading import read_image
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import MIONInferencer, PersonBodies, draw_paths
from mion_plugin.models import shipped_stage
from mion_plugin.weights import save_weights

SIZE = 32


@pytest.fixture(scope="module")
def person(inferencer) -> PersonBodies:
    return inferencer(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0]


def three_people():
    """The skier, and two more of other sizes elsewhere."""
    skier = load_coco_people(KEYPOINTS, PHOTO.name)[0].keypoints2d
    return np.stack([skier, skier * [0.5, 0.5, 1] + [10, 100, 0], skier * [0.7, 0.7, 1] + [200, 20, 0]])


def same(a: PersonBodies, b: PersonBodies) -> None:
    assert a.selected == b.selected
    for name, value in a.arrays().items():
        np.testing.assert_allclose(b.arrays()[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


def test_threads_may_share_an_inferencer(inferencer):
    image, people = read_image(PHOTO), three_people()

    def estimate(person: int) -> PersonBodies:
        return inferencer(image, keypoints2d=people[person : person + 1])["predictions"][0][0]

    alone = [estimate(person) for person in range(3)]
    with ThreadPoolExecutor(3) as threads:
        for person, found in enumerate(threads.map(estimate, [0, 1, 2] * 3)):
            same(found, alone[person % 3])


class TestResult:
    def test_what_it_holds(self, person) -> None:
        shapes = {"pose": (3, 24, 3, 3), "betas": (3, 10), "transl": (3, 3), "vertices": (3, 6890, 3)}
        shapes |= {"image_transl": (3, 3), "fit_loss": (3,), "scores": (3,), "selection_scores": (3,)}
        for name, shape in shapes.items():
            assert getattr(person, name).shape == shape, name
            assert getattr(person, name).dtype == np.float32
        assert (person.image_name, person.person, person.valid) == (PHOTO.name, 0, True)
        assert person.selected == person.scores.argmin()

    def test_the_chosen_path_comes_first_and_the_worst_last(self, person) -> None:
        ranked = person.ranked_paths
        assert ranked[0] == person.selected
        assert sorted(ranked) == [0, 1, 2]
        assert (np.diff(person.selection_scores[ranked]) >= 0).all()
        unscored = dataclasses.replace(person, selected=1, selection_scores=None, scores=None)
        assert unscored.ranked_paths == [1, 0, 2]

    def test_pictures_of_all_paths(self, inferencer, person) -> None:
        image = read_image(PHOTO)
        pictures = draw_paths(image, person, inferencer.model.body.faces, size=64)
        assert [(over.shape, side.shape) for over, side in pictures] == [((64, 64, 3), (64, 64, 3))] * 3
        crop = person.crop.cut(image, 64)
        for vertices, (over, side) in zip(person.vertices, pictures, strict=True):
            body = np.abs(over.astype(int) - crop).max(-1) > 20
            x, y = person.crop_camera.project(torch.from_numpy(vertices)).mean(0).numpy() * 64 / SIZE
            assert body[int(y), int(x)]
            assert not body.all()
            assert 0.02 < (side < 228).any(-1).mean() < 0.9

    def test_the_model_is_given_the_crop_at_its_size(self, inferencer, person, body) -> None:
        image = person.crop.cut(read_image(PHOTO), SIZE)
        normalised = (image - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375])
        tensor = torch.from_numpy(normalised.transpose(2, 0, 1))[None]
        scores = inferencer.model.cen(tensor, torch.from_numpy(person.vertices)[None])
        np.testing.assert_allclose(person.scores, scores[0].detach(), rtol=1e-4)

    def test_vertices_are_the_bodies_before_the_crops_camera(self, person, body) -> None:
        arguments = (torch.from_numpy(getattr(person, name)) for name in ("pose", "betas", "transl"))
        np.testing.assert_allclose(person.vertices, body(*arguments).vertices, atol=1e-5)

    def test_reprojection_error_is_that_of_the_given_keypoints(self, person, body) -> None:
        """In the image by the crop's equivalent camera: the whole way from the network's output to the photograph."""
        arguments = (torch.from_numpy(getattr(person, name)) for name in ("pose", "betas", "transl"))
        points = body.pose_keypoints(*arguments, convention="coco").double()
        distance = person.crop_camera_in_image.project(points).numpy() - person.keypoints2d[:, :2]
        rms = np.sqrt((distance**2).sum(axis=-1).mean(axis=-1)) * SIZE / person.crop.side
        np.testing.assert_allclose(person.reprojection_rms, rms, rtol=1e-3)

    def test_the_cameras_agree_where_they_claim_to(self, person) -> None:
        vertices = torch.from_numpy(person.vertices).double()
        in_image = person.crop_camera_in_image.project(vertices).numpy()
        for n in range(3):
            in_crop = person.crop.to_crop(np.pad(in_image[n], ((0, 0), (0, 1))), SIZE)[:, :2]
            np.testing.assert_allclose(in_crop, person.crop_camera.project(vertices[n]).numpy(), atol=1e-6)
        placed = torch.from_numpy(person.vertices - person.transl[:, None] + person.image_transl[:, None]).double()
        distance = person.image_camera.project(placed).numpy() - in_image
        np.testing.assert_allclose(person.image_error, np.sqrt((distance**2).sum(-1).mean(-1)), atol=0.05)
        height, width = read_image(PHOTO).shape[:2]
        assert person.image_camera.principal_point == (width / 2, height / 2)
        assert person.image_camera.focal_length == pytest.approx(np.hypot(height, width))


class TestExpectedError:
    @pytest.fixture
    def reading(self, tiny_model):
        """The small model with a depth reader as its third stage."""
        reader = {"backbone": {"type": "mion.TinyBackbone"}, "map_size": 4, "coarse_channels": 5, "hidden": (24, 16)}
        model = {**tiny_model["model"], "cen": {"type": "mion.DepthConsistency", "reader": reader}}
        inferencer = MIONInferencer({"model": model}, device="cpu")
        inferencer.model.cen.calibration_slope.fill_(0.5)
        return inferencer

    def test_it_is_the_score_in_millimetres(self, reading) -> None:
        person = reading(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0]
        np.testing.assert_allclose(person.expected_error, 1000 * person.scores * reading.model.cen.body_height)
        path = person.describe()["paths"][person.selected]
        assert path["expected_error_mm"] == person.describe_selected()["expected_error_mm"]
        assert path["expected_error_mm"] == pytest.approx(person.expected_error[person.selected], abs=0.06)
        assert "expected_error" in person.arrays()

    def test_none_without_a_calibration_or_from_another_stage(self, reading, person) -> None:
        reading.model.cen.calibration_slope.fill_(1.0)
        for found in (reading(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0], person):
            assert found.scores is not None
            assert found.expected_error is None
            assert found.describe()["paths"][0]["expected_error_mm"] is None
            assert "expected_error" not in found.arrays()


class TestInputs:
    def test_people_of_a_batch_are_people_alone(self, inferencer) -> None:
        people, image = three_people(), read_image(PHOTO)
        (together,) = inferencer(image, keypoints2d=people, batch_size=2)["predictions"]
        assert [found.person for found in together] == [0, 1, 2]
        for found, keypoints2d in zip(together, people, strict=True):
            ((alone,),) = inferencer(image, keypoints2d=keypoints2d)["predictions"]
            same(alone, found)

    def test_every_form_of_a_photograph(self, inferencer, person, tmp_path) -> None:
        image, keypoints2d = read_image(PHOTO), three_people()[0]
        Image.fromarray(image).save(tmp_path / "a.png")
        for inputs, given in (
            (image, keypoints2d),
            ([image], [keypoints2d]),
            (str(tmp_path / "a.png"), keypoints2d[None]),
            (tmp_path, [keypoints2d]),
            ([PHOTO], KEYPOINTS),
        ):
            ((found,),) = inferencer(inputs, keypoints2d=given)["predictions"]
            same(person, found)

    def test_batches_run_over_photographs_and_some_are_empty(self, inferencer) -> None:
        image, people = read_image(PHOTO), three_people()
        nobody = np.zeros((0, 17, 3))
        given = [people[:1], nobody, people[1:], nobody]
        result = inferencer([image] * 4, keypoints2d=given, batch_size=3, return_vis=True)
        assert [len(group) for group in result["predictions"]] == [1, 0, 2, 0]
        assert [len(group) for group in result["visualization"]] == [1, 0, 2, 0]
        ((alone,),) = inferencer(image, keypoints2d=people[2])["predictions"]
        same(alone, result["predictions"][2][1])

    def test_keypoints_that_fit_no_body_are_flagged_and_disturb_nobody(self, inferencer, person) -> None:
        people = three_people()[:2]
        people[1, 2:] = 0
        (found,) = inferencer(read_image(PHOTO), keypoints2d=people, batch_size=2)["predictions"]
        assert [one.valid for one in found] == [True, False]
        same(person, found[0])
        assert found[1].describe()["paths"][0]["fit_loss"] is None

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
            ({"mesh_format": "stl"}, "mesh_format is 'stl', expected one of obj, glb, ply"),
            ({"keypoints2d": None}, "keypoints2d is None"),
        ],
    )
    def test_bad_arguments(self, inferencer, arguments, message) -> None:
        with pytest.raises(ValueError, match=message):
            inferencer(PHOTO, **{"keypoints2d": KEYPOINTS, **arguments})


class TestDepths:
    @pytest.fixture
    def skier(self):
        depths = np.column_stack([np.linspace(-0.3, 0.3, 17), np.full(17, 10.0)])
        return dataclasses.replace(load_coco_people(KEYPOINTS, PHOTO.name)[0], depths=depths)

    @pytest.fixture
    def config(self, body, parts, selector):
        queries = {"candidate": True, "keypoints": "coco", "depths": True}
        refiner = refiner_config(body, queries=queries, **parts)
        return {"model": {"type": "mion.MION", "selector": selector, "refiner": refiner, "selection": "reprojection"}}

    def make(self, config, **options):
        torch.manual_seed(0)
        inferencer = MIONInferencer(config, device="cpu", **options)
        torch.nn.init.normal_(inferencer.model.refiner.head.rotation_mlp[-1].weight, std=0.02)
        return inferencer

    def poses(self, inferencer, person):
        return inferencer(PHOTO, keypoints2d=[person])["predictions"][0][0].pose

    def test_those_of_a_person_reach_the_model(self, config, skier) -> None:
        inferencer = self.make(config)
        (sample,) = inferencer(PHOTO, keypoints2d=[skier], return_datasamples=True)["predictions"][0]
        np.testing.assert_allclose(sample.gt_body.depths_input, skier.depths, rtol=1e-6)
        plain = self.poses(inferencer, dataclasses.replace(skier, depths=None))
        assert abs(self.poses(inferencer, skier) - plain).max() > 1e-3

    def test_unless_told_otherwise(self, config, skier) -> None:
        plain = self.poses(self.make(config), dataclasses.replace(skier, depths=None))
        np.testing.assert_array_equal(self.poses(self.make(config, use_depths=False), skier), plain)

    def test_another_shape_is_an_error(self, config, skier) -> None:
        with pytest.raises(ValueError, match=r"depths_input has shape \(17, 1\), expected \(17, 2\)"):
            self.poses(self.make(config), dataclasses.replace(skier, depths=skier.depths[:, :1]))


class TestOutputs:
    def test_axis_angle_parameters_are_what_smplx_takes(self, person, body, tmp_path) -> None:
        """The vertices, from the file, by smplx's own class."""
        export_smpl_pickle(load_stand_in("neutral"), tmp_path / "SMPL_NEUTRAL.pkl")
        smpl = smplx.create(str(tmp_path / "SMPL_NEUTRAL.pkl"), "smpl", batch_size=3)
        arrays = {name: torch.from_numpy(value) for name, value in person.arrays().items() if value.ndim}
        given = {name: arrays[name] for name in ("global_orient", "body_pose", "betas", "transl")}
        np.testing.assert_allclose(smpl(**given).vertices.detach(), person.vertices, atol=1e-4)

    def test_one_line_of_json_for_the_chosen_body(self, person) -> None:
        line = json.loads(json.dumps(person.describe_selected(), allow_nan=False))
        chosen = person.only_selected()
        assert (chosen.selected, chosen.vertices.shape) == (0, (1, 6890, 3))
        assert (line["cen"], line["valid"]) == (pytest.approx(float(person.scores.min()), abs=1e-5), True)
        for name in ("global_orient", "body_pose", "betas", "transl", "image_transl"):
            np.testing.assert_allclose(line[name], chosen.arrays()[name][0], atol=1e-5, err_msg=name)
        for name in ("crop_camera", "crop_camera_in_image", "image_camera"):
            assert line[name] == person.describe()[name]

    def test_data_samples_on_request(self, inferencer, person) -> None:
        ((sample,),) = inferencer(PHOTO, keypoints2d=KEYPOINTS, return_datasamples=True)["predictions"]
        np.testing.assert_allclose(sample.pred_bodies.transl, person.transl, rtol=1e-5)

    def test_files(self, inferencer, person, tmp_path) -> None:
        result = inferencer(PHOTO, keypoints2d=KEYPOINTS, out_dir=tmp_path, return_vis=True, mesh_format="obj")
        stem = tmp_path / "000000000785_person0"
        assert sorted(tmp_path.iterdir()) == [Path(f"{stem}.{end}") for end in ("json", "npz", "obj", "png")]
        np.testing.assert_array_equal(np.asarray(Image.open(f"{stem}.png")), result["visualization"][0][0])
        numbers = json.loads(Path(f"{stem}.json").read_text())
        assert numbers["selected"] == person.selected
        assert numbers["paths"][person.selected]["distance_to_selected_mm"] == 0
        assert numbers["crop_camera_in_image"]["focal_length"] == person.crop_camera_in_image.focal_length
        with np.load(f"{stem}.npz") as arrays:
            np.testing.assert_array_equal(arrays["vertices"], person.vertices)
            assert arrays["image_camera"].tolist()[1:] == list(person.image_camera.principal_point)
        first = next(line for line in Path(f"{stem}.obj").read_text().splitlines() if line.startswith("v "))
        expected = (person.vertices[person.selected, 0] - person.transl[person.selected]) * [1, -1, -1]
        np.testing.assert_allclose([float(word) for word in first.split()[1:]], expected, atol=1e-5)

    def test_photographs_of_one_name_do_not_overwrite_each_other(self, inferencer, tmp_path) -> None:
        inputs = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            Image.fromarray(read_image(PHOTO)).save(tmp_path / name / "x.png")
            inputs.append(tmp_path / name / "x.png")
        inferencer(inputs, keypoints2d=list(three_people()[:2]), out_dir=tmp_path / "out")
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert names == {f"{n}_x_person0.{end}" for n in (0, 1) for end in ("json", "npz")}

    def test_photographs_without_people_change_no_names(self, inferencer, tmp_path) -> None:
        everyone = [[], [load_coco_people(KEYPOINTS, PHOTO.name)[0]], []]
        inferencer([PHOTO] * 3, keypoints2d=everyone, out_dir=tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {f"{PHOTO.stem}_person0.{end}" for end in ("json", "npz")}


class TestConstruction:
    def test_through_the_registry(self, body, parts, selector) -> None:
        model = {"type": "mion.MRT", "network": refiner_config(body, **parts), "selector": selector}
        built = INFERENCERS.build({"type": "mion.MIONInferencer", "model": {"model": model}, "device": "cpu"})
        ((found,),) = built(PHOTO, keypoints2d=KEYPOINTS)["predictions"]  # stages 1 and 2 alone
        assert (found.selected, found.scores, found.selection_scores) == (0, None, None)

    def test_options_of_the_crop_and_the_camera(self, body, parts, selector) -> None:
        model = Config({"model": {"type": "mion.MRT", "network": refiner_config(body, **parts), "selector": selector}})
        options = {"box": "bbox", "box_scale": 1.5, "image_focal_length": 1000.0}
        ((found,),) = MIONInferencer(model, device="cpu", **options)(PHOTO, keypoints2d=KEYPOINTS)["predictions"]
        assert found.crop.side == pytest.approx(1.5 * 346.68)
        assert found.image_camera.focal_length == 1000.0

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"model": "none.py"}, FileNotFoundError, "none.py does not exist, and the package's models are mion_tiny"),
            ({"box": "face"}, ValueError, "box is 'face'"),
            ({"box_scale": -1.0}, ValueError, "box_scale is -1.0"),
            ({"image_focal_length": -5.0}, ValueError, "image_focal_length is -5.0"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message) -> None:
        with pytest.raises(error, match=message):
            MIONInferencer(**arguments)

    def test_weights_of_another_model(self, body, parts, selector, tmp_path) -> None:
        model = {"type": "mion.MRT", "network": refiner_config(body, **parts), "selector": selector}
        save_weights({"w": torch.zeros(1)}, tmp_path / "w.pth")
        with pytest.raises(ValueError, match=r"w\.pth is not a checkpoint of this MeshRefinementTransformer"):
            MIONInferencer({"model": model}, tmp_path / "w.pth", device="cpu")

    def test_the_packages_model(self) -> None:
        if shipped_stage() == 1:
            with pytest.raises(FileNotFoundError, match=r"the package holds no mrt\.pth for mion_tiny"):
                MIONInferencer()
            return
        inferencer = MIONInferencer(device="cpu")
        ((sample,),) = inferencer(PHOTO, keypoints2d=KEYPOINTS, return_datasamples=True)["predictions"]
        found = sample.found
        assert found.valid
        assert found.reprojection_rms[found.selected] < 0.1 * found.image_size
        np.testing.assert_array_equal(found.betas, sample.alternatives.betas.numpy())
        # each differs from the chosen one, and none in the picture
        apart = found.vertices - found.vertices[found.selected]
        depth, in_image = np.abs(apart[..., 2]).mean(1), np.abs(apart[..., :2]).mean((1, 2))
        others = np.arange(len(apart)) != found.selected
        assert (depth[others] > 0.015).all()
        assert (depth[others] > 2 * in_image[others]).all()
        assert (found.reprojection_rms < found.reprojection_rms[found.selected] + 0.5).all()  # pixels of the crop

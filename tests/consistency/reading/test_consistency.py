from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.fake_tensors import become_fake
from support.tiny_mion import FOCAL_LENGTH, IMAGE_SIZE, make_mion, make_samples
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.body.depths import body_depths, hip_indices
from mion_plugin.consistency import DepthReading
from mion_plugin.consistency.reading.consistency import MEASURES, depth_measures, fit_calibration
from mion_plugin.datasets.transforms.geometric import flip
from mion_plugin.geometry.conventions import CONVENTIONS
from mion_plugin.geometry.keypoints import flip_permutation, keypoint_names
from mion_plugin.weights import load_part


def plain_measures(consistency, image, pose, betas, transl):
    """(4,) of one body, from its skinned mesh."""
    body = consistency.body
    points = body.keypoints(body(pose, betas, transl), "coco")
    pixels = FOCAL_LENGTH * points[:, :2] / points[:, 2:] + IMAGE_SIZE / 2
    inside = ((pixels >= 0) & (pixels <= IMAGE_SIZE)).all(dim=1)
    with torch.no_grad():
        reading = consistency.reader(image[None], torch.cat([pixels, inside[:, None].float()], dim=1)[None])
    sums = [0.0] * 5
    for keypoint in range(17):
        depth = float(points[keypoint, 2] - (points[11, 2] + points[12, 2]) / 2)
        off, stated = abs(depth - float(reading.depths[0, keypoint])), float(reading.errors[0, keypoint])
        likelihood, expected = off / stated + np.log(2 * stated), off + stated * np.exp(-off / stated)
        for index, term in enumerate((off / 17, off / stated, 1 / stated, likelihood / 17, expected / 17)):
            sums[index] += term
    return torch.tensor([sums[0], sums[1] / sums[2], *sums[3:]], dtype=torch.float32)


class TestScores:
    def test_are_those_of_a_plain_loop(self, make_consistency, images, bodies) -> None:
        consistency = make_consistency()
        measures = consistency.measures(images, bodies)
        assert measures.shape == (2, 4, len(MEASURES))
        assert measures.std(dim=1).min() > 1e-3  # they tell bodies apart
        for row in range(2):
            for column in range(4):
                own = (value[row, column] for value in (bodies.pose, bodies.betas, bodies.transl))
                expected = plain_measures(consistency, images[row], *own)
                torch.testing.assert_close(measures[row, column], expected, atol=1e-4, rtol=1e-3)

    def test_expect_the_mean_distance_of_a_laplace_distribution(self) -> None:
        torch.manual_seed(0)
        reading = DepthReading(torch.tensor([0.1, -0.2, 0.0]), torch.tensor([0.05, 0.2, 0.1]))
        depths = torch.tensor([0.2, -0.2, -0.4])
        drawn = torch.distributions.Laplace(reading.depths, reading.errors).sample((200000,))
        expected = depth_measures(depths, reading)[MEASURES.index("expected")]
        assert expected.item() == pytest.approx((drawn - depths).abs().mean().item(), rel=0.01)

    @pytest.mark.parametrize("measure", MEASURES)
    def test_are_the_expected_error_in_body_heights(self, make_consistency, images, bodies, measure) -> None:
        consistency = make_consistency(measure=measure)
        consistency.calibration_slope.copy_(torch.tensor([0.5, 0.6, 0.7, 0.8]))
        consistency.calibration_offset.copy_(torch.tensor([0.01, 0.02, 0.03, 0.04]))
        index = MEASURES.index(measure)
        metres = (0.5 + 0.1 * index) * consistency.measures(images, bodies)[..., index] + 0.01 * (1 + index)
        torch.testing.assert_close(consistency.expected_error(images, bodies), 1000 * metres)
        torch.testing.assert_close(consistency(images, bodies), metres / consistency.body_height)

    def test_of_a_body_do_not_depend_on_the_others(self, make_consistency, images, bodies) -> None:
        consistency = make_consistency()
        scores = consistency(images, bodies)
        order = torch.tensor([3, 1, 0, 2])
        permuted = consistency(images, bodies.take(order.expand(2, -1)))
        torch.testing.assert_close(permuted, scores[:, order], atol=1e-5, rtol=1e-4)
        one = Bodies(bodies.pose[1:, [2]], bodies.betas[1:, [2]], bodies.transl[1:, [2]])
        torch.testing.assert_close(consistency(images[1:], one)[0, 0], scores[1, 2], atol=1e-5, rtol=1e-4)

    def test_of_axis_angles_are_those_of_matrices(self, make_consistency, images, candidates) -> None:
        consistency = make_consistency()
        matrices = replace(candidates, pose=candidates.rotations)
        torch.testing.assert_close(consistency(images, candidates), consistency(images, matrices), atol=1e-5, rtol=1e-4)

    def test_body_outside_the_picture(self, make_consistency, images, bodies) -> None:
        consistency = make_consistency()
        at_the_camera = replace(bodies, transl=torch.tensor([0.0, 0.0, 0.1]).expand_as(bodies.transl))
        away = replace(bodies, transl=bodies.transl + torch.tensor([50.0, 0.0, 0.0]))
        for each in (at_the_camera, away):
            assert consistency(images, each).isfinite().all()
        assert (consistency.project(away)[..., 2] == 0).all()
        assert (consistency.project(bodies)[..., 2] == 1).any()


class TestDepths:
    def test_where_a_body_stands_makes_no_difference(self, body, bodies) -> None:
        """Neither how deep nor where in the picture; the mesh's own keypoints far away have them, too."""
        depths = body_depths(body, bodies.pose, bodies.betas, "coco")
        for shift in (0.0, 30.0, 300.0):
            placed = body.double()(bodies.pose.double(), bodies.betas.double(), bodies.transl.double() + shift)
            points = body.keypoints(placed, "coco")[..., 2]
            relative = points - points[..., [11, 12]].mean(dim=-1, keepdim=True)
            torch.testing.assert_close(depths, relative.float(), atol=1e-4, rtol=0)
        body.float()

    def test_of_a_mirrored_body_are_those_of_the_other_side(self, body, bodies) -> None:
        betas = np.zeros(10, dtype=np.float32)  # shapes of the stand-in are not quite symmetric
        pose = make_samples(body)[0].gt_body
        sample = {
            "img": np.zeros((112, 112, 3), dtype=np.uint8),
            "center": np.array([56.0, 56.0]),
            "smpl_body_pose": pose.smpl_body_pose.numpy(),
            "smpl_global_orient": pose.smpl_global_orient.numpy(),
        }

        def depths(sample):
            pose = np.concatenate([sample["smpl_global_orient"][None], sample["smpl_body_pose"]])
            return body_depths(body, torch.from_numpy(pose), torch.from_numpy(betas), "coco")

        before, after = depths(sample), depths(flip(dict(sample)))
        torch.testing.assert_close(after, before[list(flip_permutation("coco"))], atol=0.01, rtol=0)
        assert (after - before).abs().max() > 0.05

    def test_hips_by_convention(self) -> None:
        for convention in CONVENTIONS:
            names = keypoint_names(convention)
            assert ["hip" in names[index] for index in hip_indices(convention)] == [True, True]
        assert hip_indices("coco") == (11, 12)
        assert hip_indices("smpl") == (1, 2)


class TestCalibration:
    def test_is_the_least_squares_line(self) -> None:
        rng = np.random.default_rng(0)
        measures = rng.uniform(0.05, 0.4, (300, 3))
        errors = 0.02 + measures @ np.array([0.3, 0.2, 0.1]) + 0.01 * rng.normal(size=300)
        slope, offset = fit_calibration(torch.tensor(measures), torch.tensor(errors))
        for index in range(3):
            design = np.column_stack([measures[:, index], np.ones(300)])
            expected = np.linalg.lstsq(design, errors, rcond=None)[0]
            np.testing.assert_allclose([slope[index], offset[index]], expected)

    def test_makes_scores_right_on_average_and_keeps_their_order(self, make_consistency, images, bodies) -> None:
        consistency = make_consistency()
        measures = consistency.measures(images, bodies).flatten(0, 1).detach()
        errors = 50 + 200 * measures[:, 0] + 10 * torch.rand(8, generator=torch.Generator().manual_seed(0))
        before = consistency(images, bodies)
        assert not consistency.calibrated
        measures[:, 1:] = measures[:, :1] * torch.tensor([2.0, 3.0, 4.0])  # all have to grow with the errors
        consistency.calibrate(measures, errors)
        assert consistency.calibrated
        after = consistency.expected_error(images, bodies)
        torch.testing.assert_close(after.mean(), errors.mean())
        assert torch.equal(after.argsort(dim=1), before.argsort(dim=1))

    @pytest.mark.parametrize(
        ("measures", "errors", "message"),
        [
            (torch.rand(5, 3), torch.rand(4), r"expected \(S, M\) and \(S,\)"),
            (torch.full((5, 3), torch.nan), torch.rand(5), "finite"),
        ],
    )
    def test_refuses(self, measures, errors, message) -> None:
        with pytest.raises(ValueError, match=message):
            fit_calibration(measures, errors)

    def test_refuses_a_measure_in_use_that_does_not_grow_with_the_errors(self, make_consistency) -> None:
        consistency = make_consistency(measure="weighted")
        measures = torch.arange(5.0)[:, None] * torch.tensor([1.0, 2.0, -1.0, 1.0])
        with pytest.raises(ValueError, match="the slope from the measure 'weighted' to errors is -500"):
            consistency.calibrate(measures, -1e6 * torch.arange(5.0))
        with pytest.raises(ValueError, match="is 0, expected a positive one"):
            consistency.calibrate(torch.ones(5, 4), torch.rand(5))
        consistency.calibrate(measures, 1000 * (torch.arange(5.0) + 2))
        torch.testing.assert_close(consistency.calibration_slope, torch.tensor([1.0, 0.5, 1.0, 1.0]))
        torch.testing.assert_close(consistency.calibration_offset, torch.tensor([2.0, 2.0, 0.0, 2.0]))


def test_the_best_stated_error_is_the_expected_distance() -> None:
    """What the measure ``likelihood`` and the loss reward."""
    depths = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
    scales = torch.linspace(0.2, 2.0, 181)
    costs = [
        depth_measures(depths, DepthReading(torch.zeros_like(depths), scale.expand_as(depths)))[..., 2].mean()
        for scale in scales
    ]
    assert scales[int(torch.stack(costs).argmin())] == pytest.approx(float(depths.abs().mean()), abs=0.02)


class TestInMION:
    @pytest.fixture
    def config(self):
        reader = {"backbone": {"type": "mion.TinyBackbone"}, "map_size": 4, "coarse_channels": 5, "hidden": (24, 16)}
        return {"type": "mion.DepthConsistency", "reader": reader}

    @pytest.mark.parametrize("selection", ["cen", "cen+reprojection"])
    def test_chooses(self, body, images, config, selection) -> None:
        model, samples = make_mion(body, cen=config, selection=selection), make_samples(body)
        assert model.cen.body is body
        output = model(images, samples)
        torch.testing.assert_close(output.scores, model.cen(images, output.bodies))
        chosen = output.scores if selection == "cen" else output.combined_scores
        assert torch.equal(output.selected, chosen.argmin(dim=1))

    def test_takes_its_weights_and_calibration_from_a_file(self, body, images, config, tmp_path) -> None:
        """A training's checkpoint, in which they are named cen.*, and a file of its own."""
        trained = make_mion(body, weights_seed=1, cen=config)
        trained.cen.calibration_slope.fill_(0.4)
        torch.save({"state_dict": trained.state_dict()}, tmp_path / "training.pth")
        torch.save(trained.cen.state_dict(), tmp_path / "own.pth")
        for name in ("training", "own"):
            model = make_mion(body, weights_seed=2, cen=config, cen_checkpoint=tmp_path / f"{name}.pth")
            for key, value in trained.cen.state_dict().items():
                assert torch.equal(model.cen.state_dict()[key], value)
        torch.save({"reader.out.weight": torch.zeros(2)}, tmp_path / "other.pth")
        with pytest.raises(ValueError, match="is not a checkpoint of this DepthConsistency"):
            load_part(trained.cen, tmp_path / "other.pth", "cen")

    def test_has_the_others_camera(self, body, config) -> None:
        config["image_size"] = 112
        with pytest.raises(ValueError, match=r"the cen's camera has focal_length 5000\.0 and image_size 112"):
            make_mion(body, cen=config)
        config["reader"]["image_size"] = 224
        with pytest.raises(ValueError, match="the reader's camera is"):
            make_mion(body, cen=config)

    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, make_consistency, images, bodies) -> None:
        consistency = make_consistency(body=SMPLBody())
        consistency(images, bodies)  # builds what is made on first use
        with FakeTensorMode():
            become_fake(consistency)
            pose, betas, transl = (
                torch.empty(value.shape, device="cuda") for value in (bodies.pose, bodies.betas, bodies.transl)
            )
            points = consistency._points(Bodies(pose, betas, transl))  # behind the check, which asks for values
            measures = consistency._measures_of(torch.empty(images.shape, device="cuda"), points, transl, None)
            scores = consistency._calibrated(measures)
            assert scores.device.type == "cuda"


@pytest.mark.parametrize("depth", [0.0, -3.0, float("nan")])
def test_bodies_that_are_not_before_the_camera(make_consistency, images, bodies, depth) -> None:
    """As HMR and SPIN give them, around the camera: they have no place in the crop."""
    consistency, transl = make_consistency(), bodies.transl.clone()
    transl[1, 2, 2] = depth
    message = "body 2 of image 1 is not before the camera"
    with pytest.raises(ValueError, match=rf"{message} \(depth {depth:.2f} m\): add its translation"):
        consistency(images, replace(bodies, transl=transl))
    points = bodies.keypoints(consistency.body, "coco")
    for place in ((points, transl), (points + transl[..., None, :], torch.zeros_like(transl))):
        with pytest.raises(ValueError, match=message):
            consistency.point_scores(images, *place)
    placed = points + bodies.transl[..., None, :], torch.zeros_like(transl)
    torch.testing.assert_close(
        consistency.point_scores(images, *placed), consistency(images, bodies), atol=1e-3, rtol=0
    )


def test_wrong_input(make_consistency, images, vertices) -> None:
    with pytest.raises(ValueError, match="measure is 'median', expected one of mean, weighted, likelihood"):
        make_consistency(measure="median")
    with pytest.raises(TypeError, match="bodies are Tensor, expected Bodies"):
        make_consistency()(images, vertices)

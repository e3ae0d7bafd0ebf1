"""TF32, a switch of the whole process, changes networks and neither candidates, losses nor metrics."""

from __future__ import annotations

import pytest
import torch
from support.tf32 import round_to_tf32, tf32
from support.tiny_mion import make_body_pool, make_images, make_mion, make_samples
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.candidates.pool import load_default_pool
from mion_plugin.candidates.splits import take_poses
from mion_plugin.consistency import ConsistencyModel
from mion_plugin.evaluation import MeshMetric
from mion_plugin.evaluation.choice.rules import fit_loss_of
from mion_plugin.evaluation.points import PosedBodies
from mion_plugin.fitting import KeypointFit
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.precision import full_precision
from mion_plugin.refinement.losses import MeshLoss
from mion_plugin.samples import collect_targets, input_keypoints, provided_candidates

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


@pytest.fixture(scope="module")
def samples(body):
    return make_samples(body, batch=3)


@pytest.fixture(scope="module")
def bodies(samples) -> Bodies:
    given = provided_candidates(samples, CPU)
    generator = torch.Generator().manual_seed(3)
    return Bodies(given.rotations, torch.randn(3, 4, 10, generator=generator), given.transl)


@pytest.fixture(scope="module")
def keypoints2d(samples) -> Tensor:
    return input_keypoints(samples, "coco", CPU)


@pytest.fixture(scope="module")
def selector() -> CandidateSelector:
    return CandidateSelector(take_poses(load_default_pool(), slice(None, None, 10)))


def both(compute):
    """What ``compute`` gives without TF32 and with it."""
    plain = compute()
    with tf32():
        return plain, compute()


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


class TestTheSimulation:
    """What the others rely on."""

    def test_ten_bits_are_left(self):
        values = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-11, 1 + 2**-12, -50.0125, 0.0, 3.0])
        expected = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-10, 1.0, -50.0, 0.0, 3.0])
        assert torch.equal(round_to_tf32(values), expected)

    def test_products_are_rounded_unless_they_are_held_at_full_precision(self):
        left, right = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
        exact, rounded = left @ right, round_to_tf32(left) @ round_to_tf32(right)
        with tf32() as mode:
            assert torch.equal(left @ right, rounded)
            with full_precision(left):
                assert torch.equal(left @ right, exact)
            assert torch.equal(torch.einsum("bij,bjk->bik", left, right), rounded)
        assert mode.rounded == 2
        assert torch.equal(left @ right, exact)

    def test_networks_are_changed(self, body, samples):
        network = make_mion(body).refiner
        plain, rounded = both(lambda: network(make_images(3), provided_candidates(samples, CPU)).pose)
        assert 1e-5 < (plain - rounded).abs().max() < 0.1
        # what the heads make of it are rotations all the same
        assert (rounded @ rounded.mT - torch.eye(3)).abs().max() < 1e-5


class TestTheSwitch:
    @pytest.fixture(autouse=True)
    def as_it_was(self):
        yield
        torch.set_float32_matmul_precision("highest")

    @pytest.mark.parametrize("precision", ["highest", "high", "medium"])
    def test_it_is_put_back(self, precision):
        torch.set_float32_matmul_precision(precision)

        def fail():
            with full_precision(torch.zeros(1)), full_precision(torch.zeros(1)):
                assert torch.get_float32_matmul_precision() == "highest"
                assert not torch.backends.cuda.matmul.allow_tf32
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert torch.get_float32_matmul_precision() == precision

    def test_it_may_be_set_by_its_newer_name(self):
        products = torch.backends.cuda.matmul
        if not hasattr(products, "fp32_precision"):
            pytest.skip("this torch has the older name alone")
        products.fp32_precision = "tf32"
        try:
            with full_precision(torch.zeros(1)):
                assert products.fp32_precision == "ieee"
            assert products.fp32_precision == "tf32"
        finally:
            products.fp32_precision = "ieee"


class TestCandidates:
    def test_are_the_same(self, selector, body):
        """For people of another pose each, so that the bounds of many candidates are near the threshold."""
        generator = torch.Generator().manual_seed(1)
        pose = torch.cat([torch.tensor([torch.pi, 0, 0]).expand(40, 1, 3), selector.body_pose[:40]], dim=1)
        pose = pose + 0.1 * torch.randn(40, 24, 3, generator=generator)
        transl = torch.tensor([0.1, 0.3, 45.0]).expand(40, 3)
        points = CropCamera().project_normalized(body.pose_keypoints(pose, transl=transl))
        keypoints2d = torch.cat([112 * (points + 1), torch.ones(40, 17, 1)], dim=-1)
        plain, rounded = both(lambda: selector(keypoints2d))
        names = ("index", "pose", "transl", "fit_loss", "num_compatible", "valid")
        assert_same(*({name: getattr(each, name) for name in names} for each in (plain, rounded)))

    def test_their_bounds_would_not_be(self, selector, keypoints2d):
        """So the test above can fail: the bounds decide which candidates are looked at."""
        target = torch.randn(1, 17, 2, generator=torch.Generator().manual_seed(0)) / 50
        given = target - target.mean(dim=1, keepdim=True), torch.ones(1, 17), torch.zeros(1, 2)
        plain, rounded = both(lambda: selector.scorer(*given).lower)
        assert (plain / rounded - 1).abs().max() > 1e-3

    def test_a_selector_that_is_built_with_tf32(self, selector):
        with tf32():
            built = CandidateSelector(take_poses(load_default_pool(), slice(None, None, 10)))
        assert torch.equal(built.scorer.deepest, selector.scorer.deepest)


class TestLosses:
    @pytest.mark.parametrize("smpl", ["per_joint", "printed"])
    def test_of_stage_2(self, body, samples, bodies, smpl):
        targets, everyone = collect_targets(samples, CPU), torch.ones(3, dtype=torch.bool)
        loss = MeshLoss(smpl=smpl, winner_scale=0.1)
        assert_same(*both(lambda: loss(bodies, targets, everyone, body, CropCamera(), bodies)))

    def test_of_stage_3(self, body, samples):
        """The true distances and the loss; the network's own estimates are held still."""

        class Still(ConsistencyModel):
            def _loss(self, image, samples, candidates):
                self.cen.distances = lambda image, bodies: bodies.transl.new_full((3, 4, 6890), 0.1)
                return super()._loss(image, samples, candidates)

        cen = {"backbone": {"type": "mion.TinyBackbone"}, "body": body, "image_size": 224}
        model = Still(cen, selector=None, pairs={"candidate": 0.5, "perturbed": 0.5}, num_bodies=4)

        def compute():
            torch.manual_seed(0)
            return model(make_images(3), samples, mode="loss")

        assert_same(*both(compute))

    def test_bodies_under_no_guard_of_the_caller(self, body, bodies):
        found = both(
            lambda: {
                "vertices": body(bodies.pose, bodies.betas).vertices,
                "joints": body(bodies.pose, bodies.betas).joints,
                "keypoints": body.pose_keypoints(bodies.pose, bodies.betas, bodies.transl),
                "regressed": body.keypoints(body(bodies.pose, bodies.betas), "h36m"),
            }
        )
        assert_same(*found)


class TestChoiceAndFit:
    def test_reprojection(self, body, bodies, keypoints2d):
        plain, rounded = both(lambda: fit_loss_of(bodies, keypoints2d, "coco", body, CropCamera()))
        assert torch.equal(plain, rounded)

    def test_the_fit_onto_the_keypoints(self, body, bodies, keypoints2d):
        fit = KeypointFit(body=body, prior={"type": "mion.StartPrior", "pool_share": 0.0})
        plain, rounded = both(lambda: fit(bodies, keypoints2d))
        for name in ("pose", "betas", "transl", "cost"):
            assert torch.equal(getattr(plain, name), getattr(rounded, name)), name


class TestMetrics:
    def evaluate(self, body, samples, bodies, with_vertices) -> dict[str, float]:
        metric = MeshMetric(body={"type": "mion.SMPLBody"})
        results = []
        for row, sample in enumerate(samples):
            paths = {"pose": bodies.pose[row], "betas": bodies.betas[row], "selected": torch.tensor(1)}
            if with_vertices:
                paths["vertices"] = bodies.posed(body).vertices[row]
            gt_body = {key: sample.gt_body.get(key) for key in sample.gt_body.keys()}  # noqa: SIM118
            results.append({"gt_body": gt_body, "pred_bodies": paths, "sample_idx": row, "gender": "female"})
        metric.process(None, results)
        return metric.compute_metrics(metric.results)

    @pytest.mark.parametrize("with_vertices", [False, True])
    def test_are_the_same(self, body, samples, bodies, with_vertices):
        plain, rounded = both(lambda: self.evaluate(body, samples, bodies, with_vertices))
        assert plain == rounded
        assert plain["MPJPE/chosen"] > 1

    def test_joints_of_vertices_far_before_the_camera(self, body, bodies):
        """At 45 m, TF32 moved them by 8 mm on average; left are the micrometres of the vertices' own rounding."""
        measured = PosedBodies({"type": "mion.SMPLBody"})
        expected = measured.joints_of(bodies.posed(body).vertices) + bodies.transl[..., None, :]
        with tf32():
            found = measured.joints_of(bodies.placed_vertices(body))
        assert (found - expected).abs().max() < 5e-6
        rows = body.arrays.regressor_h36m
        product = round_to_tf32(torch.from_numpy(rows)) @ round_to_tf32(bodies.placed_vertices(body))
        assert (product - expected).norm(dim=-1).max() > 5e-3


def test_what_stage_2_is_told_of_candidates(body):
    network = make_mion(body).refiner
    candidates = CandidateSelector(make_body_pool(body), num_candidates=2)(torch.rand(1, 17, 3) * 224)
    plain, rounded = both(lambda: network.encode(candidates))
    for name in ("rotations", "transl", "pelvis", "joints2d", "pncc"):
        assert torch.equal(getattr(plain, name), getattr(rounded, name)), name

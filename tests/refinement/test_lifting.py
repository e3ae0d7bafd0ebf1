"""Stage 2 without an image part, and its training on keypoints alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.fake_tensors import become_fake
from support.tiny_mion import make_body_pool
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidatePool, CandidateSelector
from mion_plugin.refinement import KeypointLifting, RefinementNetwork
from mion_plugin.refinement.encoding import candidate_points, keypoint_evidence
from mion_plugin.refinement.lifting import LiftingNetwork
from mion_plugin.registry import MODELS
from mion_plugin.samples import collect_targets
from mion_plugin.synthesis.lifting_dataset import with_ones

TRANSFORMER = {"width": 24, "num_heads": 2, "num_encoder_layers": 0, "num_decoder_layers": 1, "feedforward": 48}
LIFTING = {"width": 32, "depth": 2}
CAMERA = {"focal_length": 2500.0, "image_size": 112}


@pytest.fixture(scope="module")
def pool(body) -> CandidatePool:
    return make_body_pool(body)


def network_config(body: Any, **queries: Any) -> dict[str, Any]:
    return {
        "transformer": {**TRANSFORMER, "dropout": 0.0},
        "queries": {"keypoints": "coco", "lifting": LIFTING, **queries},
        "body": body,
        **CAMERA,
    }


def make_network(body: Any, seed: int = 0, **queries: Any) -> RefinementNetwork:
    torch.manual_seed(seed)
    network = RefinementNetwork(**network_config(body, **queries))
    for mlp in (network.head.rotation_mlp, network.head.camera_mlp, network.head.betas_mlp):
        torch.nn.init.normal_(mlp[-1].weight, std=0.05)
    return network.eval()


def make_batch(body: Any, count: int = 4, depths: bool = False) -> dict[str, dict[str, torch.Tensor]]:
    """What ``LiftingDataset`` gives, of random upright bodies."""
    generator = torch.Generator().manual_seed(3)
    rotvec = 0.3 * torch.randn(count, 24, 3, generator=generator)
    rotvec[:, 0] = torch.tensor([torch.pi - 0.1, 0.1, 0.2])
    bodies = Bodies.with_mean_shape(rotvec[:, None], torch.tensor([0.0, 0.2, 45.0]).repeat(count, 1, 1))
    rotations, betas = bodies.rotations[:, 0], bodies.betas[:, 0]
    points = body.pose_keypoints(rotations, betas, transl=bodies.transl[:, 0], convention="coco")
    keypoints2d = with_ones(2500.0 * points[..., :2] / points[..., 2:] + 56.0)
    inputs = {"keypoints2d": keypoints2d}
    if depths:
        inputs["depths"] = torch.stack([points[..., 2] - 45.0, torch.full_like(points[..., 2], 8.0)], dim=-1)
    keypoints3d = with_ones(body.pose_keypoints(rotations, betas, convention="h36m"))
    truth = {"rotations": rotations, "betas": betas, "keypoints2d": keypoints2d, "keypoints3d": keypoints3d}
    return {"inputs": inputs, "data_samples": truth}


def candidates_of(batch: dict, count: int = 3) -> Bodies:
    generator = torch.Generator().manual_seed(9)
    truth = batch["data_samples"]["rotations"]
    noise = 0.2 * torch.randn(len(truth), count, 24, 3, generator=generator)
    turned = truth[:, None] @ Bodies.with_mean_shape(noise, torch.zeros(len(truth), count, 3)).rotations
    return Bodies.with_mean_shape(turned, torch.tensor([0.0, 0.2, 45.0]).repeat(len(truth), count, 1))


class TestLiftingNetwork:
    def test_it_is_the_sum_of_its_blocks(self) -> None:
        torch.manual_seed(0)
        network, x = LiftingNetwork(5, 7, width=16, depth=3), torch.randn(4, 5)
        hidden = x @ network.first.weight.T + network.first.bias
        for norm, inner, _, outer in network.blocks:
            scaled = (hidden - hidden.mean(1, keepdim=True)) / (
                hidden.var(1, unbiased=False, keepdim=True) + 1e-5
            ).sqrt()
            inside = torch.nn.functional.gelu((norm.weight * scaled + norm.bias) @ inner.weight.T + inner.bias)
            hidden = hidden + inside @ outer.weight.T + outer.bias
        assert torch.allclose(network(x), network.last(hidden), atol=1e-5)

    def test_bfloat16_changes_little(self) -> None:
        torch.manual_seed(0)
        network, x = LiftingNetwork(5, 7, width=64), torch.randn(4, 5)
        exact = network(x)
        network.in_bfloat16 = True
        rounded = network(x)
        assert rounded.dtype == torch.float32
        assert not torch.equal(rounded, exact)
        assert torch.allclose(rounded, exact, atol=0.05)

    @pytest.mark.parametrize("option", [{"width": 0}, {"depth": 0}])
    def test_sizes(self, option) -> None:
        with pytest.raises(ValueError, match=r"width \d+ and depth \d+: expected at least 1"):
            LiftingNetwork(5, 7, **option)


class TestFewRows:
    """Products of a few rows go another way."""

    def plain(self, network: LiftingNetwork, x: torch.Tensor) -> torch.Tensor:
        """The network layer by layer."""
        hidden = network.first(x)
        for block in network.blocks:
            hidden = hidden + block(hidden)
        return network.last(hidden)

    @pytest.mark.parametrize("lead", [(), (1,), (1, 2), (5,), (1, 5), (6,), (3, 4), (0,), (0, 5)])
    def test_give_what_the_layers_give_and_teach_the_same(self, lead) -> None:
        network = LiftingNetwork(7, 9, width=16).double()
        x = torch.randn(*lead, 7, dtype=torch.float64, requires_grad=True)
        wanted = (x, *network.parameters())
        found, expected = network(x), self.plain(network, x)
        torch.testing.assert_close(found, expected.float())
        found, expected = (torch.autograd.grad(y.square().sum(), wanted) for y in (found.double(), expected))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)

    def test_of_a_compiled_network(self) -> None:
        network, x = LiftingNetwork(7, 9, width=16).eval(), torch.randn(1, 5, 7)
        compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), network(x))

    @pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
    def test_of_a_quantised_network(self) -> None:
        network, x = LiftingNetwork(7, 9, width=16).eval(), torch.randn(1, 5, 7)
        quantised = torch.ao.quantization.quantize_dynamic(network, {torch.nn.Linear})
        assert not isinstance(quantised.first, torch.nn.Linear)
        found, expected = quantised(x), network(x)
        assert 0 < (found - expected).abs().max() < 0.1


class TestWithoutImage:
    def test_the_picture_is_not_looked_at(self, body) -> None:
        network, batch = make_network(body), make_batch(body)
        candidates, keypoints2d = candidates_of(batch), batch["inputs"]["keypoints2d"]
        without = network(None, candidates, keypoints2d)
        with_picture = network(torch.randn(4, 3, 112, 112), candidates, keypoints2d)
        assert torch.equal(without.pose, with_picture.pose)
        assert not network.uses_pncc

    def test_each_image_and_each_candidate_alone(self, body) -> None:
        network, batch = make_network(body), make_batch(body)
        candidates, keypoints2d = candidates_of(batch), batch["inputs"]["keypoints2d"]
        together = network(None, candidates, keypoints2d)
        for row in range(4):
            own = Bodies(
                candidates.pose[row : row + 1], candidates.betas[row : row + 1], candidates.transl[row : row + 1]
            )
            alone = network(None, own.take(slice(1, 2)), keypoints2d[row : row + 1])
            assert torch.allclose(alone.pose[0, 0], together.pose[row, 1], atol=1e-5)

    def test_backbone_and_neck_come_together(self, body) -> None:
        with pytest.raises(ValueError, match="give both, or neither"):
            RefinementNetwork(neck={"type": "mion.DeconvNeck", "in_channels": 16}, **network_config(body))

    def test_an_encoder_needs_tokens(self, body) -> None:
        config = network_config(body)
        config["transformer"]["num_encoder_layers"] = 1
        with pytest.raises(ValueError, match="num_encoder_layers is 1, but there are no image tokens"):
            RefinementNetwork(**config)

    def test_an_image_part_needs_an_image(self, make_network, inputs) -> None:
        _, candidates = inputs
        with pytest.raises(ValueError, match="image is None, but the network has an image part"):
            make_network()(None, candidates)

    def test_on_a_gpu_that_is_not_there(self) -> None:
        body = SMPLBody()  # one of its own, since it becomes fake
        network, batch = make_network(body, depths=True), make_batch(body, depths=True)
        candidates = candidates_of(batch)
        network(None, candidates, *batch["inputs"].values())
        with FakeTensorMode(allow_non_fake_inputs=False):
            become_fake(network)
            on_gpu = Bodies.with_mean_shape(
                torch.empty(candidates.pose.shape, device="cuda"), torch.empty(candidates.transl.shape, device="cuda")
            )
            refined = network(None, on_gpu, *(torch.empty(v.shape, device="cuda") for v in batch["inputs"].values()))
        assert refined.pose.device.type == "cuda"


class TestDepths:
    def evidence(self, body, depths) -> torch.Tensor:
        batch = make_batch(body)
        network = make_network(body)
        keypoints2d = batch["inputs"]["keypoints2d"]
        points = candidate_points(candidates_of(batch), body, "coco")[1]
        return keypoint_evidence(keypoints2d, points, network.camera, depths)

    def test_they_stand_behind_the_rest_with_how_certain_they_are(self, body) -> None:
        depths = torch.zeros(4, 17, 2)
        depths[:, 0] = torch.tensor([0.3, 10.0])  # an error of 0.1 m
        depths[:, 1] = torch.tensor([0.4, 1e9])
        depths[:, 2] = torch.tensor([torch.nan, 0.0])
        evidence = self.evidence(body, depths)
        assert torch.equal(evidence[..., :5], self.evidence(body, None))
        assert torch.allclose(evidence[:, :, 0, 5:], torch.tensor([0.3, 0.5]))
        assert torch.allclose(evidence[:, :, 1, 5:], torch.tensor([0.4, 1.0]))
        assert (evidence[:, :, 2:, 5:] == 0).all()

    def test_none_are_unknown_ones(self, body) -> None:
        network, batch = make_network(body, depths=True), make_batch(body, depths=True)
        candidates, keypoints2d = candidates_of(batch), batch["inputs"]["keypoints2d"]
        without = network(None, candidates, keypoints2d)
        assert torch.equal(without.pose, network(None, candidates, keypoints2d, torch.zeros(4, 17, 2)).pose)
        assert not torch.allclose(without.pose, network(None, candidates, keypoints2d, batch["inputs"]["depths"]).pose)

    def test_they_belong_to_keypoints(self, body) -> None:
        with pytest.raises(ValueError, match="depths and lifting belong to keypoints"):
            make_network(body, keypoints=None, lifting=None, depths=True)


class TestTraining:
    def make_model(self, body, pool, seed: int = 0, **options) -> KeypointLifting:
        torch.manual_seed(seed)
        return MODELS.build(
            {
                "type": "mion.KeypointLifting",
                "network": network_config(body, depths=True),
                "selector": CandidateSelector(pool=pool, num_candidates=3, max_fit_loss=500.0, **CAMERA),
                **options,
            }
        )

    def test_the_loss_is_that_of_the_refined_candidates(self, body, pool) -> None:
        model, batch = self.make_model(body, pool, train_candidates=3).eval(), make_batch(body, depths=True)
        inputs, truth = batch["inputs"], batch["data_samples"]
        losses = model(**batch, mode="loss")
        refined = model.network(None, model.selector(inputs["keypoints2d"]), *inputs.values())
        points = body.pose_keypoints(refined.pose, refined.betas, convention="h36m")
        apart = (points - points[..., :1, :]) - (
            truth["keypoints3d"][:, None, :, :3] - truth["keypoints3d"][:, None, :1, :3]
        )
        assert losses["loss_keypoints3d"].item() == pytest.approx(5 * apart.norm(dim=-1).mean().item(), rel=1e-4)
        assert losses["mpjpe"].item() == pytest.approx(1000 * apart.norm(dim=-1).mean().item(), rel=1e-4)

    def test_it_learns_a_batch(self, body, pool) -> None:
        model, batch = self.make_model(body, pool), make_batch(body)
        optimizer = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=3e-3))
        errors = [model.train_step(batch, optimizer)["mpjpe"].item() for _ in range(60)]
        assert errors[-1] < 0.5 * errors[0]

    def test_every_weight_learns(self, body, pool) -> None:
        model, batch = self.make_model(body, pool, train_candidates=2), make_batch(body, depths=True)
        for mlp in (model.network.head.rotation_mlp, model.network.head.camera_mlp, model.network.head.betas_mlp):
            torch.nn.init.normal_(mlp[-1].weight, std=0.05)
        for layer in model.network.transformer.decoder:  # which start silent
            torch.nn.init.normal_(layer.attention.to_output.weight, std=0.05)
            torch.nn.init.normal_(layer.feed_forward[-1].weight, std=0.05)
        sum(value for name, value in model(**batch, mode="loss").items() if name.startswith("loss")).backward()
        assert not [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]

    def test_an_image_part_is_refused(self, body, pool) -> None:
        config = network_config(body) | {
            "backbone": {"type": "mion.TorchvisionResNet", "depth": 18, "num_stages": 1},
            "neck": {"type": "mion.DeconvNeck", "in_channels": 64, "channels": 24, "num_layers": 0},
        }
        with pytest.raises(ValueError, match="trains without pictures"):
            self.make_model(body, pool, network=config)


class TestWinners:
    def test_branches_are_held_to_the_truth_by_how_near_they_start(self, body, make_model, make_samples) -> None:
        plain, relaxed, strict = (
            make_model(selector=None, train_candidates=3, loss=options)
            for options in ({}, {"winner_scale": 0.05, "loser_share": 0.2}, {"winner_scale": 1e-4, "loser_share": 0.0})
        )
        samples, image = make_samples(), torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        refined = plain(image, samples)
        names = ("loss_smpl_pose", "loss_smpl_betas", "loss_keypoints3d")
        terms = {name: [] for name in names}
        for path in range(3):  # the plain loss of each path alone, sample by sample
            for row, sample in enumerate(samples):
                own = Bodies(
                    *(getattr(refined, name)[row : row + 1, path : path + 1] for name in ("pose", "betas", "transl"))
                )
                losses = plain.mesh_loss(own, _targets([sample]), torch.ones(1, dtype=torch.bool), body, plain.camera)
                for name in names:
                    terms[name].append(losses[name].item())
        apart = torch.stack([_distances(sample, body) for sample in samples])  # (2, 3)
        shares = {
            relaxed: 3 * 0.8 * torch.softmax(-apart / 0.05, dim=1) + 0.2,
            strict: 3.0 * torch.nn.functional.one_hot(apart.argmin(dim=1), 3),
        }
        for model, share in shares.items():
            losses = model(image, samples, mode="loss")
            assert losses["loss_keypoints2d"].item() == pytest.approx(
                plain(image, samples, mode="loss")["loss_keypoints2d"].item()
            )
            for name in names:
                expected = (torch.tensor(terms[name]).view(3, 2).T * share).mean().item()
                assert losses[name].item() == pytest.approx(expected, rel=1e-4)

    def test_they_need_the_candidates(self, body, make_model, make_samples) -> None:
        model, samples = make_model(loss={"winner_scale": 0.1}), make_samples()
        refined = model(torch.zeros(2, 3, 32, 32), samples)
        with pytest.raises(ValueError, match="the loss needs the candidates"):
            model.mesh_loss(refined, _targets(samples), refined.valid, body, model.camera)

    @pytest.mark.parametrize("options", [{"winner_scale": 0.0}, {"winner_scale": 0.1, "loser_share": 1.5}])
    def test_options_out_of_range(self, make_model, options) -> None:
        with pytest.raises(ValueError, match="expected None or metres above 0, and 0 to 1"):
            make_model(loss=options)


def _targets(samples):
    return collect_targets(samples, torch.device("cpu"))


def _distances(sample, body) -> torch.Tensor:
    """(N,) mean distance of a sample's candidates' keypoints from the true ones, relative to the pelvis."""
    own = body.pose_keypoints(sample.candidates.pose, convention="h36m")
    true = sample.gt_body.keypoints3d[:, :3]
    return ((own - own[:, :1]) - (true - true[:1])).norm(dim=-1).mean(dim=-1)

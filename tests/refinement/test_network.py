"""``refine``: what goes in, what comes out, and what may not depend on what."""

from __future__ import annotations

import pytest
import roma
import torch
from support.fake_tensors import become_fake
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.body import SMPLBody
from mion_plugin.geometry.camera import project
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.refinement import MeshRefinementTransformer
from mion_plugin.refinement.heads import BodyHead
from mion_plugin.refinement.queries import Keypoints2D, candidate_geometry, keypoint_evidence, sample_features

EVERYTHING = {"add_2d_position": True, "candidate_in_queries": True, "sample_at_joints": True}
VARIANTS = [
    {},
    {"rotation": "residual", **EVERYTHING},
    {"rotation": "residual", "rotation_representation": "axis_angle", "candidate_in_queries": True},
    {"rotation_representation": "axis_angle", "position_encoding": {"type": "mion.SinePositionEncoding2D"}},
]


@pytest.mark.parametrize("options", VARIANTS)
class TestEveryVariant:
    def test_shapes_and_rotations(self, make_model, inputs, options) -> None:
        output = make_model(**options).refine(*inputs)
        numbers = 3 if options.get("rotation_representation") == "axis_angle" else 6
        assert output.pose.shape == (2, 3, 24, 3, 3)
        assert output.betas.shape == (2, 3, 10)
        assert output.transl.shape == (2, 3, 3)
        assert output.raw_rotation.shape == (2, 3, 24, numbers)
        assert roma.is_rotation_matrix(output.pose.flatten(0, 2), epsilon=1e-5)
        assert (output.transl[..., 2] > 0).all()

    def test_one_image_is_the_row_of_a_batch(self, make_model, inputs, options) -> None:
        model = make_model(**options)
        together = model.refine(*inputs)
        for row in range(2):
            alone = model.refine(*(value[row : row + 1] for value in inputs))
            for name in ("pose", "betas", "transl", "raw_rotation"):
                torch.testing.assert_close(getattr(alone, name)[0], getattr(together, name)[row], atol=1e-5, rtol=1e-5)

    def test_permuted_candidates_give_permuted_bodies(self, make_model, inputs, options) -> None:
        model = make_model(**options)
        image, pose, transl = inputs
        order = [2, 0, 1]
        output, permuted = model.refine(*inputs), model.refine(image, pose[:, order], transl[:, order])
        for name in ("pose", "betas", "transl", "raw_rotation"):
            torch.testing.assert_close(getattr(permuted, name), getattr(output, name)[:, order], atol=1e-5, rtol=1e-5)

    def test_backbone_sees_each_image_once(self, make_model, inputs, options) -> None:
        model = make_model(**options)
        model.refine(*inputs)
        assert model.network.backbone.calls == [2]

    def test_gradients_reach_every_parameter(self, make_model, inputs, options) -> None:
        model = make_model(**options).train()
        output = model.refine(*inputs)
        generator = torch.Generator().manual_seed(0)
        sum(
            (value * torch.randn(value.shape, generator=generator)).sum()
            for value in (output.pose, output.betas, output.transl)
        ).backward()
        without = [
            name for name, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0
        ]
        assert not without

    def test_bfloat16_leaves_rotations_in_float32(self, make_model, inputs, options) -> None:
        model = make_model(**options)
        expected = model.refine(*inputs)
        seen = []
        model.network.transformer.register_forward_hook(lambda module, args, result: seen.append(args[0].dtype))
        model.network.transformer.encoder[0].feed_forward[0].register_forward_hook(
            lambda module, args, result: seen.append(result.dtype)
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model.refine(*inputs)
        assert torch.bfloat16 in seen  # autocast did act
        assert {output.pose.dtype, output.betas.dtype, output.transl.dtype, output.raw_rotation.dtype} == {
            torch.float32
        }
        assert roma.is_rotation_matrix(output.pose.flatten(0, 2), epsilon=1e-5)
        torch.testing.assert_close(output.pose, expected.pose, atol=0.03, rtol=0)

    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, make_model, inputs, options) -> None:
        model = make_model(**options, body=SMPLBody())
        model.refine(*inputs)  # makes what the body makes when first asked
        with FakeTensorMode():
            become_fake(model)
            image, pose, transl, pncc = (
                torch.empty(shape, device="cuda") for shape in [*(value.shape for value in inputs), (2, 3, 3, 8, 8)]
            )
            output = model.refine(image, pose, transl, pncc)
            assert {value.device.type for value in vars(output).values()} == {"cuda"}
            with pytest.raises(RuntimeError, match="Device Propagation"):  # so a CPU tensor would be found
                model.refine(image, pose, transl, pncc.cpu())


def test_bfloat16_features_leave_the_rest_in_float32(make_model, inputs) -> None:
    exact, rounded = make_model(), make_model(bfloat16_features=True)
    seen = []
    rounded.network.backbone.register_forward_hook(lambda module, args, result: seen.append(result.dtype))
    rounded.network.transformer.decoder[0].feed_forward[0].register_forward_hook(
        lambda module, args, result: seen.append(result.dtype)
    )
    torch.testing.assert_close(rounded.refine(*inputs).pose, exact.refine(*inputs).pose, atol=0.02, rtol=0)
    assert seen == [torch.bfloat16, torch.float32]


class TestResidual:
    @pytest.mark.parametrize("representation", ["6d", "axis_angle"])
    def test_untrained_returns_the_candidate_itself(self, make_model, inputs, representation: str) -> None:
        model = make_model(start="zero", rotation="residual", rotation_representation=representation, **EVERYTHING)
        for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", dtype=torch.bfloat16)):
            with context:
                output = model.refine(*inputs)
            assert torch.equal(output.pose, roma.rotvec_to_rotmat(inputs[1]))
            assert torch.equal(output.transl, inputs[2])
            assert torch.equal(output.betas, torch.zeros(2, 3, 10))

    def test_the_root_turns_in_the_camera_frame(self) -> None:
        head = BodyHead(8, camera=None, rotation="residual", representation="axis_angle")
        turn = torch.tensor([0.0, 0.4, 0.0])
        nn.init.constant_(head.rotation_mlp[-1].weight, 0.0)
        head.rotation_mlp[-1].bias.data = turn
        _, rotations = head._rotations(head.rotation_mlp(torch.randn(1, 1, 24, 8)))
        torch.testing.assert_close(rotations[0, 0, 0], roma.rotvec_to_rotmat(turn))


class TestAbsolute:
    def test_untrained_is_upright_whatever_the_candidate(self, make_model, inputs) -> None:
        output = make_model(start="zero").refine(*inputs)
        assert torch.equal(output.pose[..., 0, :, :], torch.diag(torch.tensor([1.0, -1.0, -1.0])).expand(2, 3, 3, 3))
        assert torch.equal(output.pose[..., 1:, :, :], torch.eye(3).expand(2, 3, 23, 3, 3))
        assert output.transl[..., 2].unique().item() == pytest.approx(2 * 5000 / (224 * 0.9))

    def test_knows_the_candidate_through_pncc_alone(self, make_model, inputs) -> None:
        image, pose, transl = inputs
        model = make_model()
        pncc = model.render_pncc(pose, transl)
        other = model.refine(image, pose.flip(1), transl.flip(1), pncc)
        assert torch.equal(other.pose, model.refine(image, pose, transl, pncc).pose)
        assert not torch.equal(model.refine(image, pose, transl, pncc.flip(1)).pose, other.pose)

    def test_sine_encoding_knows_no_candidate_and_renders_none(self, make_model, inputs, monkeypatch) -> None:
        model = make_model(position_encoding={"type": "mion.SinePositionEncoding2D"})
        monkeypatch.setattr(model.renderer, "forward", lambda *args: pytest.fail("rendered for nothing"))
        output = model.refine(*inputs)
        torch.testing.assert_close(output.pose, output.pose[:, :1].expand_as(output.pose))


class TestQueries:
    @pytest.mark.parametrize("option", ["candidate_in_queries", "sample_at_joints"])
    def test_each_option_brings_the_candidate_in(self, make_model, inputs, option: str) -> None:
        image, pose, transl = inputs
        model = make_model(**{option: True})
        blank = torch.zeros(2, 3, 3, 8, 8)
        output = model.refine(image, pose, transl, blank)
        assert (output.pose[:, 0] - output.pose[:, 1]).abs().max() > 1e-6

    def test_geometry_is_that_of_the_posed_body(self, inputs, body) -> None:
        _, pose, transl = inputs
        geometry = candidate_geometry(pose, transl, body, CropCamera())
        posed = body(pose, transl=transl)
        torch.testing.assert_close(geometry.pelvis, posed.joints[..., 0, :], atol=1e-5, rtol=0)
        pixels = project(posed.joints, 5000.0, (112.0, 112.0))
        torch.testing.assert_close(geometry.joints2d * 112 + 112, pixels, atol=0.01, rtol=0)

    def test_features_are_sampled_where_they_are(self) -> None:
        features = torch.arange(32.0).view(1, 2, 4, 4)
        points = torch.tensor([[-0.75, -0.75], [0.75, 0.25], [0.0, 0.0], [5.0, 0.0], [1e30, -1e30]])[None, None]
        sampled = sample_features(features, points)
        assert sampled.shape == (1, 1, 5, 2)
        expected = [[0, 16], [11, 27], [(5 + 6 + 9 + 10) / 4, (21 + 22 + 25 + 26) / 4], [0, 0], [0, 0]]
        assert sampled[0, 0].tolist() == expected


class TestKeypointQueries:
    @pytest.fixture
    def model(self, make_model) -> MeshRefinementTransformer:
        return make_model(keypoints_in_queries=True, rotation="residual")

    @pytest.fixture
    def keypoints2d(self) -> torch.Tensor:
        return torch.rand(2, 17, 3, generator=torch.Generator().manual_seed(3)) * torch.tensor([224.0, 224.0, 1.0])

    def refine(self, model, inputs, keypoints2d):
        return model.refine(*inputs, keypoints2d=keypoints2d).pose

    def test_evidence_is_zero_offset_for_the_candidates_own_keypoints(self, inputs, body) -> None:
        _, pose, transl = inputs
        camera = CropCamera()
        geometry = candidate_geometry(pose[:, :1], transl[:, :1], body, camera)
        own = project(body.keypoints(body(pose[:, 0], transl=transl[:, 0]), "lsp"), 5000.0, (112.0, 112.0))
        shift = torch.tensor([7.0, -3.0])
        points = torch.cat([own + shift, torch.full((2, 14, 1), 0.7)], dim=-1)
        evidence = keypoint_evidence(Keypoints2D(points, "lsp"), geometry, body, camera)
        assert evidence.shape == (2, 1, 14, 5)
        torch.testing.assert_close(evidence[:, 0, :, :2], (shift / 112).expand(2, 14, 2), atol=1e-4, rtol=0)
        torch.testing.assert_close(evidence[:, 0, :, 2:4], points[..., :2] / 112 - 1, atol=1e-6, rtol=0)
        assert (evidence[..., 4] == 0.7).all()

    def test_absent_keypoints_may_be_anything(self, model, inputs, keypoints2d) -> None:
        keypoints2d[:, 3, 2] = 0
        expected = self.refine(model, inputs, keypoints2d)
        keypoints2d[:, 3, :2] = torch.nan
        assert torch.equal(self.refine(model, inputs, keypoints2d), expected)

    def test_every_keypoint_matters_to_its_own_image_alone(self, model, inputs, keypoints2d) -> None:
        expected = self.refine(model, inputs, keypoints2d)
        for joint in range(17):
            moved = keypoints2d.clone()
            moved[0, joint, 0] += 10.0
            pose = self.refine(model, inputs, moved)
            assert not torch.equal(pose[0], expected[0])
            assert torch.equal(pose[1], expected[1])

    def test_permuted_candidates_give_permuted_bodies(self, model, inputs, keypoints2d) -> None:
        image, pose, transl = inputs
        order = [2, 0, 1]
        permuted = self.refine(model, (image, pose[:, order], transl[:, order]), keypoints2d)
        torch.testing.assert_close(permuted, self.refine(model, inputs, keypoints2d)[:, order], atol=1e-5, rtol=1e-5)

    def test_missing_or_other_keypoints_are_an_error(self, model, inputs, keypoints2d) -> None:
        with pytest.raises(ValueError, match="queries read 17 2D keypoints, got none"):
            model.refine(*inputs)
        with pytest.raises(ValueError, match=r"keypoints2d has shape \(2, 14, 3\), expected \(2, 17, 3\)"):
            self.refine(model, inputs, keypoints2d[:, :14])

    def test_other_convention(self, make_model, inputs) -> None:
        model = make_model(keypoints_in_queries=True, keypoints2d_convention="lsp")
        assert self.refine(model, inputs, torch.ones(2, 14, 3)).shape == (2, 3, 24, 3, 3)

    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, make_model, inputs, keypoints2d) -> None:
        model = make_model(keypoints_in_queries=True, body=SMPLBody())
        self.refine(model, inputs, keypoints2d)
        with FakeTensorMode():
            become_fake(model)
            shapes = [*(value.shape for value in inputs), (2, 3, 3, 8, 8), keypoints2d.shape]
            output = model.refine(*(torch.empty(shape, device="cuda") for shape in shapes))
            assert output.pose.device.type == "cuda"


def test_bfloat16_transformer_agrees_and_attends_in_float32_on_a_cpu(make_model, inputs, monkeypatch) -> None:
    exact, rounded = make_model(), make_model(bfloat16_transformer=True)
    attend, seen = torch.nn.functional.scaled_dot_product_attention, []

    def watch(query, key, value, **options):
        seen.append(query.dtype)
        return attend(query, key, value, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watch)
    rounded.network.transformer.decoder[0].feed_forward[0].register_forward_hook(
        lambda module, args, result: seen.append(result.dtype)
    )
    torch.testing.assert_close(rounded.refine(*inputs).pose, exact.refine(*inputs).pose, atol=0.03, rtol=0)
    assert seen.count(torch.bfloat16) == 1  # the linear layer
    assert set(seen) == {torch.bfloat16, torch.float32}


def test_pncc_given_is_the_pncc_rendered(make_model, inputs) -> None:
    model = make_model(rotation="residual")
    pncc = model.render_pncc(*inputs[1:])
    assert pncc.shape == (2, 3, 3, 8, 8)
    assert (pncc > 0).any(dim=2).float().mean() > 0.02  # the bodies are in the picture
    assert torch.equal(model.refine(*inputs, pncc).pose, model.refine(*inputs).pose)


def test_2d_position_breaks_the_symmetry_of_tokens(make_model, inputs) -> None:
    """Without it, tokens that see no body can be exchanged."""
    image, pose, transl = inputs
    blank = torch.zeros(2, 3, 3, 8, 8)
    turned = image.flip(-1)
    plain = {"backbone": nn.Conv2d(3, 16, 4, stride=4), "neck": {"type": "mion.DeconvNeck", "in_channels": 16}}
    plain["neck"] |= {"channels": 24, "num_layers": 0}

    def difference(add_2d_position: bool) -> float:
        model = make_model(add_2d_position=add_2d_position, **plain)
        with torch.no_grad():
            weight = model.network.backbone.weight
            weight.copy_(weight + weight.flip(-1))  # a patch and its mirror image look alike
        first, second = (model.refine(picture, pose, transl, blank).pose for picture in (image, turned))
        return (first - second).abs().max().item()

    assert difference(False) < 1e-5
    assert difference(True) > 1e-4


def test_state_dict_holds_the_network_alone(make_model, inputs) -> None:
    model = make_model(**EVERYTHING)
    model.refine(*inputs)
    trained = {name for name, _ in model.named_parameters()}
    others = set(model.state_dict()) - trained
    assert all(name.startswith("network.") for name in trained)
    assert all("running_" in name or "num_batches" in name for name in others)
    assert max(value.numel() for value in model.state_dict().values()) < 6890


class TestBadInput:
    def test_shapes(self, make_model, inputs) -> None:
        model = make_model()
        image, pose, transl = inputs
        with pytest.raises(ValueError, match=r"pose has shape \(3, 24, 3\), expected \(2, N, 24, 3\)"):
            model.refine(image, pose[0], transl)
        with pytest.raises(ValueError, match=r"transl has shape \(2, 2, 3\), expected \(2, 3, 3\)"):
            model.refine(image, pose, transl[:, :2])

    def test_pncc_of_another_resolution(self, make_model, inputs) -> None:
        model = make_model(renderer={"type": "mion.PNCCRenderer", "size": 7})
        with pytest.raises(
            ValueError, match=r"\(2, 3, 3, 7, 7\), expected \(2, N, 3, 8, 8\).*32 x 32.*renderer's size"
        ):
            model.refine(*inputs)

    def test_neck_of_another_width(self, make_model, inputs) -> None:
        neck = {"type": "mion.DeconvNeck", "in_channels": 16, "channels": 12, "num_layers": 1}
        with pytest.raises(ValueError, match="the neck gives 12 channels, expected the transformer's 24"):
            make_model(neck=neck).refine(*inputs)

    @pytest.mark.parametrize(
        ("option", "value", "expected"),
        [
            ("rotation", "relative", "absolute, residual"),
            ("rotation_representation", "quaternion", "6d, axis_angle"),
            ("train_candidates", 0, "at least 1"),
        ],
    )
    def test_config_typos(self, make_model, option: str, value: object, expected: str) -> None:
        with pytest.raises(ValueError, match=f"{option} is .*{value}.*{expected}"):
            make_model(**{option: value})


def test_both_names_are_registered() -> None:
    from mion_plugin.registry import MODELS

    assert MODELS.get("mion.MRT") is MODELS.get("mion.MeshRefinementTransformer") is MeshRefinementTransformer

"""The network: what goes in, what comes out, and what may not depend on what."""

from __future__ import annotations

from dataclasses import replace

import pytest
import roma
import torch
from support.fake_tensors import become_fake
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.geometry.camera import project
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.sampling import sample_features
from mion_plugin.refinement import MeshRefinementTransformer, RefinementNetwork
from mion_plugin.refinement.encoding import candidate_points, keypoint_evidence
from mion_plugin.refinement.heads import BodyHead
from mion_plugin.refinement.network import build_refiner
from mion_plugin.registry import MODELS

RESIDUAL = {"rotation": "residual"}
EVERYTHING = {"add_2d_position": True, "queries": {"candidate": True, "features": True}}
VARIANTS = [
    {},
    {"head": RESIDUAL, **EVERYTHING},
    {"head": {**RESIDUAL, "representation": "axis_angle"}, "queries": {"candidate": True}},
    {"head": {"representation": "axis_angle"}, "position_encoding": {"type": "mion.SinePositionEncoding2D"}},
]
FIELDS = ("pose", "betas", "transl")


def of_image(candidates: Bodies, row: int) -> Bodies:
    """The candidates of one image, as a batch of one."""
    rows = slice(row, row + 1)
    return Bodies(**{name: getattr(candidates, name)[rows] for name in (*FIELDS, "valid")})


def blank_pncc(candidates: Bodies) -> Bodies:
    """The candidates with pictures that show nothing."""
    return replace(candidates, pncc=torch.zeros(*candidates.transl.shape[:2], 3, 8, 8))


@pytest.mark.parametrize("options", VARIANTS)
class TestEveryVariant:
    def test_shapes_and_rotations(self, make_network, inputs, options) -> None:
        network = make_network(**options)
        output = network(*inputs)
        numbers = 3 if options.get("head", {}).get("representation") == "axis_angle" else 6
        assert type(output) is Bodies
        assert output.pose.shape == (2, 3, 24, 3, 3)
        assert output.betas.shape == (2, 3, 10)
        assert output.transl.shape == (2, 3, 3)
        assert network.head.rotation_mlp[-1].out_features == numbers
        assert roma.is_rotation_matrix(output.pose.flatten(0, 2), epsilon=1e-5)
        assert (output.transl[..., 2] > 0).all()
        assert output.fit_loss is output.pncc is None

    def test_one_image_is_the_row_of_a_batch(self, make_network, inputs, options) -> None:
        network = make_network(**options)
        image, candidates = inputs
        together = network(*inputs)
        for row in range(2):
            alone = network(image[row : row + 1], of_image(candidates, row))
            for name in FIELDS:
                torch.testing.assert_close(getattr(alone, name)[0], getattr(together, name)[row], atol=1e-5, rtol=1e-5)

    def test_permuted_candidates_give_permuted_bodies(self, make_network, inputs, options) -> None:
        network = make_network(**options)
        image, candidates = inputs
        order = [2, 0, 1]
        output, permuted = network(*inputs), network(image, candidates.take(torch.tensor([order, order])))
        for name in FIELDS:
            torch.testing.assert_close(getattr(permuted, name), getattr(output, name)[:, order], atol=1e-5, rtol=1e-5)

    def test_backbone_sees_each_image_once(self, make_network, inputs, options) -> None:
        network = make_network(**options)
        network(*inputs)
        assert network.backbone.calls == [2]

    def test_gradients_reach_every_parameter(self, make_network, inputs, options) -> None:
        network = make_network(**options).train()
        output = network(*inputs)
        generator = torch.Generator().manual_seed(0)
        sum(
            (value * torch.randn(value.shape, generator=generator)).sum()
            for value in (output.pose, output.betas, output.transl)
        ).backward()
        without = [
            name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0
        ]
        assert not without

    def test_bfloat16_leaves_rotations_in_float32(self, make_network, inputs, options) -> None:
        network = make_network(**options)
        expected = network(*inputs)
        seen = []
        network.transformer.register_forward_hook(lambda module, args, result: seen.append(args[0].dtype))
        network.transformer.encoder[0].feed_forward[0].register_forward_hook(
            lambda module, args, result: seen.append(result.dtype)
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = network(*inputs)
        assert torch.bfloat16 in seen  # autocast did act
        assert {output.pose.dtype, output.betas.dtype, output.transl.dtype} == {torch.float32}
        assert roma.is_rotation_matrix(output.pose.flatten(0, 2), epsilon=1e-5)
        torch.testing.assert_close(output.pose, expected.pose, atol=0.03, rtol=0)

    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, make_network, inputs, options) -> None:
        network = make_network(**options, body=SMPLBody())
        network(*inputs)  # makes what the body makes when first asked
        with FakeTensorMode():
            become_fake(network)
            image, pose, transl, pncc = (
                torch.empty(shape, device="cuda")
                for shape in (inputs[0].shape, inputs[1].pose.shape, inputs[1].transl.shape, (2, 3, 3, 8, 8))
            )
            output = network(image, Bodies.with_mean_shape(pose, transl, pncc=pncc))
            assert {getattr(output, name).device.type for name in (*FIELDS, "valid")} == {"cuda"}
            with pytest.raises(RuntimeError, match="Device Propagation"):  # so a CPU tensor would be found
                network(image, Bodies.with_mean_shape(pose, transl, pncc=pncc.cpu()))

    def test_candidates_may_have_matrices(self, make_network, inputs, options) -> None:
        network = make_network(**options)
        image, candidates = inputs
        turned = network(image, replace(candidates, pose=roma.rotvec_to_rotmat(candidates.pose)))
        for name in FIELDS:
            torch.testing.assert_close(getattr(turned, name), getattr(network(*inputs), name), atol=1e-5, rtol=1e-5)

    def test_candidates_are_taken_with_the_mean_shape(self, make_network, inputs, options) -> None:
        network = make_network(**options)
        image, candidates = inputs
        shaped = network(image, replace(candidates, betas=torch.full((2, 3, 10), 2.0)))
        for name in FIELDS:
            assert torch.equal(getattr(shaped, name), getattr(network(*inputs), name))


def test_bfloat16_features_leave_the_rest_in_float32(make_network, inputs) -> None:
    exact, rounded = make_network(), make_network(bfloat16_features=True)
    seen = []
    rounded.backbone.register_forward_hook(lambda module, args, result: seen.append(result.dtype))
    rounded.transformer.decoder[0].feed_forward[0].register_forward_hook(
        lambda module, args, result: seen.append(result.dtype)
    )
    torch.testing.assert_close(rounded(*inputs).pose, exact(*inputs).pose, atol=0.02, rtol=0)
    assert seen == [torch.bfloat16, torch.float32]


def test_bodies_are_valid_where_their_candidates_are(make_network, inputs) -> None:
    image, candidates = inputs
    valid = torch.tensor([True, False])
    assert make_network()(image, candidates).valid.tolist() == [True, True]
    assert torch.equal(make_network()(image, replace(candidates, valid=valid)).valid, valid)


class TestResidual:
    @pytest.mark.parametrize("representation", ["6d", "axis_angle"])
    def test_untrained_returns_the_candidate_itself(self, make_network, inputs, representation: str) -> None:
        network = make_network(start="zero", head={**RESIDUAL, "representation": representation}, **EVERYTHING)
        for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", dtype=torch.bfloat16)):
            with context:
                output = network(*inputs)
            assert torch.equal(output.pose, roma.rotvec_to_rotmat(inputs[1].pose))
            assert torch.equal(output.transl, inputs[1].transl)
            assert torch.equal(output.betas, torch.zeros(2, 3, 10))

    def test_the_root_turns_in_the_camera_frame(self) -> None:
        head = BodyHead(8, camera=None, rotation="residual", representation="axis_angle")
        turn = torch.tensor([0.0, 0.4, 0.0])
        nn.init.constant_(head.rotation_mlp[-1].weight, 0.0)
        head.rotation_mlp[-1].bias.data = turn
        rotations = head._rotations(head.rotation_mlp(torch.randn(1, 1, 24, 8)))
        torch.testing.assert_close(rotations[0, 0, 0], roma.rotvec_to_rotmat(turn))


class TestAbsolute:
    def test_untrained_is_upright_whatever_the_candidate(self, make_network, inputs) -> None:
        output = make_network(start="zero")(*inputs)
        assert torch.equal(output.pose[..., 0, :, :], torch.diag(torch.tensor([1.0, -1.0, -1.0])).expand(2, 3, 3, 3))
        assert torch.equal(output.pose[..., 1:, :, :], torch.eye(3).expand(2, 3, 23, 3, 3))
        assert output.transl[..., 2].unique().item() == pytest.approx(2 * 5000 / (224 * 0.9))

    def test_knows_the_candidate_through_pncc_alone(self, make_network, inputs) -> None:
        image, candidates = inputs
        network = make_network()
        pncc = network.render_pncc(candidates)
        flipped = Bodies.with_mean_shape(candidates.pose.flip(1), candidates.transl.flip(1), pncc=pncc)
        other = network(image, flipped)
        assert torch.equal(other.pose, network(image, replace(candidates, pncc=pncc)).pose)
        assert not torch.equal(network(image, replace(candidates, pncc=pncc.flip(1))).pose, other.pose)

    def test_sine_encoding_knows_no_candidate_and_renders_none(self, make_network, inputs, monkeypatch) -> None:
        network = make_network(position_encoding={"type": "mion.SinePositionEncoding2D"})
        monkeypatch.setattr(network.renderer, "forward", lambda *args: pytest.fail("rendered for nothing"))
        output = network(*inputs)
        torch.testing.assert_close(output.pose, output.pose[:, :1].expand_as(output.pose))


class TestQueries:
    @pytest.mark.parametrize("option", ["candidate", "features"])
    def test_each_option_brings_the_candidate_in(self, make_network, inputs, option: str) -> None:
        image, candidates = inputs
        output = make_network(queries={option: True})(image, blank_pncc(candidates))
        assert (output.pose[:, 0] - output.pose[:, 1]).abs().max() > 1e-6

    def test_encoded_candidates_are_those_of_the_posed_body(self, make_network, inputs, body) -> None:
        _, candidates = inputs
        encoded = make_network().encode(candidates)
        posed = body(candidates.pose, transl=candidates.transl)
        joints, keypoints = candidate_points(candidates, body, "lsp")
        torch.testing.assert_close(joints, posed.joints, atol=1e-5, rtol=0)
        torch.testing.assert_close(keypoints, body.keypoints(posed, "lsp"), atol=1e-5, rtol=0)
        torch.testing.assert_close(encoded.pelvis, posed.joints[..., 0, :], atol=1e-5, rtol=0)
        pixels = project(posed.joints, 5000.0, (112.0, 112.0))
        torch.testing.assert_close(encoded.joints2d * 112 + 112, pixels, atol=0.01, rtol=0)
        assert torch.equal(encoded.rotations, roma.rotvec_to_rotmat(candidates.pose))
        assert torch.equal(encoded.transl, candidates.transl)
        assert encoded.evidence is None

    def test_features_are_sampled_where_they_are(self) -> None:
        features = torch.arange(32.0).view(1, 2, 4, 4)
        points = torch.tensor([[-0.75, -0.75], [0.75, 0.25], [0.0, 0.0], [5.0, 0.0], [1e30, -1e30]])[None, None]
        sampled = sample_features(features, points)
        assert sampled.shape == (1, 1, 5, 2)
        expected = [[0, 16], [11, 27], [(5 + 6 + 9 + 10) / 4, (21 + 22 + 25 + 26) / 4], [0, 0], [0, 0]]
        assert sampled[0, 0].tolist() == expected


class TestKeypointQueries:
    @pytest.fixture
    def network(self, make_network) -> RefinementNetwork:
        return make_network(queries={"keypoints": "coco"}, head=RESIDUAL)

    @pytest.fixture
    def keypoints2d(self) -> torch.Tensor:
        return torch.rand(2, 17, 3, generator=torch.Generator().manual_seed(3)) * torch.tensor([224.0, 224.0, 1.0])

    def test_a_confidence_above_one_is_one(self, inputs, keypoints2d, body) -> None:
        _, candidates = inputs
        sure, surer = (keypoints2d.index_fill(-1, torch.tensor([2]), value) for value in (1.0, 1e30))
        points = candidate_points(candidates, body, "coco")[1]
        found, expected = (keypoint_evidence(one, points, CropCamera()) for one in (surer, sure))
        assert torch.equal(found, expected)

    def test_evidence_is_zero_offset_for_the_candidates_own_keypoints(self, inputs, body) -> None:
        first = inputs[1].take(slice(1))
        own = project(body.keypoints(body(first.pose[:, 0], transl=first.transl[:, 0]), "lsp"), 5000.0, (112.0, 112.0))
        shift = torch.tensor([7.0, -3.0])
        points = torch.cat([own + shift, torch.full((2, 14, 1), 0.7)], dim=-1)
        evidence = keypoint_evidence(points, candidate_points(first, body, "lsp")[1], CropCamera())
        assert evidence.shape == (2, 1, 14, 5)
        torch.testing.assert_close(evidence[:, 0, :, :2], (shift / 112).expand(2, 14, 2), atol=1e-4, rtol=0)
        torch.testing.assert_close(evidence[:, 0, :, 2:4], points[..., :2] / 112 - 1, atol=1e-6, rtol=0)
        assert (evidence[..., 4] == 0.7).all()

    def test_evidence_is_encoded_with_the_candidates(self, network, inputs, keypoints2d, body) -> None:
        _, candidates = inputs
        expected = keypoint_evidence(keypoints2d, candidate_points(candidates, body, "coco")[1], CropCamera())
        assert torch.equal(network.encode(candidates, keypoints2d).evidence, expected)

    def test_absent_keypoints_may_be_anything(self, network, inputs, keypoints2d) -> None:
        keypoints2d[:, 3, 2] = 0
        expected = network(*inputs, keypoints2d).pose
        keypoints2d[:, 3, :2] = torch.nan
        assert torch.equal(network(*inputs, keypoints2d).pose, expected)
        keypoints2d[:, 3, 2] = 1  # absent, too, as for the fit: there is no such place
        assert torch.equal(network(*inputs, keypoints2d).pose, expected)

    def test_every_keypoint_matters_to_its_own_image_alone(self, network, inputs, keypoints2d) -> None:
        expected = network(*inputs, keypoints2d).pose
        for joint in range(17):
            moved = keypoints2d.clone()
            moved[0, joint, 0] += 10.0
            pose = network(*inputs, moved).pose
            assert not torch.equal(pose[0], expected[0])
            assert torch.equal(pose[1], expected[1])

    def test_permuted_candidates_give_permuted_bodies(self, network, inputs, keypoints2d) -> None:
        image, candidates = inputs
        order = [2, 0, 1]
        permuted = network(image, candidates.take(torch.tensor([order, order])), keypoints2d).pose
        torch.testing.assert_close(permuted, network(*inputs, keypoints2d).pose[:, order], atol=1e-5, rtol=1e-5)

    def test_missing_or_other_keypoints_are_an_error(self, network, inputs, keypoints2d) -> None:
        with pytest.raises(ValueError, match="queries read 17 2D keypoints, got none"):
            network(*inputs)
        with pytest.raises(ValueError, match=r"keypoints2d has shape \(2, 14, 3\), expected \(2, 17, 3\)"):
            network(*inputs, keypoints2d[:, :14])

    def test_queries_that_read_none_ignore_them(self, make_network, inputs, keypoints2d) -> None:
        network = make_network(queries={"candidate": True})
        for given in (keypoints2d, keypoints2d[:, :14]):
            assert torch.equal(network(*inputs, given).pose, network(*inputs).pose)

    def test_other_convention(self, make_network, inputs) -> None:
        network = make_network(queries={"keypoints": "lsp"})
        assert network.queries.num_keypoints == 14
        assert network(*inputs, torch.ones(2, 14, 3)).pose.shape == (2, 3, 24, 3, 3)

    def test_fake_cuda_tensors_meet_no_cpu_tensor(self, make_network, inputs, keypoints2d) -> None:
        network = make_network(queries={"keypoints": "coco"}, body=SMPLBody())
        network(*inputs, keypoints2d)
        with FakeTensorMode():
            become_fake(network)
            shapes = (inputs[0].shape, inputs[1].pose.shape, inputs[1].transl.shape, (2, 3, 3, 8, 8), keypoints2d.shape)
            image, pose, transl, pncc, points = (torch.empty(shape, device="cuda") for shape in shapes)
            output = network(image, Bodies.with_mean_shape(pose, transl, pncc=pncc), points)
            assert output.pose.device.type == "cuda"


def test_encoding_and_decoding_are_the_network(make_network, inputs) -> None:
    network = make_network(**EVERYTHING)
    image, candidates = inputs
    output, decoded = network(*inputs), network.decode(image, network.encode(candidates))
    for name in FIELDS:
        assert torch.equal(getattr(output, name), getattr(decoded, name))


def test_bfloat16_transformer_agrees_and_attends_in_float32_on_a_cpu(make_network, inputs, monkeypatch) -> None:
    exact, rounded = make_network(), make_network(transformer={"bfloat16": True})
    attend, seen = torch.nn.functional.scaled_dot_product_attention, []

    def watch(query, key, value, **options):
        seen.append(query.dtype)
        return attend(query, key, value, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watch)
    rounded.transformer.decoder[0].feed_forward[0].register_forward_hook(
        lambda module, args, result: seen.append(result.dtype)
    )
    torch.testing.assert_close(rounded(*inputs).pose, exact(*inputs).pose, atol=0.03, rtol=0)
    assert seen.count(torch.bfloat16) == 1  # the linear layer
    assert set(seen) == {torch.bfloat16, torch.float32}


def test_pncc_given_is_the_pncc_rendered(make_network, inputs) -> None:
    network = make_network(head=RESIDUAL)
    image, candidates = inputs
    pncc = network.render_pncc(candidates)
    assert pncc.shape == (2, 3, 3, 8, 8)
    assert (pncc > 0).any(dim=2).float().mean() > 0.02  # the bodies are in the picture
    assert torch.equal(network(image, replace(candidates, pncc=pncc)).pose, network(*inputs).pose)


def test_2d_position_breaks_the_symmetry_of_tokens(make_network, inputs) -> None:
    """Without it, tokens that see no body can be exchanged."""
    image, candidates = inputs[0], blank_pncc(inputs[1])
    turned = image.flip(-1)
    plain = {"backbone": nn.Conv2d(3, 16, 4, stride=4), "neck": {"type": "mion.DeconvNeck", "in_channels": 16}}
    plain["neck"] |= {"channels": 24, "num_layers": 0}

    def difference(add_2d_position: bool) -> float:
        network = make_network(add_2d_position=add_2d_position, **plain)
        with torch.no_grad():
            weight = network.backbone.weight
            weight.copy_(weight + weight.flip(-1))  # a patch and its mirror image look alike
        first, second = (network(picture, candidates).pose for picture in (image, turned))
        return (first - second).abs().max().item()

    assert difference(False) < 1e-5
    assert difference(True) > 1e-4


def test_state_dict_holds_the_network_alone(make_model, inputs) -> None:
    model = make_model(**EVERYTHING)
    model.network(*inputs)
    trained = {name for name, _ in model.named_parameters()}
    others = set(model.state_dict()) - trained
    assert all(name.startswith("network.") for name in trained)
    assert all("running_" in name or "num_batches" in name for name in others)
    assert max(value.numel() for value in model.state_dict().values()) < 6890


class TestBadInput:
    def test_shapes(self, make_network, inputs) -> None:
        network = make_network()
        image, candidates = inputs
        with pytest.raises(ValueError, match=r"pose has shape \(3, 24, 3\), expected \(2, N, 24, 3\)"):
            network(image, replace(candidates, pose=candidates.pose[0]))
        with pytest.raises(ValueError, match=r"pose has shape \(1, 3, 24, 3\), expected \(2, N, 24, 3\)"):
            network(image, replace(candidates, pose=candidates.pose[:1]))
        with pytest.raises(ValueError, match=r"pose has shape \(2, 3, 23, 3\), expected \(2, N, 24, 3\)"):
            network(image, replace(candidates, pose=candidates.pose[:, :, 1:]))
        with pytest.raises(ValueError, match=r"transl has shape \(2, 2, 3\), expected \(2, 3, 3\)"):
            network(image, replace(candidates, transl=candidates.transl[:, :2]))

    def test_pncc_of_another_resolution(self, make_network, inputs) -> None:
        network = make_network(renderer={"type": "mion.PNCCRenderer", "size": 7})
        with pytest.raises(
            ValueError, match=r"\(2, 3, 3, 7, 7\), expected \(2, N, 3, 8, 8\).*32 x 32.*renderer's size"
        ):
            network(*inputs)

    def test_neck_of_another_width(self, make_network, inputs) -> None:
        neck = {"type": "mion.DeconvNeck", "in_channels": 16, "channels": 12, "num_layers": 1}
        with pytest.raises(ValueError, match="the neck gives 12 channels, expected the transformer's 24"):
            make_network(neck=neck)(*inputs)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"head": {"rotation": "relative"}}, "rotation is 'relative', expected one of absolute, residual"),
            (
                {"head": {"representation": "quaternion"}},
                "representation is 'quaternion', expected one of 6d, axis_angle",
            ),
            ({"queries": {"keypoints": "cocoa"}}, "unknown keypoint convention 'cocoa'"),
            ({"train_candidates": 0}, "train_candidates is 0, expected at least 1"),
        ],
    )
    def test_config_typos(self, make_model, options, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            make_model(**options)

    @pytest.mark.parametrize("part", ["head", "queries", "transformer"])
    def test_unknown_options_of_a_part(self, make_network, part: str) -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            make_network(**{part: {"colour": 1}})


def test_names_are_registered() -> None:
    assert MODELS.get("mion.MRT") is MODELS.get("mion.MeshRefinementTransformer") is MeshRefinementTransformer
    assert MODELS.get("mion.RefinementNetwork") is RefinementNetwork


def test_a_refiner_is_a_network_or_the_model_around_it(make_model) -> None:
    model = make_model()
    assert build_refiner(model) is build_refiner(model.network) is model.network
    backbone = {"type": "mion.TorchvisionResNet", "depth": 18}
    neck = {"type": "mion.DeconvNeck", "in_channels": 512, "channels": 384}
    config = {"type": "mion.RefinementNetwork", "backbone": backbone, "neck": neck, "body": model.body}
    assert isinstance(build_refiner(config), RefinementNetwork)
    assert isinstance(build_refiner({"type": "mion.MRT", "network": config, "selector": None}), RefinementNetwork)

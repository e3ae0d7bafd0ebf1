from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from mion_plugin.consistency import ConsistencyEstimationNetwork
from mion_plugin.geometry.sampling import sample_features
from mion_plugin.registry import MODELS
from mion_plugin.rendering.pncc import normalized_coordinate_code

OPTIONS = [
    {},
    {"output": "low_rank", "num_anchors": 16},
    {"output": "local", "num_anchors": 16},
    {"pooling": "body"},
    {"crop_to_body": True},
    {"output": "local", "num_anchors": 16, "crop_to_body": True},
]


@pytest.mark.parametrize("options", OPTIONS)
class TestScores:
    def test_are_the_mean_of_the_distances(self, make_cen, images, vertices, options) -> None:
        cen = make_cen(**options)
        distances = cen.distances(images, vertices)
        assert distances.shape == (2, 4, 6890)
        assert distances.dtype == torch.float32
        torch.testing.assert_close(cen(images, vertices), distances.mean(dim=-1))
        assert cen(images, vertices).std(dim=1).min() > 1e-4  # they tell bodies apart

    def test_of_a_body_do_not_depend_on_the_others(self, make_cen, images, vertices, options) -> None:
        cen = make_cen(**options)
        scores = cen(images, vertices)
        alone = torch.cat([cen(images[row : row + 1], vertices[row : row + 1, [2]]) for row in (0, 1)])
        torch.testing.assert_close(alone[:, 0], scores[:, 2], atol=1e-5, rtol=1e-4)
        order = torch.tensor([3, 1, 0, 2])
        torch.testing.assert_close(cen(images, vertices[:, order]), scores[:, order], atol=1e-5, rtol=1e-4)

    def test_depend_on_image_pose_and_place(self, make_cen, images, vertices, options) -> None:
        cen = make_cen(**options)
        scores = cen(images, vertices)
        moved = vertices + torch.tensor([0.3, 0.0, 0.0])
        for other in (cen(images.flip(0), vertices), cen(images, vertices.flip(1)), cen(images, moved)):
            assert ((other - scores).abs() > 1e-5).all()

    def test_of_bodies_are_those_of_their_vertices(self, make_cen, images, candidates, vertices, options) -> None:
        cen = make_cen(**options)
        torch.testing.assert_close(cen(images, candidates), cen(images, vertices))
        torch.testing.assert_close(cen.distances(images, candidates), cen.distances(images, vertices))

    def test_teach_every_parameter(self, make_cen, images, vertices, options) -> None:
        cen = make_cen(**options)
        cen(images, vertices).sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in cen.parameters())


class TestBodiesThatAreNotBeforeTheCamera:
    """A mesh as HMR, SPIN or PARE give it lies around the camera: its score would mean nothing."""

    MESSAGE = r"body 2 of image 1 is not before the camera \(depth -\d\.\d\d m\): add its translation, .*weak_persp"

    def test_meshes(self, make_cen, images, candidates, vertices) -> None:
        cen = make_cen()
        unmoved = vertices.clone()
        unmoved[1, 2] -= candidates.transl[1, 2]
        with pytest.raises(ValueError, match=self.MESSAGE):
            cen(images, unmoved)
        with pytest.raises(ValueError, match="body 0 of image 0 is not before"):
            cen.distances(images, vertices - candidates.transl[..., None, :])

    def test_bodies(self, make_cen, images, candidates) -> None:
        transl = candidates.transl.clone()
        transl[1, 2, 2] *= -0.1
        with pytest.raises(ValueError, match=self.MESSAGE):
            make_cen()(images, replace(candidates, transl=transl))


class TestInput:
    def test_of_bodies_is_that_of_their_vertices(self, make_cen, images, candidates, vertices) -> None:
        cen = make_cen(output="local", num_anchors=16, crop_to_body=True)
        encoded, expected = cen.encode(images, candidates), cen.encode(images, vertices)
        for name, value in vars(expected).items():
            torch.testing.assert_close(getattr(encoded, name), value)

    def test_bodies_are_posed_by_the_networks_body_with_shape_and_place(
        self, make_cen, images, candidates, body
    ) -> None:
        cen, shaped = make_cen(), replace(candidates, betas=torch.full((2, 4, 10), 1.5))
        vertices = body(shaped.pose, shaped.betas, shaped.transl).vertices
        torch.testing.assert_close(cen(images, shaped), cen(images, vertices))
        assert (cen(images, shaped) - cen(images, candidates)).abs().min() > 1e-6

    def test_bodies_are_skinned_once_and_get_no_gradient(self, make_cen, images, candidates, body) -> None:
        cen, calls = make_cen(), []
        handle = body.register_forward_hook(lambda *args: calls.append(1))
        for _ in range(2):
            cen(images, candidates)
        handle.remove()
        assert calls == [1]
        trained = replace(candidates, betas=torch.zeros(2, 4, 10, requires_grad=True))
        cen(images, trained).sum().backward()
        assert trained.betas.grad is None

    def test_encoding_and_decoding_are_the_distances(self, make_cen, images, candidates) -> None:
        cen = make_cen(output="local", num_anchors=16)
        decoded = cen.decode(cen.encode(images, candidates))
        assert torch.equal(decoded.view(2, 4, -1), cen.distances(images, candidates))

    def test_is_the_image_and_the_pncc_at_its_size(self, make_cen, images, vertices) -> None:
        cen = make_cen()
        inputs = cen.encode(images, vertices).picture.unflatten(0, (2, 4))
        assert inputs.shape == (2, 4, 6, 32, 32)
        assert torch.equal(inputs[:, :, :3], images[:, None].expand(2, 4, 3, 32, 32))
        expected = cen.renderer(vertices[1], 5000.0, (112.0, 112.0), 224)
        assert torch.equal(inputs[1, :, 3:], expected)
        assert (expected > 0).any()

    def test_zoomed(self, make_cen, images, vertices) -> None:
        plain, zoomed = (make_cen(crop_to_body=zoom).encode(images, vertices).picture for zoom in (False, True))
        far = vertices + vertices.mean(dim=2, keepdim=True)  # twice as far away
        plain_far, zoomed_far = (make_cen(crop_to_body=zoom).encode(images, far).picture for zoom in (False, True))
        covered = [(inputs[:, 3:] > 0).any(dim=1).sum() for inputs in (plain, plain_far, zoomed, zoomed_far)]
        assert covered[1] < 0.35 * covered[0]
        assert covered[3] == pytest.approx(float(covered[2]), rel=0.05)


class TestAnchors:
    OPTIONS: ClassVar = {"output": "local", "num_anchors": 16}

    @pytest.mark.parametrize("zoom", [False, True])
    def test_lie_where_the_picture_shows_them(self, make_cen, images, vertices, zoom) -> None:
        """An anchor's PNCC colour is its rest position, unless something lies before it."""
        renderer = {"type": "mion.PNCCRenderer", "size": 256}
        cen = make_cen(output="local", num_anchors=128, crop_to_body=zoom, renderer=renderer)
        bodies = cen.encode(torch.zeros(2, 3, 256, 256), vertices)
        pncc = sample_features(bodies.picture[:, 3:], bodies.places[:, None])[:, 0]
        colours = normalized_coordinate_code(cen.body.v_template)[cen.head.anchors]
        same = ((pncc - colours).abs() < 0.03).all(dim=-1).float().mean()
        mirrored = sample_features(bodies.picture[:, 3:], -bodies.places[:, None])[:, 0]
        by_chance = ((mirrored - colours).abs() < 0.03).all(dim=-1).float().mean()
        assert same > 0.3 > 0.01 > by_chance

    def test_offsets_are_those_of_the_body_alone(self, make_cen, images, vertices) -> None:
        cen = make_cen(**self.OPTIONS)
        here, there = (cen.encode(images, vertices + shift).offsets for shift in (0.0, 1.5))
        torch.testing.assert_close(here, there, atol=1e-5, rtol=0)
        body = vertices[1, 2]
        expected = (body[cen.head.anchors] - body.mean(dim=0)) / cen.body_height
        torch.testing.assert_close(here.unflatten(0, (2, 4))[1, 2], expected)

    def test_other_heads_have_none(self, make_cen, images, vertices) -> None:
        assert make_cen(output="low_rank", num_anchors=16).encode(images, vertices).places is None


class TestPooling:
    def test_body_sees_covered_features_alone(self, make_cen) -> None:
        cen = make_cen(pooling="body")
        features = torch.arange(16.0).view(1, 1, 4, 4)
        pncc = torch.zeros(1, 3, 8, 8)
        pncc[:, 1, 2:4, 4:6] = 0.5  # all of feature (1, 2)
        pncc[:, 0, 6, 0] = 0.5  # a quarter of feature (3, 0)
        assert cen._pool(features, pncc).item() == pytest.approx((6.0 + 0.25 * 12.0) / 1.25)

    def test_a_body_outside_the_image_is_scored_by_all(self, make_cen, images, vertices) -> None:
        cen = make_cen(pooling="body")
        outside = vertices + torch.tensor([50.0, 0.0, 0.0])
        torch.testing.assert_close(cen(images, outside), make_cen()(images, outside))


class TestDefaults:
    def test_are_the_papers(self) -> None:
        cen = MODELS.build({"type": "mion.CEN"})
        assert type(cen) is MODELS.get("ConsistencyEstimationNetwork") is ConsistencyEstimationNetwork
        assert cen.backbone.conv1.weight.shape == (64, 6, 7, 7)
        assert sum(len(cen.backbone.get_submodule(stage)) for stage in cen.backbone.stages) == 16  # ResNet-34
        assert cen.head.linear.weight.shape == (6890, 512)
        assert (cen.renderer.height, cen.renderer.width) == (224, 224)

    def test_the_state_dict_holds_no_body(self, make_cen) -> None:
        names = set(make_cen(output="low_rank").state_dict())
        assert all(name.startswith(("backbone.", "head.linear.")) for name in names)

    def test_untrained_scores_are_a_typical_distance(self, body, images, vertices) -> None:
        backbone = {"type": "mion.TinyBackbone"}
        renderer = {"type": "mion.PNCCRenderer", "size": 32}
        scores = ConsistencyEstimationNetwork(backbone, renderer=renderer, body=body)(images, vertices)
        torch.testing.assert_close(scores, torch.full((2, 4), 0.1), atol=0.02, rtol=0)

    def test_bfloat16_stays_near(self, make_cen, images, vertices) -> None:
        exact, rough = (make_cen(bfloat16_features=rounded)(images, vertices) for rounded in (False, True))
        assert rough.dtype == torch.float32
        assert not torch.equal(exact, rough)
        torch.testing.assert_close(rough, exact, atol=0.02, rtol=0.05)

    def test_a_backbone_with_several_maps(self, body, images, vertices) -> None:
        class Pyramid(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv = torch.nn.Conv2d(6, 5, 8, stride=8)

            def forward(self, inputs):
                return inputs, self.conv(inputs)

        options = {"renderer": {"type": "mion.PNCCRenderer", "size": 32}, "body": body}
        cen = ConsistencyEstimationNetwork(Pyramid(), feature_channels=5, **options)
        assert cen(images, vertices).shape == (2, 4)
        with pytest.raises(ValueError, match="feature_channels must tell how many channels"):
            ConsistencyEstimationNetwork(Pyramid(), **options)


class TestBadInput:
    def test_options(self, make_cen) -> None:
        with pytest.raises(ValueError, match="output is 'joints', expected one of vertices, low_rank, local"):
            make_cen(output="joints")
        with pytest.raises(ValueError, match="pooling is 'max', expected one of all, body"):
            make_cen(pooling="max")

    def test_shapes(self, make_cen, images, candidates, vertices) -> None:
        cen = make_cen()
        with pytest.raises(ValueError, match=r"images are torch.uint8 .*expected normalised floats"):
            cen(images.to(torch.uint8), vertices)
        with pytest.raises(ValueError, match="images are 16 x 32, but the renderer makes 32 x 32; set its size"):
            cen(images[:, :, :16], vertices)
        for wrong in (vertices[:1], vertices[0], vertices[:, :, :10], vertices[:, :0]):
            with pytest.raises(ValueError, match=r"vertices have shape .*, expected \(2, N, 6890, 3\)"):
                cen(images, wrong)
        with pytest.raises(ValueError, match=r"vertices have shape \(2, 0, 6890, 3\), expected \(2, N, 6890, 3\)"):
            cen(images, candidates.take(slice(0)))

    def test_types(self, make_cen, images, vertices) -> None:
        cen = make_cen()
        for wrong in (None, vertices.numpy(), vertices.to(torch.complex64)):
            with pytest.raises(TypeError, match=r"vertices is .*, expected a real tensor"):
                cen(images, wrong)
        with pytest.raises(TypeError, match=r"image is NoneType, expected a real tensor"):
            cen(None, vertices)

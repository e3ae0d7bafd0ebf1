"""Parts of a model, and whether they suit each other."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from support.tiny_mion import make_body_pool, make_mion, refiner_config
from torch import nn

from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector
from mion_plugin.consistency import ConsistencyModel
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.parts import build_at_camera, build_part, check_parts
from mion_plugin.refinement import MeshRefinementTransformer, RefinementNetwork
from mion_plugin.registry import MODELS
from mion_plugin.rendering import PNCCRenderer

SMALL_CROP = {"focal_length": 2500.0, "image_size": 112}


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


@pytest.fixture(scope="module")
def large_body() -> SMPLBody:
    """A tenth larger than the stand-in, and so are its joints."""
    large = SMPLBody()
    arrays = large.arrays
    large.arrays = replace(arrays, name="large", v_template=arrays.v_template * arrays.v_template.dtype.type(1.1))
    large.v_template.copy_(torch.from_numpy(large.arrays.v_template))
    return large


def make_selector(body: SMPLBody, **options) -> CandidateSelector:
    return CandidateSelector(make_body_pool(body), **options)


def make_network(body: SMPLBody, **options) -> RefinementNetwork:
    return MODELS.build(refiner_config(body, **options))


def make_cen(body: SMPLBody, **options) -> nn.Module:
    renderer = {"type": "mion.PNCCRenderer", "size": 32}
    return MODELS.build(
        {"type": "mion.CEN", "backbone": {"type": "mion.TinyBackbone"}, "renderer": renderer, "body": body, **options}
    )


def bodies_differ(part: str, own: str, last: str, other: str) -> str:
    return re.escape(f"the {part}'s body is {own}, the {last}'s {other}: they differ in template. Give both the same")


def pools_body_differs(owner: str, name: str) -> str:
    return rf"the selector's pool has the keypoints of the body .*, the {owner}'s body is {re.escape(name)}: a keypoint"


class TestBuilding:
    def test_a_part_that_is_built_stays(self) -> None:
        built = nn.Linear(2, 2)
        assert build_part(built, type="mion.SMPLBody", width=3) is built

    def test_a_config_is_completed_by_the_defaults(self) -> None:
        neck = {"type": "mion.DeconvNeck", "in_channels": 8, "channels": 12}
        assert build_part({"channels": 16, "num_layers": 0}, **neck).channels == 16
        assert build_part(None, **neck).channels == 12
        assert build_part(neck).channels == 12

    def test_a_selector_takes_the_models_camera_unless_it_names_one(self, body) -> None:
        config = {"type": "mion.CandidateSelector", "pool": make_body_pool(body)}
        camera = CropCamera(2500.0, 112)
        assert build_at_camera(config, camera).camera == camera
        assert build_at_camera({**config, "focal_length": 1000.0}, camera).camera == CropCamera(1000.0, 112)
        assert build_at_camera(None, camera) is None
        built = make_selector(body)
        assert build_at_camera(built, camera) is built


class TestChecking:
    def test_parts_that_suit_each_other(self, body) -> None:
        other = SMPLBody()  # the same body in another module
        check_parts(selector=make_selector(body), cen=make_cen(other), network=make_network(body))
        check_parts(selector=None, cen=None, network=make_network(body))
        check_parts(selector=make_selector(body), network=None)
        check_parts(selector=None)
        check_parts()

    def test_what_tells_no_camera_and_no_body_is_not_asked(self, body, large_body) -> None:
        check_parts(cen=nn.Linear(2, 2), network=make_network(body, **SMALL_CROP))
        check_parts(cen=make_cen(large_body), network=nn.Linear(2, 2))
        check_parts(selector=make_selector(large_body, **SMALL_CROP), network=nn.Linear(2, 2))

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (SMALL_CROP, r"focal_length 2500\.0 and image_size 112"),
            ({"focal_length": 2500.0}, r"focal_length 2500\.0 and image_size 224"),
            ({"image_size": 112}, r"focal_length 5000\.0 and image_size 112"),
        ],
    )
    def test_cameras_that_differ(self, body, options, told) -> None:
        network = make_network(body)
        for name, part in (("selector", make_selector(body, **options)), ("cen", make_cen(body, **options))):
            with pytest.raises(ValueError, match=rf"the {name}'s camera has {told}, the network's 5000\.0 and 224"):
                check_parts(**{name: part}, network=network)

    def test_bodies_that_differ(self, body, large_body) -> None:
        with pytest.raises(ValueError, match=bodies_differ("cen", "large", "refiner", body.arrays.name)):
            check_parts(cen=make_cen(large_body), refiner=make_network(body))
        with pytest.raises(ValueError, match=bodies_differ("refiner", body.arrays.name, "cen", "large")):
            check_parts(refiner=make_network(body), cen=make_cen(large_body))

    def test_a_pool_of_another_body(self, body, large_body) -> None:
        with pytest.raises(ValueError, match=pools_body_differs("network", "large")) as error:
            check_parts(selector=make_selector(body), network=make_network(large_body))
        millimetres = int(re.search(r"a keypoint is (\d+) mm elsewhere", str(error.value))[1])
        assert 30 < millimetres < 150  # a tenth of the way from the pelvis to a foot
        with pytest.raises(ValueError, match=pools_body_differs("network", body.arrays.name)):
            check_parts(selector=make_selector(large_body), network=make_network(body))
        check_parts(selector=make_selector(large_body), network=make_network(large_body))

    def test_every_part_is_held_to_the_last(self, body, large_body) -> None:
        with pytest.raises(ValueError, match=bodies_differ("cen", "large", "refiner", body.arrays.name)):
            check_parts(selector=make_selector(body), cen=make_cen(large_body), refiner=make_network(body))
        with pytest.raises(ValueError, match=pools_body_differs("refiner", body.arrays.name)):
            check_parts(selector=make_selector(large_body), cen=make_cen(body), refiner=make_network(body))


class TestModels:
    """Every model that has several parts checks them."""

    def test_stage_2(self, body, large_body) -> None:
        network = make_network(body)
        with pytest.raises(ValueError, match=pools_body_differs("network", body.arrays.name)):
            MeshRefinementTransformer(network, selector=make_selector(large_body))
        with pytest.raises(ValueError, match=r"the selector's camera has focal_length 2500\.0 .*, the network's 5000"):
            MeshRefinementTransformer(network, selector=make_selector(body, **SMALL_CROP))
        assert MeshRefinementTransformer(network, selector=make_selector(body)).network is network

    def test_stage_3(self, body, large_body) -> None:
        cen = make_cen(body)
        with pytest.raises(ValueError, match=pools_body_differs("cen", body.arrays.name)):
            ConsistencyModel(cen, selector=make_selector(large_body))
        with pytest.raises(ValueError, match=bodies_differ("refiner", "large", "cen", body.arrays.name)):
            ConsistencyModel(cen, selector=None, refiner=make_network(large_body))
        with pytest.raises(ValueError, match=r"the refiner's camera has focal_length 2500\.0 .*, the cen's 5000"):
            ConsistencyModel(cen, selector=None, refiner=make_network(body, **SMALL_CROP))
        reads = make_network(body, queries={"keypoints": "coco"})
        with pytest.raises(ValueError, match="the selector reads 2D keypoints in 'h36m', the refiner in 'coco'"):
            ConsistencyModel(cen, selector=make_selector(body, convention="h36m"), refiner=reads)
        model = ConsistencyModel(cen, selector=make_selector(body), refiner=make_network(body))
        assert model.cen is cen

    def test_a_renderer_that_codes_another_body(self, body) -> None:
        renderer, other = PNCCRenderer(32, body=body), SMPLBody(gender="male")
        for make in (make_network, make_cen):
            assert make(body, renderer=renderer).renderer is renderer
            with pytest.raises(ValueError, match="the renderer codes the surface of another body than the network's"):
                make(other, renderer=renderer)

    def test_the_whole(self, body, large_body) -> None:
        with pytest.raises(ValueError, match=pools_body_differs("refiner", body.arrays.name)):
            make_mion(body, selector=make_selector(large_body))
        with pytest.raises(ValueError, match=bodies_differ("cen", "large", "refiner", body.arrays.name)):
            make_mion(body, cen=make_cen(large_body))
        with pytest.raises(ValueError, match=r"the cen's camera has focal_length 2500\.0 .*, the refiner's 5000"):
            make_mion(body, cen=make_cen(body, **SMALL_CROP))
        with pytest.raises(ValueError, match=r"the selector's camera has focal_length 2500\.0 .*, the refiner's 5000"):
            make_mion(body, selector=make_selector(body, **SMALL_CROP))
        model = make_mion(body, selector=make_selector(body), cen=make_cen(body))
        assert isinstance(model, MultiInitializationOptimizationNetwork)

"""Weights and pools load into the body that they belong to, and into no other."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.model import PretrainedInit
from support.tiny_mion import make_body_pool, make_mion, refiner_config
from torch import nn

from mion_plugin import models
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import CandidateSelector, load_pool, save_pool
from mion_plugin.consistency import ConsistencyModel
from mion_plugin.parts import check_parts
from mion_plugin.refinement import MeshRefinementTransformer
from mion_plugin.registry import HOOKS, MODELS
from mion_plugin.synthesis.dataset import SURREALSynthesisDataset
from mion_plugin.synthesis.lifting_dataset import LiftingDataset
from mion_plugin.weights import BODY, check_initial_weights, find_body, load_part, save_weights

BOTH = r"free stand-in \(neutral\) \[[0-9a-f]{8}\].* has turned\.npz \[[0-9a-f]{8}\]: they differ in template"


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


@pytest.fixture(scope="module")
def turned_body() -> SMPLBody:
    """The stand-in with its vertices in another order; every shape is the same, and so are its keypoints' places."""
    turned = SMPLBody()
    arrays = turned.arrays
    turned.arrays = replace(arrays, name="data/turned.npz", v_template=arrays.v_template[::-1].copy())
    return turned


def make_network(body: SMPLBody) -> nn.Module:
    return MODELS.build(refiner_config(body))


@pytest.fixture
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class TestWeights:
    @pytest.fixture
    def path(self, body, tmp_path) -> Path:
        save_weights(make_network(body).state_dict(), tmp_path / "mrt.pth", meta={"epoch": 3}, body=body.fingerprint)
        return tmp_path / "mrt.pth"

    def test_the_same_body(self, path, body, no_warnings):
        load_part(make_network(SMPLBody()), path)
        assert torch.load(path, weights_only=True)["meta"] == {"epoch": 3, "body": body.fingerprint.record()}

    def test_another_body_is_an_error_that_names_both(self, path, turned_body):
        with pytest.raises(ValueError, match=rf"mrt\.pth was trained with the body {BOTH}"):
            load_part(make_network(turned_body), path)

    def test_nothing_is_loaded_before_the_error(self, path, turned_body):
        network = make_network(turned_body)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        with pytest.raises(ValueError, match="differ in template"):
            load_part(network, path)
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())

    def test_an_older_file_warns(self, body, tmp_path):
        save_weights(make_network(body).state_dict(), tmp_path / "old.pth")
        with pytest.warns(UserWarning, match=r"old\.pth does not tell with which body .* it was free stand-in \(neut"):
            load_part(make_network(body), tmp_path / "old.pth")

    def test_an_unreadable_fingerprint(self, body, tmp_path):
        save_weights(make_network(body).state_dict(), tmp_path / "a.pth", meta={BODY: {"name": "smpl"}})
        with pytest.raises(ValueError, match=r"a\.pth holds no readable fingerprint of a body"):
            load_part(make_network(body), tmp_path / "a.pth")

    def test_a_module_without_a_body_takes_any(self, body, tmp_path, no_warnings):
        save_weights(nn.Linear(2, 3).state_dict(), tmp_path / "linear.pth", body=body.fingerprint)
        load_part(nn.Linear(2, 3), tmp_path / "linear.pth")

    def test_the_packages_weights_load_without_a_word(self, no_warnings):
        model = MODELS.build(models.load_model_config().model)
        assert model.body.arrays.name == "free stand-in (neutral)"

    def test_the_packages_weights_and_another_body(self, turned_body):
        config = models.load_model_config(stage=2).model
        refiner = MODELS.build({**config.refiner, "body": turned_body})
        with pytest.raises(ValueError, match=rf"mrt\.pth was trained with the body {BOTH}"):
            load_part(refiner, config.refiner_checkpoint, ("refiner", "network"))


class TestTrainings:
    """What mmengine's runner saves and loads."""

    @pytest.fixture
    def hook(self):
        return HOOKS.build({"type": "mion.BodyFingerprintHook"})

    def make_models(self, body: SMPLBody) -> list[nn.Module]:
        return [
            MeshRefinementTransformer(refiner_config(body), CandidateSelector(make_body_pool(body))),
            ConsistencyModel(
                {"backbone": {"type": "mion.TinyBackbone"}, "body": body}, selector=None, pairs={"candidate": 1.0}
            ),
            make_mion(body),
        ]

    def test_every_model_tells_its_body(self, hook, body):
        for model in self.make_models(body):
            assert find_body(model) is body
            checkpoint = {"state_dict": {}, "meta": {"epoch": 1}}
            hook.before_save_checkpoint(SimpleNamespace(model=model), checkpoint)
            assert checkpoint["meta"] == {"epoch": 1, BODY: body.fingerprint.record()}

    def test_another_body_is_refused(self, hook, body, turned_body):
        checkpoint = {"state_dict": {}, "meta": {}}
        hook.before_save_checkpoint(SimpleNamespace(model=make_mion(body)), checkpoint)
        runner = SimpleNamespace(model=make_mion(turned_body), _load_from="work_dirs/epoch_3.pth")
        with pytest.raises(ValueError, match=rf"work_dirs/epoch_3\.pth was trained with the body {BOTH}"):
            hook.after_load_checkpoint(runner, checkpoint)

    def test_another_body_is_refused_where_a_network_starts_from_a_file(
        self, hook, body, turned_body, tmp_path, no_warnings
    ):
        """By mmengine's own ``init_cfg``, which the runner follows in trainings alone."""
        save_weights(make_network(body).state_dict(), tmp_path / "start.pth", body=body.fingerprint)
        start = {"type": "Pretrained", "checkpoint": str(tmp_path / "start.pth")}

        def make_runner(of):
            network = refiner_config(of, init_cfg=start)
            model = MeshRefinementTransformer(network, CandidateSelector(make_body_pool(of)))
            return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=[]))

        hook.before_train(make_runner(body))
        with pytest.raises(ValueError, match=rf"start\.pth was trained with the body {BOTH}"):
            hook.before_train(make_runner(turned_body))

    @pytest.mark.parametrize("of_network", [False, True])  # whose body the model tells itself, or a network of it
    @pytest.mark.parametrize("wrap", [lambda data: data, lambda data: SimpleNamespace(datasets=[[], data])])
    @pytest.mark.parametrize("kind", [partial(LiftingDataset, 1, 1), partial(SURREALSynthesisDataset, 1)])
    def test_bodies_that_the_training_data_make_are_the_models(self, hook, body, turned_body, kind, wrap, of_network):
        """Of another body, or through another camera, the network would learn without a word."""
        model = self.make_models(body)[int(of_network)]

        def start(**options):
            dataset = wrap(kind(**options))
            hook.before_train(SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset)))

        start(body=body)
        with pytest.raises(ValueError, match=r"training data \(\w+\)'s body is \S*turned\.npz, the model's"):
            start(body=turned_body)
        with pytest.raises(ValueError, match=r"training data .*image_size 112, the model's 5000.0 and 224"):
            start(body=body, image_size=112)

    @pytest.mark.parametrize("kind", ["Pretrained", PretrainedInit])
    @pytest.mark.parametrize("several", [False, True])
    def test_whatever_way_its_init_cfg_is_written(self, several, kind, body, turned_body, tmp_path):
        """A prefix takes a part of a larger model's file; OpenMMLab's lists have further steps."""
        save_weights({}, tmp_path / "start.pth", body=body.fingerprint)
        start = {"type": kind, "checkpoint": str(tmp_path / "start.pth"), "prefix": "refiner."}
        steps = [{"type": "Normal", "layer": "Conv2d"}, start] if several else start
        network = make_network(turned_body)
        network.init_cfg = steps
        with pytest.raises(ValueError, match=rf"start\.pth was trained with the body {BOTH}"):
            check_initial_weights(nn.Sequential(network))

    def test_what_has_no_body_may_start_from_any_file(self, body, turned_body, tmp_path, no_warnings):
        save_weights({}, tmp_path / "start.pth", body=body.fingerprint)
        network = make_network(turned_body)
        network.init_cfg = {
            "type": "Pretrained",
            "checkpoint": "https://example.org/mrt.pth",
        }  # which the host has read
        network.backbone.init_cfg = {
            "type": "Pretrained",
            "checkpoint": str(tmp_path / "start.pth"),
            "prefix": "backbone",
        }
        check_initial_weights(network)

    def test_a_checkpoint_from_before_warns(self, hook, body):
        runner = SimpleNamespace(model=make_mion(body), _load_from=None)
        with pytest.warns(UserWarning, match="the checkpoint does not tell with which body it was trained"):
            hook.after_load_checkpoint(runner, {"state_dict": {}, "meta": {}})


class TestPools:
    def test_a_pool_tells_its_body_through_a_file(self, body, tmp_path):
        save_pool(make_body_pool(body), tmp_path / "pool.npz")
        assert load_pool(tmp_path / "pool.npz").body_fingerprint == body.fingerprint

    def test_keypoints_alike_are_not_enough(self, body):
        """Another shape space leaves every keypoint of the mean shape where it is."""
        other = SMPLBody()
        other.arrays = replace(other.arrays, name="other.npz", shapedirs=-other.arrays.shapedirs)
        selector = CandidateSelector(make_body_pool(body))
        with pytest.raises(
            ValueError,
            match=r"pool was built with free stand-in .*, the refiner's body is other\.npz .* in shape space",
        ):
            check_parts(selector=selector, refiner=make_network(other))

    def test_an_older_pool(self, body, no_warnings):
        pool = make_body_pool(body)
        named = replace(pool, metadata={"body": pool.metadata["body"]})
        check_parts(selector=CandidateSelector(named), refiner=make_network(body))
        unknown = replace(pool, metadata={"body": "SMPL_NEUTRAL.pkl"})
        with pytest.raises(UserWarning, match=r"has no fingerprint of the body that it was built with, SMPL_NEUTRAL"):
            check_parts(selector=CandidateSelector(unknown), refiner=make_network(body))

    def test_the_packages_pool_suits_the_stand_in_whatever_file_it_is_read_from(self, tmp_path, no_warnings):
        from mion_plugin.body.export import export_body

        export_body(SMPLBody().arrays, tmp_path, "neutral")
        check_parts(selector=CandidateSelector(), refiner=make_network(SMPLBody(tmp_path)))

    def test_an_unreadable_fingerprint(self, body):
        pool = replace(make_body_pool(body), metadata={"body_fingerprint": np.pi})
        with pytest.raises(ValueError, match="the candidate pool holds no readable fingerprint of a body"):
            CandidateSelector(pool)

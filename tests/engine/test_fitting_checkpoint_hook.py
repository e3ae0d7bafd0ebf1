from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mion_plugin.registry import HOOKS


@pytest.fixture
def load():
    """A function giving a checkpoint to the hook of a runner whose model is one linear layer."""
    runner = SimpleNamespace(model=nn.Linear(2, 3))
    hook = HOOKS.build({"type": "mion.FittingCheckpointHook", "source": "a.pth"})
    return lambda checkpoint: hook.after_load_checkpoint(runner, checkpoint)


@pytest.mark.parametrize("prefix", ["", "module."])  # DistributedDataParallel's, which mmengine takes away, too
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_models_own_weights_pass(load, prefix, wrapped):
    weights = {f"{prefix}weight": torch.zeros(3, 2), f"{prefix}bias": torch.zeros(3)}
    load({"state_dict": weights, "meta": {}} if wrapped else weights)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"weight": torch.zeros(3, 2)}, "it lacks bias"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "scale": torch.ones(1)}, "it has besides scale"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(3)}, r"in another shape weight \(2, 3\) for \(3, 2\)"),
        ({}, "it lacks weight, bias"),
    ],
)
def test_others_are_refused(load, weights, message):
    with pytest.raises(ValueError, match=f"a.pth is not a checkpoint of this Linear: .*{message}.*config that it was"):
        load({"state_dict": weights})


def test_weights_alone_are_nothing_to_resume_from():
    """As tools/publish_model.py writes them; mmengine's error would be ``'message_hub'``."""
    runner = SimpleNamespace(model=nn.Linear(2, 3), _resume=True)
    hook = HOOKS.build({"type": "mion.FittingCheckpointHook", "source": "a.pth"})
    content = {"state_dict": runner.model.state_dict(), "meta": {"epoch": 1, "iter": 2}}
    with pytest.raises(ValueError, match=r"a\.pth holds weights and no state of a training .*load_from"):
        hook.after_load_checkpoint(runner, content)
    hook.after_load_checkpoint(runner, {**content, "message_hub": {}})


class TestWhatATrainingStartsFrom:
    """``load_from``: mmengine loads what fits, and where nothing does it trains random weights."""

    @pytest.fixture
    def start(self):
        """A function giving a checkpoint to the hook of a runner whose model has one part."""
        runner = SimpleNamespace(model=nn.Sequential(OrderedDict(network=nn.Linear(2, 3))))
        hook = HOOKS.build({"type": "mion.FittingCheckpointHook", "source": "a.pth", "partly": True})
        return lambda weights: hook.after_load_checkpoint(runner, {"state_dict": weights})

    @pytest.mark.parametrize("prefix", ["network.", "module.network."])
    def test_some_of_the_weights_are_enough(self, start, prefix):
        start({f"{prefix}weight": torch.zeros(3, 2), f"{prefix}bias": torch.zeros(4), "head.weight": torch.zeros(1)})

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ({"network.weight": torch.zeros(2, 3)}, "give it the weights of such a model"),
            ({"head.weight": torch.zeros(3, 2)}, "has weights such as network.weight, the file head.weight"),
            ({}, "the file none"),
            ({"weight": torch.zeros(3, 2)}, r"fits the part network.*network=dict\(init_cfg=.*checkpoint='a\.pth'"),
        ],
    )
    def test_none_of_them_is_an_error(self, start, weights, message):
        with pytest.raises(ValueError, match=rf"a\.pth would change nothing: this Sequential .*{message}"):
            start(weights)

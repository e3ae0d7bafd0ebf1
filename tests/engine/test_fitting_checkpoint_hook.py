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

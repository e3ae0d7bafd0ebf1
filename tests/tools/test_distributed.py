"""Two processes through tools/dist_train.sh and tools/dist_test.sh do what one does; on CPUs, through gloo."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import train as train_tool
from support.real_layout import write_pool

from mion_plugin.body import SMPLBody

# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

TOOLS = Path(train_tool.__file__).parent
TINY = TOOLS.parent / "configs" / "mion" / "mrt_tiny_synthetic.py"
CONFIG = """
_base_ = ["{tiny}"]
custom_imports = dict(imports=["mion_plugin", "support.training_hooks"], allow_failed_imports=False)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type="RecordLossHook", out_dir="{root}"),
    dict(type="RecordThreadsHook", out_dir="{threads}"),
]
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(**loader, dataset=dict(num_samples=4))
test_dataloader = dict(**loader, batch_size=2, dataset=dict(num_samples=5))
val_dataloader = None
val_evaluator = None
val_cfg = None
train_cfg = dict(max_epochs=1)
param_scheduler = None
# the buffers of momentum hold the first gradient after one step
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="SGD", lr=0.1, momentum=0.9), clip_grad=dict(max_norm=1e9)
)
model = dict(
    network=dict(
        backbone=dict(norm="group"),
        neck=dict(channels=24),
        transformer=dict(
            width=24, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, feedforward=32, dropout=0.0
        ),
        bfloat16_features=False,
    ),
    selector=dict(pool="{root}/pool.npz", pool_split="all", num_candidates=2),
    train_candidates=2,
)
"""


def launch(script: str, *arguments: str) -> None:
    """Run one of the shell scripts with two processes, as a user in the environment would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        ["bash", str(TOOLS / script), *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


class Run:
    """One training: the losses of its processes at the first step, the gradient, and the checkpoint."""

    def __init__(self, name: str, processes: int, root: Path) -> None:
        folder = root / name
        self.threads = folder / "threads"
        self.threads.mkdir(parents=True)
        write_pool(folder / "pool.npz", SMPLBody())
        self.config = folder / f"{name}.py"
        self.config.write_text(CONFIG.format(tiny=TINY, root=folder, threads=self.threads))
        options = ["--work-dir", str(folder), "--cfg-options", f"train_dataloader.batch_size={4 // processes}"]
        if processes > 1:
            launch("dist_train.sh", str(self.config), str(processes), *options)
        else:
            assert train_tool.main([str(self.config), *options]) == 0
        self.losses = [json.loads((folder / f"loss_{rank}_0.json").read_text()) for rank in range(processes)]
        self.checkpoint = folder / "epoch_1.pth"
        self.content = torch.load(self.checkpoint, weights_only=True)

    @property
    def gradients(self) -> list[torch.Tensor]:
        state = self.content["optimizer"]["state"]
        return [state[index]["momentum_buffer"] for index in sorted(state)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Run, Run]:
    """The same training with one process and with two."""
    root = tmp_path_factory.mktemp("distributed")
    return Run("one", 1, root), Run("two", 2, root)


class TestTraining:
    """One step on 4 samples: a batch of 4, or two processes with 2 each.

    Equal they are because nothing else differs: ``mion.EpochSampler`` deals the same shuffled samples out in turn, and
    makes them depend on seed, epoch and index alone; every image has all labels, so each process averages over as many;
    group normalisation does not look at the rest of the batch; there is no dropout; and all candidates are trained on,
    none drawn, since each process draws for itself.
    """

    def test_the_first_loss_is_that_of_the_doubled_batch(self, runs):
        one, two = runs
        assert two.losses[0]["loss"] != pytest.approx(two.losses[1]["loss"], rel=1e-3)  # they saw different samples
        for name, value in one.losses[0].items():
            assert sum(loss[name] for loss in two.losses) / 2 == pytest.approx(value, rel=1e-5), name

    def test_so_are_the_gradient_and_the_weights(self, runs):
        one, two = runs
        norm = torch.stack([gradient.norm() for gradient in one.gradients]).norm()
        assert norm > 0.1
        for gradient, expected in zip(two.gradients, one.gradients, strict=True):
            assert (gradient - expected).norm() < 1e-4 * norm
        for name, expected in one.content["state_dict"].items():
            torch.testing.assert_close(two.content["state_dict"][name], expected, rtol=1e-4, atol=1e-5)

    def test_the_processes_part_before_they_end(self, runs):
        assert_parted(runs[1])


def assert_parted(run: Run) -> None:
    """A thread of gloo that outlives Python's shutdown may abort the process."""
    for rank in range(2):
        names = json.loads((run.threads / f"{rank}.json").read_text())
        assert names, rank
        assert not [name for name in names if "gloo" in name], (rank, names)


def test_an_odd_number_of_samples_is_counted_once_each(runs, tmp_path):
    """Five samples on two processes: the sampler repeats one to deal out evenly, which must not count."""
    one, two = runs
    metrics = []
    for name in ("one", "two"):
        out = tmp_path / f"{name}.json"
        arguments = ["--work-dir", str(tmp_path), "--out", str(out)]
        if name == "one":
            assert test_tool.main([str(one.config), str(one.checkpoint), *arguments]) == 0
        else:
            launch("dist_test.sh", str(two.config), str(one.checkpoint), "2", *arguments)
        metrics.append(json.loads(out.read_text()))
    assert metrics[0]["body/num_samples"] == metrics[1]["body/num_samples"] == 5
    assert metrics[1] == pytest.approx(metrics[0], rel=1e-4)
    assert_parted(two)

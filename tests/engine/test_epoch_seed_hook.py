"""What a model draws in an epoch depends on the epoch alone: not on a resume, nor on the data loader's workers."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, DefaultSampler, RepeatDataset
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mion_plugin.datasets.epoch_sampler import EpochSampler
from mion_plugin.registry import DATASETS, HOOKS

EPOCHS, STEPS = 3, 2


class Drawing(BaseModel):
    """Notes what it draws in each step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.drawn = []

    def forward(self, inputs, mode="loss"):
        self.drawn.append((torch.rand(()).item(), np.random.random(), random.random()))  # noqa: NPY002
        return {"loss": (self.weight * inputs).sum()}


def common(folder, num_workers, resume_from):
    """Options of every run."""
    return dict(
        work_dir=str(folder),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01)),
        # mmengine's own checkpoints pickle its log, which is not loaded as weights only
        custom_hooks=[dict(type="mion.EpochSeedHook"), dict(type="mion.PlainCheckpointHook")],
        randomness=dict(seed=5),
        load_from=resume_from,
        resume=resume_from is not None,
        experiment_name=f"{folder} {num_workers} {resume_from}",
        log_level="ERROR",
    )


def drawn(folder, num_workers, resume_from=None):
    """(epochs run, STEPS, 3)."""
    runner = Runner(
        model=Drawing(),
        train_dataloader=DataLoader(
            [{"inputs": 1.0}] * STEPS, num_workers=num_workers, persistent_workers=num_workers > 0
        ),
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS),
        **common(folder, num_workers, resume_from),
    )
    runner.train()
    return np.array(runner.model.drawn).reshape(-1, STEPS, 3)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, drawn(folder, num_workers=1)


def test_every_step_draws_something_else(uninterrupted):
    assert len(np.unique(uninterrupted[1])) == EPOCHS * STEPS * 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_resumed_run_draws_what_an_uninterrupted_one_does(num_workers, uninterrupted, tmp_path):
    folder, expected = uninterrupted
    resumed = drawn(tmp_path, num_workers, str(folder / "epoch_1.pth"))
    np.testing.assert_array_equal(resumed, expected[1:])


def test_the_number_of_workers_does_not_matter(uninterrupted, tmp_path):
    np.testing.assert_array_equal(drawn(tmp_path, num_workers=0), uninterrupted[1])


ITEMS, ITERATIONS, STOPPED = 4, 6, 3


class Noting(Drawing):
    """Notes which items it was given, too."""

    def forward(self, inputs, mode="loss"):
        losses = super().forward(inputs, mode)
        self.drawn[-1] = (inputs.item(), *self.drawn[-1])
        return losses


def drawn_by_iterations(folder, num_workers, resume_from=None):
    """(iterations run, 4), more iterations than the data set has items."""
    items = [{"inputs": float(number)} for number in range(ITEMS)]
    runner = Runner(
        model=Noting(),
        train_dataloader=DataLoader(items, num_workers=num_workers, sampler=EpochSampler(items, shuffle=True, seed=3)),
        train_cfg=dict(by_epoch=False, max_iters=ITERATIONS),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=STOPPED, by_epoch=False)),
        **common(folder, num_workers, resume_from),
    )
    runner.train()
    return np.array(runner.model.drawn), runner.model.weight.item()


def test_a_training_by_iterations_resumes_to_what_an_uninterrupted_one_does(tmp_path, monkeypatch):
    # between epochs, where it fears a deadlock
    monkeypatch.setattr("mmengine.runner.loops.time", SimpleNamespace(sleep=lambda seconds: None))
    expected, weight = drawn_by_iterations(tmp_path / "whole", num_workers=0)
    assert len(np.unique(expected[:, 1:])) == ITERATIONS * 3
    for num_workers in (0, 1):
        checkpoint = str(tmp_path / "whole" / f"iter_{STOPPED}.pth")
        resumed, its_weight = drawn_by_iterations(tmp_path / str(num_workers), num_workers, checkpoint)
        np.testing.assert_array_equal(resumed, expected[STOPPED:])
        assert its_weight == weight


def warnings_before(dataset, sampler=EpochSampler, epoch=0, step=0, batch_size=2):
    """What the hook says of a training by epochs that begins there."""
    warned = []
    loader = DataLoader(dataset, batch_size, sampler=sampler(dataset, shuffle=False))
    logger = SimpleNamespace(warning=warned.append)
    runner = SimpleNamespace(train_loop=None, train_dataloader=loader, epoch=epoch, iter=step, logger=logger)
    HOOKS.build({"type": "mion.EpochSeedHook"}).before_train(runner)
    return warned


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (dict(epoch=0, step=0), None),
        (dict(epoch=2, step=4), None),
        (dict(epoch=1, step=3), "from step 3, but 1 epochs of 2 steps have 2: "),  # of a checkpoint within an epoch
        (dict(epoch=2, step=4, batch_size=4), "from step 4, but 2 epochs of 1 steps have 2: "),
    ],
)
def test_a_resume_that_ends_elsewhere_is_announced(start, told):
    """mmengine begins the epoch anew, and its schedules by iterations go on from the old step."""
    warned = warnings_before([{}] * 4, **start)
    assert len(warned) == (told is not None)
    assert told is None or told in warned[0]


PEOPLE = dict(type="mion.SURREALSynthesisDataset", num_samples=2, image_size=16, fresh_samples=True, pictures=False)
LIFTING = dict(type="mion.LiftingDataset", num_batches=1, bodies_per_batch=1)
MIXED = dict(type="mion.MixedDataset", datasets=[PEOPLE], ratios=[1.0], num_samples=5)


class TestTellingTheEpoch:
    def test_sets_side_by_side_are_new_in_every_epoch(self):
        dataset = ConcatDataset([PEOPLE, dict(PEOPLE, seed=3)])
        sampler, poses = EpochSampler(dataset, shuffle=False), []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            poses += [dataset[index]["smpl_body_pose"] for index in range(len(dataset))]
        assert len(np.unique(poses, axis=0)) == 2 * len(dataset)
        assert not warnings_before(dataset)

    @pytest.mark.parametrize(("kind", "length"), [(PEOPLE, 4), (LIFTING, 2), (MIXED, 10)])
    def test_every_kind_of_set_stands_side_by_side(self, kind, length):
        dataset = ConcatDataset([kind, kind])
        assert len(dataset) == length
        assert not warnings_before(dataset)

    @pytest.mark.parametrize(
        ("wrap", "sampler"), [(DATASETS.build, DefaultSampler), (lambda data: RepeatDataset(data, 2), EpochSampler)]
    )
    def test_who_is_not_told_is_named(self, wrap, sampler):
        dataset = wrap(PEOPLE)
        (warned,) = warnings_before(dataset, sampler)
        assert f"nobody tells {type(dataset).__name__} the epoch" in warned

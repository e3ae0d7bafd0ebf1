"""A training that diverges stops with one clear error, and its checkpoints stay good."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as multiprocessing
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from mion_plugin.engine import StopOnInvalidLossHook


class Numbers(Dataset):
    """``values[step]`` at each step."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return {"inputs": self.values[index]}


class Product(BaseModel):
    """Loss weight * value; with ``root``, a loss of 0 whose gradient is infinite times 0 at a value of 0."""

    def __init__(self, root=False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.root = root

    def forward(self, inputs, mode="loss"):
        product = (self.weight * inputs).sum()
        return {"loss_product": product.sqrt() if self.root else product, "distance": torch.tensor(math.nan)}


def train(folder, values, root=False, hook=True, max_keep=2, **options):
    """A checkpoint after every step; returns the model."""
    values = torch.tensor(values)
    runner = Runner(
        model=Product(root),
        work_dir=str(folder),
        train_dataloader=DataLoader(Numbers(values), batch_size=1),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01)),
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=1, max_keep_ckpts=max_keep)),
        custom_hooks=[dict(type="mion.StopOnInvalidLossHook", **options)] if hook else [],
        experiment_name=str(folder),
        log_level="ERROR",
    )
    runner.train()
    return runner.model


def saved(folder):
    """Step -> weights."""
    paths = {int(path.stem.removeprefix("iter_")): path for path in folder.glob("iter_*.pth")}
    return {step: torch.load(path, weights_only=False)["state_dict"]["weight"] for step, path in paths.items()}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_the_training(value, tmp_path):
    problem = rf"training stopped at epoch 1, step 4: loss is {value}, loss_product is {value}; the last good"
    with pytest.raises(ValueError, match=problem + r" checkpoint is \S+iter_3\.pth\. Try"):
        train(tmp_path, [1.0, 1.0, 1.0, value, 1.0, 1.0])
    weights = saved(tmp_path)
    assert weights.keys() == {2, 3}
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert (tmp_path / "last_checkpoint").read_text().endswith("iter_3.pth")


@pytest.mark.parametrize(("interval", "step"), [(2, 4), (3, 3), (10, 4)])
def test_a_look_now_and_then_is_enough(interval, step, tmp_path, monkeypatch):
    """The third of four losses is NaN: seen at the next look, or at the end; no checkpoint is made of its weights."""
    monkeypatch.setattr(StopOnInvalidLossHook, "before_save_checkpoint", lambda *_, **__: None)
    with pytest.raises(ValueError, match=rf"epoch \d, step {step}: loss is nan, loss_product is nan"):
        train(tmp_path / "losses", [1.0, 1.0, math.nan, 1.0], interval=interval)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"step 3: (weight weight is NaN|loss is nan).* checkpoint is \S+iter_2"):
        train(tmp_path / "weights", [1.0, 1.0, math.nan, 1.0], interval=interval)
    assert max(saved(tmp_path / "weights")) == 2


def test_an_interval_of_no_steps():
    with pytest.raises(ValueError, match="interval is 0, expected 1 step or more"):
        StopOnInvalidLossHook(interval=0)


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    """The loss of the third step is 0, its gradient NaN."""
    with pytest.raises(
        ValueError, match=r"step 3: weight weight is NaN or infinite; the last good checkpoint is \S+_2"
    ):
        train(tmp_path, [1.0, 1.0, 0.0, 1.0], root=True)
    weights = saved(tmp_path)
    assert max(weights) == 2
    assert torch.isfinite(weights[2]).all()


def test_at_the_first_step_there_is_no_checkpoint_yet(tmp_path):
    with pytest.raises(ValueError, match=r"step 1: .* no checkpoint was written before"):
        train(tmp_path, [math.nan])
    assert not saved(tmp_path)


def test_a_healthy_training_is_not_changed(tmp_path):
    values = [1.0, -2.0, 3.0, 1e30]
    with_hook, without = train(tmp_path / "with", values), train(tmp_path / "without", values, hook=False)
    assert torch.equal(with_hook.weight, without.weight)


def one_of_two(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    runner = SimpleNamespace(message_hub=MessageHub.get_instance("test"), epoch=0, iter=0)
    hook, losses = StopOnInvalidLossHook(), {"loss": torch.tensor(1.0)}
    hook.after_train_iter(runner, 0, outputs=losses)
    try:
        hook.after_train_iter(runner, 1, outputs=losses if rank == 0 else {"loss": torch.tensor(math.nan)})
    except ValueError as error:
        (folder / f"{rank}.txt").write_text(str(error))
    torch.distributed.destroy_process_group()


def test_all_processes_stop_together(tmp_path):
    multiprocessing.start_processes(one_of_two, (tmp_path,), nprocs=2, start_method="fork")
    assert "step 1: a loss of another process is NaN or infinite" in (tmp_path / "0.txt").read_text()
    assert "step 1: loss is nan" in (tmp_path / "1.txt").read_text()

"""Two gloo processes through mmcv's DDP wrapper and mmhuman3d's ``multi_gpu_test`` do what one does."""

import multiprocessing
import pickle
import socket
from pathlib import Path

import pytest
import torch
from mmcv.parallel import MMDistributedDataParallel, collate
from mmhuman3d.apis import multi_gpu_test, single_gpu_test
from support.mmhuman3d_host import build_model, build_test_loader, small_config
from support.real_layout import NUM_PEOPLE
from torch import distributed

PROCESSES = 2
GROUP_NORM = {"type": "GN", "num_groups": 8, "requires_grad": True}  # does not look at the rest of the batch


def make_config():
    options = {
        "model.backbone.norm_cfg": GROUP_NORM,
        "model.neck.norm": "group",
        "model.head.network.transformer.dropout": 0.0,
    }
    return small_config(**options, **{"model.head.train_candidates": 2})


def gradient(model) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def train_step(model, samples: list[dict]) -> tuple[dict, torch.Tensor]:
    """One step as mmcv's runner makes it."""
    output = model.train().train_step(collate(samples, samples_per_gpu=len(samples)), None)
    output["loss"].backward()
    return dict(output["log_vars"]), gradient(model)


def work(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=PROCESSES)
    cfg = make_config()
    wrapped = MMDistributedDataParallel(build_model(cfg), broadcast_buffers=False)
    dataset, loader = build_test_loader(cfg, batch=1, distributed=True)
    results = {"outputs": multi_gpu_test(wrapped, loader, tmpdir=str(folder / "parts"))}
    results["log"], results["gradient"] = train_step(wrapped, [dataset[rank]])
    (folder / f"{rank}.pkl").write_bytes(pickle.dumps(results))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict]:
    """What both processes found."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")  # mmhuman3d is imported already
    processes = [context.Process(target=work, args=(rank, port, folder)) for rank in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        assert process.exitcode == 0
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(PROCESSES)]


def test_an_odd_number_of_samples_is_tested_once_each(two, tmp_path):
    cfg = make_config()
    dataset, loader = build_test_loader(cfg, batch=1)
    expected = dataset.evaluate(single_gpu_test(build_model(cfg), loader), str(tmp_path), metric=["mpjpe", "pa-mpjpe"])
    outputs = two[0]["outputs"]
    assert two[1]["outputs"] is None  # the first process evaluates
    indices = [int(index) for output in outputs for index in output["image_idx"]]
    assert sorted(indices) == list(range(NUM_PEOPLE))  # 2 batches and 1
    assert dataset.evaluate(outputs, str(tmp_path), metric=["mpjpe", "pa-mpjpe"]) == pytest.approx(expected, rel=1e-5)


def test_a_step_is_that_of_the_doubled_batch(two):
    cfg = make_config()
    dataset, _ = build_test_loader(cfg, batch=1)
    log, expected = train_step(build_model(cfg), [dataset[0], dataset[1]])
    assert two[0]["log"] == two[1]["log"]  # averaged
    assert two[0]["log"] == pytest.approx(log, rel=1e-4)
    assert expected.norm() > 0.1
    for result in two:
        assert (result["gradient"] - expected).norm() < 1e-4 * expected.norm()

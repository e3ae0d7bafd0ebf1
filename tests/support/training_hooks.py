"""Hooks that tests add to a training in another process: import this module through the config's custom_imports."""

import atexit
import json
import os
import signal
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RecordLossHook(Hook):
    """Write the losses of every iteration to ``out_dir/loss_RANK_ITERATION.json``; mmengine logs those of rank 0."""

    def __init__(self, out_dir):
        self.out_dir = Path(out_dir)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        losses = {name: float(value.detach()) for name, value in outputs.items()}
        (self.out_dir / f"loss_{get_rank()}_{runner.iter}.json").write_text(json.dumps(losses))


@HOOKS.register_module()
class RecordThreadsHook(Hook):
    """Write the names of the threads, those of libraries too, with which the process ends to ``out_dir/RANK.json``."""

    def __init__(self, out_dir):
        self.out_dir = Path(out_dir)

    def before_run(self, runner):
        atexit.register(self._write, self.out_dir / f"{get_rank()}.json")

    @staticmethod
    def _write(path):
        path.write_text(json.dumps([name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")]))


@HOOKS.register_module()
class KillHook(Hook):
    """End the process as ``kill -9`` does, right after an iteration (counted from 0)."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)

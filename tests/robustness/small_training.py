"""Stage 2's small training, cut to fewer and smaller steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[2] / "configs/mion/mrt_tiny_synthetic.py"
_BATCH_SIZE = 2


def small_training(work_dir: Path, epochs: int, steps: int, log_interval: int) -> list[Any]:
    """The command line of ``tools/train.py``.

    Args:
        work_dir: For checkpoints, one after each epoch, and logs.
        epochs: How many.
        steps: Of each.
        log_interval: Steps between two lines of the log.
    """
    changes = (
        f"train_dataloader.batch_size={_BATCH_SIZE}",
        f"train_dataloader.dataset.num_samples={steps * _BATCH_SIZE}",
        f"train_cfg.max_epochs={epochs}",
        f"param_scheduler.1.T_max={epochs}",
        f"default_hooks.logger.interval={log_interval}",
        "val_dataloader=None",
        "val_cfg=None",
        "val_evaluator=None",
    )
    return [CONFIG, "--work-dir", work_dir, "--cfg-options", *changes]

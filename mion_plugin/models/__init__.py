"""Models that come with the package: their settings, and where they are trained, their weights."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

DEFAULT_MODEL = "mion_tiny"
CHECKPOINTS = {"refiner_checkpoint": "mrt.pth", "cen_checkpoint": "cen.pth"}  # option of mion.MION -> file
STAGES = (2, 3)


def model_names() -> list[str]:
    """The models of the package."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/config.py"))


def shipped_stage(name: str = DEFAULT_MODEL) -> int:
    """The last stage of a model whose weights, and those before it, come with the package; 1 if none do.

    Stage 1 has no weights.
    """
    files = [_folder(name) / file for file in CHECKPOINTS.values()]
    return 1 + next((index for index, file in enumerate(files) if not file.is_file()), len(files))


def load_model_config(name: str = DEFAULT_MODEL, stage: int = 3) -> Config:
    """The config of a model with the paths of its weights in the package.

    Args:
        name: One of ``model_names``.
        stage: 3 for the whole; 2 for refinement without consistency network, where the first path is chosen.

    Raises:
        ValueError: No such model or stage.
        FileNotFoundError: The package holds no weights for it.
    """
    if stage not in STAGES:
        raise ValueError(f"stage is {stage}, expected 2 or 3")
    folder = _folder(name)
    config = Config.fromfile(folder / "config.py")
    if stage == 2:
        config.model.update(cen=None, fit=None, correct_keypoints=False, selection="first")
    for option, file in list(CHECKPOINTS.items())[: stage - 1]:
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"the package holds no {file} for {name}: train it (see configs/mion) and give its path as {option}"
            )
        config.model[option] = str(folder / file)
    return config


def _folder(name: str) -> Path:
    if name not in model_names():
        raise ValueError(f"model is {name!r}, expected one of {', '.join(model_names())}")
    return Path(__file__).parent / name

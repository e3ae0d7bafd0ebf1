"""Which recordings belong to the test set, so that no test pose is ever seen in training or by stage 1."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mion_plugin.candidates.pool import CandidatePool, load_default_pool, load_pool
from mion_plugin.constants import TEST_FRACTION

# Subject and trial at the start of a file name: 01_02.amc, 001_02.bvh and 1_2_cmu_10fps.npz are one recording.
_CMU_TRIAL = re.compile(r"^0*(\d{1,3})_0*(\d{1,2})(?!\d)")
# IsaacGym's AMP clips were retargeted from CMU trials without saying which; they and the trials that it ships beside
# them are therefore kept together.
_ISAAC_GYM_TRIALS = {"1_1", "7_1", "8_2", "9_11", "49_8", "55_1"}
_ISAAC_GYM = "isaac_gym_amp"


def recording_key(clip: str) -> str:
    """What identifies the recording that a clip is from, whatever source, format or numbering it came through.

    Args:
        clip: Name of a clip as in a pool's ``metadata['clips']``: its path from the source's folder on.
    """
    name = re.sub(r" \(\d+\)$", "", clip).rpartition("/")[2].lower()
    stem = name.rpartition(".")[0] or name
    trial = _CMU_TRIAL.match(stem)
    if trial:
        key = f"{trial[1]}_{trial[2]}"
        return _ISAAC_GYM if key in _ISAAC_GYM_TRIALS else f"cmu_{key}"
    if stem.startswith("amp_humanoid"):
        return _ISAAC_GYM
    return re.sub(r"_\d+fps$", "", stem)


def is_test_clip(clip: str, seed: int = 0, fraction: float = TEST_FRACTION) -> bool:
    """Whether a clip is a test clip: a seeded hash of ``recording_key``, the same on every machine.

    Adding clips to a collection never moves others from one side to the other.

    Args:
        clip: See ``recording_key``.
        seed: Another seed, another split.
        fraction: Expected share of the recordings that are for testing, 0 to 1.

    Raises:
        ValueError: ``fraction`` is not within 0..1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"test fraction {fraction}, expected 0 to 1")
    digest = hashlib.sha256(f"{seed}:{recording_key(clip)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def choose_test_clips(clips: Iterable[str], seed: int = 0, fraction: float = TEST_FRACTION) -> tuple[str, ...]:
    """The test clips among ``clips``, in their order; see ``is_test_clip``."""
    return tuple(clip for clip in clips if is_test_clip(clip, seed, fraction))


def match_clips(clips: Sequence[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Clips named by the user, with all others of the same recordings.

    Args:
        clips: All clips.
        patterns: Names of clips, or parts of them.

    Raises:
        ValueError: A pattern that names no clip.
    """
    keys = set()
    for pattern in patterns:
        found = {recording_key(clip) for clip in clips if pattern.lower() in clip.lower()}
        if not found:
            raise ValueError(
                f"no clip is named like {pattern!r}; the pool has {len(clips)}, e.g. {', '.join(clips[:3])}"
            )
        keys |= found
    return tuple(clip for clip in clips if recording_key(clip) in keys)


def split_pool(
    pool: CandidatePool, test_clips: Iterable[str] | None = None, *, seed: int = 0, fraction: float = TEST_FRACTION
) -> tuple[CandidatePool, CandidatePool]:
    """A pool's training part and its test part; a pose and its mirror image are from the same clip, so on one side.

    Poses of unknown clips (index -1) go to the training part, which stage 1 uses too.

    Args:
        pool: A pool that knows its clips.
        test_clips: Names of the test clips; None for ``choose_test_clips``.
        seed: Of ``choose_test_clips``.
        fraction: Of ``choose_test_clips``.

    Returns:
        ``(train, test)``; the metadata tell the part, its clips and the split.

    Raises:
        ValueError: The pool does not know its clips, a test clip is not in it, or a part would be empty.
    """
    clips = pool.metadata.get("clips")
    if pool.clip_index is None or not clips:
        raise ValueError(
            "the candidate pool does not tell the recordings of its poses (clip_index and metadata['clips']), so it "
            "cannot be split; rebuild it with tools/build_candidate_pool.py"
        )
    chosen = choose_test_clips(clips, seed, fraction) if test_clips is None else tuple(test_clips)
    wanted = set(chosen)
    unknown = sorted(wanted - set(clips))
    if unknown:
        raise ValueError(f"test clips {', '.join(unknown[:3])} are not in the pool")
    test_index = [index for index, clip in enumerate(clips) if clip in wanted]
    is_test = np.isin(pool.clip_index, test_index)
    if is_test.all() or not is_test.any():
        raise ValueError(
            f"{int(is_test.sum())} of {len(is_test)} poses are from the {len(chosen)} test clips: one part would be "
            "empty; choose other test clips or another fraction"
        )
    return _part(pool, ~is_test, "train", chosen), _part(pool, is_test, "test", chosen)


def pool_without_clips(pool: CandidatePool, test_clips: Iterable[str] | None = None) -> CandidatePool:
    """The training part of ``split_pool``: what stage 1 may know."""
    return split_pool(pool, test_clips)[0]


def take_poses(pool: CandidatePool, rows: np.ndarray | slice) -> CandidatePool:
    """The pool with some of its poses alone."""
    return replace(
        pool,
        body_pose=pool.body_pose[rows],
        keypoints3d=pool.keypoints3d[rows],
        clip_index=None if pool.clip_index is None else pool.clip_index[rows],
    )


def _part(pool: CandidatePool, rows: np.ndarray, name: str, test_clips: tuple[str, ...]) -> CandidatePool:
    metadata = {**pool.metadata, "split": name, "test_clips": list(test_clips)}
    return replace(take_poses(pool, rows), metadata=metadata)


def check_pool_split(pool_split: str) -> None:
    """Raise ValueError for a part of a pool that there is not."""
    if pool_split not in ("all", "train"):
        raise ValueError(f"pool_split is {pool_split!r}, expected all or train")


def open_pool(pool: CandidatePool | str | os.PathLike[str] | None, pool_split: str) -> CandidatePool:
    """A pool, or its poses for training alone.

    Args:
        pool: One, the path of one, or None for the package's.
        pool_split: ``all``, or ``train``: without the poses of test clips.

    Raises:
        ValueError: Another ``pool_split``, or a file that holds no pool.
        FileNotFoundError: No such file.
    """
    check_pool_split(pool_split)
    if pool is None:
        pool = load_default_pool()
    elif not isinstance(pool, CandidatePool):
        pool = load_pool(pool)
    return split_pool(pool)[0] if pool_split == "train" else pool

"""Body models: SMPL's pickles, archives, folders and regressors."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from mion_plugin.body import SMPLBody
from robustness.faults import arrays, pickles
from robustness.faults.arrays import read_npz
from robustness.faults.case import ANYTHING, REFUSED, SAME, Case, require_finite
from robustness.faults.damage import Damage, damages
from robustness.faults.doors.files import file_cases, tool
from robustness.faults.seeds import Seeds

_PICKLE, _REGRESSOR = "SMPL_NEUTRAL.pkl", "J_regressor_h36m.npy"


def cases(seeds: Seeds) -> Iterator[Case]:
    """All cases of this door."""
    sound = seeds.read(f"body/{_PICKLE}")
    content = pickle.loads(sound)
    every = [*damages(sound, seeds.seed), *_pickles(), *_changed(content)]
    yield from file_cases("body: pickle", _PICKLE, every, _pose)
    numbers = read_npz(seeds.path("body.npz"))
    every = [
        *damages(seeds.read("body.npz"), seeds.seed),
        *arrays.damaged_arrays(numbers, "v_template"),
        *arrays.forged_headers(numbers, "weights"),
        *list(arrays.pickled_members(numbers, "f"))[::6],
        *arrays.traps(numbers, "weights"),
    ]
    yield from file_cases("body: archive", "body.npz", every, _pose)
    # a regressor that is not there is not missed
    regressor = [damage for damage in damages(seeds.read(f"body/{_REGRESSOR}"), seeds.seed) if damage.kind != "no file"]
    beside = seeds.path("body")
    few = [*regressor, Damage("wrong shape", "one row", lambda path: np.save(path, np.zeros((1, 6890))))]
    yield from file_cases("body: regressor", _REGRESSOR, few, _pose_folder, beside=beside, mentions=("regressor_h36m",))
    options = {"tool": "synthesize: error: "}
    few = [*list(damages(sound, seeds.seed))[::8], *list(_pickles())[::8]]
    yield from file_cases("synthesize: body", _PICKLE, few, _synthesize, beside=beside, **options)


def _pickles() -> Iterator[Damage]:
    for kind, name, code in pickles.every():
        yield Damage(kind, name, _writes(code))


def _writes(code: bytes) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(code)


def _changed(content: dict[str, Any]) -> Iterator[Damage]:
    def changed(kind: str, name: str, expected: str = REFUSED, **values: Any) -> Damage:
        return Damage(kind, name, lambda path: path.write_bytes(pickle.dumps({**content, **values}, 2)), expected)

    for key in ("v_template", "weights", "posedirs", "J_regressor"):
        left = {name: value for name, value in content.items() if name != key}
        yield Damage("key missing", key, lambda path, left=left: path.write_bytes(pickle.dumps(left, 2)))
        sound = content[key]
        hit = sound.copy()
        hit.flat[7] = np.nan
        yield changed("NaN or infinite", f"{key} with one NaN", **{key: hit})
        yield changed("wrong shape", f"{key} with one row less", **{key: sound[:-1]})
        yield changed("wrong type", f"{key} as text", **{key: "text"})
        yield changed("huge", f"{key} full of 1e300", **{key: np.full(sound.shape, 1e300)})
    faces, parents = content["f"], content["kintree_table"]
    yield changed("wrong type", "a face of vertex 6890", f=np.where(faces == 0, 6890, faces))
    yield changed("wrong type", "a face of vertex 4 billion", f=np.where(faces == 0, 2**32 - 1, faces))
    yield changed("wrong type", "a face of vertex -1", f=np.where(faces == 0, -1, faces.astype(np.int64)))
    for told, value in (("itself", 5), ("a later joint", 20), ("joint 99", 99), ("joint -3", -3)):
        table = parents.astype(np.int64)
        table[0, 5] = value
        yield changed("wrong type", f"a joint whose parent is {told}", kintree_table=table)
    yield changed("wrong order", "parents reversed", kintree_table=parents[:, ::-1])
    yield changed("wrong order", "vertices reversed", ANYTHING, v_template=content["v_template"][::-1])
    yield changed("wrong shape", "shapedirs of 3 shapes", shapedirs=content["shapedirs"][..., :3])
    dense = content["J_regressor"]
    for form in ("csr", "coo"):
        matrix = getattr(sparse, f"{form}_matrix")(dense)
        yield changed("another tool's", f"a {form} regressor", SAME, J_regressor=matrix)
        outside = getattr(sparse, f"{form}_matrix")(dense)
        getattr(outside, "row" if form == "coo" else "indices")[0] = 10**6
        yield changed("wrong type", f"a {form} regressor with an entry outside", J_regressor=outside)
    yield changed("huge", "a regressor of 10^12 zeros", J_regressor=sparse.coo_matrix((10**6, 10**6)))
    yield changed("wrong type", "weights that are all zero", weights=np.zeros_like(content["weights"]))


def _pose(path: Path, out: Path) -> None:
    posed = SMPLBody(path)(torch.zeros(1, 24, 3) + 0.1)
    require_finite([posed.vertices, posed.joints])


def _pose_folder(path: Path, out: Path) -> None:
    require_finite([SMPLBody(path.parent).pose_keypoints(torch.zeros(1, 24, 3) + 0.1, convention="h36m")])


def _synthesize(path: Path, out: Path) -> int:
    arguments = ["--out", str(out), "--num-images", "1", "--body-model", str(path), "--workers", "0", "--split", "all"]
    return tool("synthesize").main([*arguments, "--image-size", "32"])

"""Files in the layout of the official SMPL ones, with made-up numbers."""

import pickle
import sys
import types

import numpy as np
from scipy.sparse import csc_matrix

NUM_VERTICES, NUM_FACES = 6890, 13776


def make_smpl_dict(seed=0, num_betas=10):
    rng = np.random.default_rng(seed)
    weights = rng.random((NUM_VERTICES, 24)) ** 8
    regressor = csc_matrix(rng.random((24, NUM_VERTICES)) * (rng.random((24, NUM_VERTICES)) < 0.002))
    regressor = csc_matrix(regressor / regressor.sum(axis=1))
    parents = [4294967295, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
    return {
        "v_template": rng.normal(size=(NUM_VERTICES, 3)),
        "shapedirs": rng.normal(scale=0.03, size=(NUM_VERTICES, 3, num_betas)),
        "posedirs": rng.normal(scale=0.003, size=(NUM_VERTICES, 3, 207)),
        "J_regressor": regressor,
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "f": rng.integers(0, NUM_VERTICES, size=(NUM_FACES, 3)).astype(np.uint32),
        "kintree_table": np.array([parents, range(24)], dtype=np.int64),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def dump_like_official(content, path, protocol=2):
    """Pickle ``content`` with shapedirs, posedirs and v_template as chumpy objects, as the official files hold them.

    chumpy itself does not import on Python 3.11, so classes of its names and with its state (``Ch.x``; ``Select.a``,
    ``idxs``, ``preferred_shape``; ``_dirty_vars``, ``_itr``, ``_depends_on_deps``) are pickled in its place.
    """
    modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}
    ch = type("Ch", (), {"__module__": "chumpy.ch", "__qualname__": "Ch"})
    select = type("Select", (ch,), {"__module__": "chumpy.reordering", "__qualname__": "Select"})
    modules["chumpy.ch"].Ch = ch
    modules["chumpy.reordering"].Select = select
    sys.modules.update(modules)

    def array(values):
        obj = ch()
        obj.__dict__.update(x=values, _dirty_vars=set(), _itr=None, _depends_on_deps=set(), term_order=["x"])
        return obj

    try:
        shapedirs = content["shapedirs"]
        selected = select()
        selected.__dict__.update(
            a=array(shapedirs.ravel()[::-1].copy()),
            idxs=np.arange(shapedirs.size)[::-1].copy(),
            preferred_shape=shapedirs.shape,
            _dirty_vars={"a"},
        )
        wrapped = {**content, "v_template": array(content["v_template"]), "posedirs": array(content["posedirs"])}
        wrapped["shapedirs"] = selected
        path.write_bytes(pickle.dumps(wrapped, protocol=protocol))
    finally:
        for name in modules:
            del sys.modules[name]


class Malicious:
    """A pickle of this runs a shell command when read by ``pickle.load``."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.marker}",)

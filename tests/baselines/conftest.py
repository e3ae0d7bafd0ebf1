"""The files that mmhuman3d itself needs to build and train its methods."""

import pickle

import numpy as np
import pytest
from support.real_layout import make_annotations, write_photograph

from mion_plugin.body import SMPLBody
from mion_plugin.body.export import export_body

FIT_SETS = ("h36m", "mpi_inf_3dhp", "lsp", "lspet", "mpii", "coco")  # mmhuman3d's FitsDict wants all six
NUM_PEOPLE = 3


@pytest.fixture(scope="session")
def mmhuman3d_root(tmp_path_factory):
    """A folder with ``data`` as mmhuman3d wants it: bodies, fits, prior, two annotated sets and their images."""
    root = tmp_path_factory.mktemp("mmhuman3d")
    data = root / "data"
    body = SMPLBody()
    export_body(body.arrays, data / "smpl", "neutral")
    rng = np.random.default_rng(0)
    mean = {"pose": rng.normal(size=144), "shape": rng.normal(size=10), "cam": np.array([0.9, 0.0, 0.0])}
    np.savez(data / "smpl_mean_params.npz", **{key: value.astype(np.float32) for key, value in mean.items()})
    (data / "static_fits").mkdir()
    for name in FIT_SETS:
        fits = rng.normal(scale=0.3, size=(NUM_PEOPLE, 82)).astype(np.float32)
        np.save(data / "static_fits" / f"{name}_fits.npy", fits)
    mixture = {"means": rng.normal(size=(8, 69)), "covars": np.stack([np.eye(69)] * 8), "weights": np.full(8, 1 / 8)}
    (data / "gmm_08.pkl").write_bytes(pickle.dumps(mixture, protocol=2))
    (data / "preprocessed_datasets").mkdir()
    for name in ("h36m", "lsp"):
        content = make_annotations(name, body, seed=1, num_people=NUM_PEOPLE)
        np.savez_compressed(data / "preprocessed_datasets" / f"{name}.npz", **content)
        for path in content["image_path"]:
            write_photograph(data / "datasets" / name / path, rng)
    return root


@pytest.fixture
def in_root(mmhuman3d_root, monkeypatch):
    monkeypatch.chdir(mmhuman3d_root)
    return mmhuman3d_root

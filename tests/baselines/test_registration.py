"""Fits of other people's, in mmhuman3d's layout, as files."""

import numpy as np
import pytest
import torch

pytest.importorskip("mmhuman3d", reason="the fits are kept by its class")

from mion_plugin.baselines.registration import RememberedFits

KEY = (["lsp"], torch.tensor([1]), torch.zeros(1), torch.zeros(1))


def test_a_sound_file_is_read(tmp_path):
    fits = np.random.default_rng(0).normal(size=(3, 82))
    np.save(tmp_path / "lsp_fits.npy", fits)
    pose, betas = RememberedFits(str(tmp_path))[KEY]
    np.testing.assert_allclose(torch.cat([pose, betas], dim=1)[0].numpy(), fits[1], atol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 85)), r"holds float64 \(3, 85\), expected numbers \(N, 82\)"),
        (np.full((3, 82), "a"), r"holds <U1 \(3, 82\), expected numbers"),
        (np.full((3, 82), None), "is not a readable file of fits: it holds pickled objects"),
    ],
)
def test_others_are_named(values, message, tmp_path):
    np.save(tmp_path / "lsp_fits.npy", values)
    with pytest.raises(ValueError, match=rf"lsp_fits\.npy {message}"):
        RememberedFits(str(tmp_path))[KEY]


def test_a_file_that_was_cut_off_is_named(tmp_path):
    np.save(tmp_path / "lsp_fits.npy", np.zeros((3, 82)))
    (tmp_path / "lsp_fits.npy").write_bytes((tmp_path / "lsp_fits.npy").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"lsp_fits\.npy is not a readable file of fits: its header promises"):
        RememberedFits(str(tmp_path))[KEY]

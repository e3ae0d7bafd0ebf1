"""Exported files load in unmodified smplx and mmhuman3d and give the same bodies."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from smplx.lbs import lbs

from mion_plugin.body.export import export_body, export_regressors, export_smpl_pickle
from mion_plugin.body.files import load_body
from mion_plugin.body.stand_in import load_stand_in

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "build_body_model.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("smpl")
    for gender in ("neutral", "female"):
        export_body(load_stand_in(gender), path, gender)
    return path


@pytest.fixture
def parameters():
    generator = torch.Generator().manual_seed(0)
    return {
        "betas": torch.randn(3, 10, generator=generator),
        "global_orient": torch.randn(3, 3, generator=generator),
        "body_pose": 0.4 * torch.randn(3, 69, generator=generator),
        "transl": torch.randn(3, 3, generator=generator),
    }


def expected_vertices(body, parameters):
    """smplx's skinning function on the arrays themselves."""
    arrays = {
        name: torch.from_numpy(getattr(body, name).copy())
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "parents", "weights")
    }
    arrays["posedirs"] = arrays["posedirs"].reshape(-1, 207).T
    pose = torch.cat([parameters["global_orient"], parameters["body_pose"]], dim=1)
    vertices, joints = lbs(
        parameters["betas"],
        pose,
        *(arrays[name] for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "parents")),
        arrays["weights"],
    )
    return vertices + parameters["transl"][:, None], joints + parameters["transl"][:, None]


@pytest.mark.parametrize("gender", ["neutral", "female"])
def test_smplx_loads_the_export(folder, parameters, gender):
    import smplx

    body = load_stand_in(gender)
    model = smplx.SMPL(str(folder), gender=gender, batch_size=3)
    output = model(**parameters)
    vertices, joints = expected_vertices(body, parameters)
    torch.testing.assert_close(output.vertices, vertices, atol=2e-6, rtol=0)
    torch.testing.assert_close(output.joints[:, :24], joints, atol=2e-6, rtol=0)
    np.testing.assert_array_equal(model.faces.astype(np.int64), body.faces)


def test_mmhuman3d_loads_the_export(folder, parameters):
    pytest.importorskip("mmhuman3d", reason="mmhuman3d is not installed")
    from mmhuman3d.models.body_models.smpl import SMPL

    body = load_stand_in()
    model = SMPL(
        model_path=str(folder),
        gender="neutral",
        keypoint_src="smpl_54",
        keypoint_dst="smpl_54",
        joints_regressor=None,
        extra_joints_regressor=str(folder / "J_regressor_extra.npy"),
        batch_size=3,
    )
    output = model(**parameters)
    vertices, _ = expected_vertices(body, parameters)
    torch.testing.assert_close(output["vertices"], vertices, atol=2e-6, rtol=0)
    extra = torch.from_numpy(body.regressor_extra) @ vertices
    torch.testing.assert_close(output["joints"][:, 45:], extra, atol=1e-5, rtol=0)


def test_mmhuman3d_regresses_h36m(folder, parameters):
    pytest.importorskip("mmhuman3d", reason="mmhuman3d is not installed")
    from mmhuman3d.core.conventions.keypoints_mapping.h36m import H36M_KEYPOINTS
    from mmhuman3d.models.body_models.smpl import SMPL

    model = SMPL(
        model_path=str(folder),
        keypoint_src="h36m",
        keypoint_dst="h36m",
        joints_regressor=str(folder / "J_regressor_h36m.npy"),
        batch_size=3,
    )
    output = model(betas=parameters["betas"])
    joint = dict(zip(H36M_KEYPOINTS, output["joints"].unbind(1), strict=True))
    for part in ("hip_extra", "knee", "ankle", "shoulder", "elbow", "wrist"):
        assert (joint[f"left_{part}"][:, 0] > 0.05).all()
        assert (joint[f"right_{part}"][:, 0] < -0.05).all()


def test_our_reader_gives_the_same_arrays(folder):
    read, body = load_body(folder), load_stand_in()
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "regressor_h36m", "regressor_extra"):
        np.testing.assert_array_equal(getattr(read, name), getattr(body, name))
    np.testing.assert_array_equal(read.faces, body.faces)
    np.testing.assert_array_equal(read.parents, body.parents)


def test_bad_requests_are_refused(tmp_path):
    import dataclasses

    with pytest.raises(ValueError, match=r"suffix '\.npz', expected \.pkl"):
        export_smpl_pickle(load_stand_in(), tmp_path / "SMPL_NEUTRAL.npz")
    bare = dataclasses.replace(load_stand_in(), regressor_extra=None, regressor_h36m=None)
    with pytest.raises(ValueError, match="has no regressor_h36m"):
        export_regressors(bare, tmp_path)
    assert list(tmp_path.iterdir()) == []


def load_tool():
    spec = importlib.util.spec_from_file_location("build_body_model", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tool_exports(tmp_path, capsys):
    assert load_tool().main(["--export-dir", str(tmp_path / "new"), "--gender", "male"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "J_regressor_extra.npy",
        "J_regressor_h36m.npy",
        "SMPL_MALE.pkl",
    ]
    np.testing.assert_array_equal(load_body(tmp_path / "new", "male").v_template, load_stand_in("male").v_template)


def test_tool_previews(tmp_path):
    from PIL import Image

    assert load_tool().main(["--preview", str(tmp_path), "--gender", "neutral"]) == 0
    picture = np.asarray(Image.open(tmp_path / "stand_in_neutral.png"))
    assert picture.shape == (4 * 320, 3 * 320, 3)
    for tile in picture.reshape(4, 320, 3, 320, 3).transpose(0, 2, 1, 3, 4).reshape(12, -1):
        assert 0.02 < (tile < 250).mean() < 0.5  # a body on white in every tile


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "body.txt"], "must end in .npz"),
        (["--gender", "other"], "invalid choice: 'other'"),
        (["--seed", "-1"], "must not be negative"),
        (["--out", "a.npz", "--export-dir", "b"], "one or the other"),
    ],
)
def test_tool_refuses_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as refusal:
        load_tool().main(arguments)
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_tool_reports_an_unwritable_folder_in_one_line(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = subprocess.run(
        [sys.executable, TOOL, "--export-dir", blocked / "deeper"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr

"""The shipped stand-in: topology, symmetry, anatomy, and the guard against damaged files."""

import shutil
import time

import numpy as np
import pytest
from smplx.vertex_ids import vertex_ids

from mion_plugin.body.mirroring import MIRRORED_JOINTS
from mion_plugin.body.stand_in import (
    STAND_IN_GENDERS,
    STAND_IN_PATH,
    load_stand_in,
    load_stand_in_surface,
    read_stand_in,
    save_stand_in,
)

FLIP = np.array([-1.0, 1.0, 1.0])
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
PELVIS, L_HIP, SPINE1, L_KNEE, SPINE2, L_ANKLE, SPINE3, L_FOOT, NECK, HEAD = 0, 1, 3, 4, 6, 7, 9, 10, 12, 15
L_SHOULDER, L_ELBOW, L_WRIST, L_HAND = 16, 18, 20, 22


@pytest.fixture(params=STAND_IN_GENDERS)
def body(request):
    return load_stand_in(request.param)


@pytest.fixture
def joints(body):
    return body.J_regressor @ body.v_template


def landmark(body, name):
    return body.v_template[vertex_ids["smplh"][name]]


def test_mesh_is_closed_manifold_and_wound_outwards(body):
    faces = body.faces
    assert faces.shape == (13776, 3)
    assert np.array_equal(np.unique(faces), np.arange(6890))
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {(a, b) for a, b in edges.tolist()}
    assert len(directed) == len(edges)  # no edge twice in one direction: consistent winding, manifold
    assert all((b, a) in directed for a, b in directed)  # and each has its twin: watertight
    assert 6890 - len(edges) // 2 + len(faces) == 2  # one sphere
    corners = body.v_template[faces].astype(np.float64)
    volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0
    assert 0.045 < volume < 0.09  # positive: normals point out; cubic metres of a person


def test_body_is_exactly_mirror_symmetric(body):
    mirror = load_stand_in_surface().mirror
    assert np.array_equal(mirror[mirror], np.arange(6890))
    assert np.array_equal(body.v_template, (body.v_template[mirror] * FLIP).astype(np.float32))
    assert np.array_equal(body.shapedirs, (body.shapedirs[mirror] * FLIP[:, None]).astype(np.float32))
    assert np.array_equal(body.weights, body.weights[mirror][:, MIRRORED_JOINTS])
    mirrored = {tuple(sorted(face)) for face in mirror[body.faces].tolist()}
    assert mirrored == {tuple(sorted(face)) for face in body.faces.tolist()}
    entry = np.outer(FLIP, FLIP).ravel()
    posedirs = body.posedirs.reshape(6890, 3, 23, 9)
    reflected = posedirs[mirror][:, :, MIRRORED_JOINTS[1:] - 1] * FLIP[:, None, None] * entry
    np.testing.assert_array_equal(posedirs, reflected.astype(np.float32))


def test_weights_and_tree_are_as_in_smpl(body):
    assert (body.weights >= 0).all()
    assert (body.weights > 0).sum(axis=1).max() <= 4
    np.testing.assert_allclose(body.weights.sum(axis=1), 1.0, atol=1e-6)
    assert body.parents.tolist() == PARENTS
    assert (body.weights.sum(axis=0) > 10).all()  # every joint moves something


@pytest.mark.parametrize("name", ["J_regressor", "regressor_h36m", "regressor_extra"])
def test_regressors_are_weighted_means(body, name):
    regressor = getattr(body, name)
    assert (regressor >= 0).all()
    np.testing.assert_allclose(regressor.sum(axis=1), 1.0, atol=1e-5)
    assert (regressor > 0).sum(axis=1).max() < 100


def winding_number(points, corners):
    """How often a closed surface wraps around each point (van Oosterom and Strackee): 1 inside, 0 outside."""
    total = np.zeros(len(points))
    for i, point in enumerate(points):
        a, b, c = np.moveaxis(corners - point, 1, 0)
        la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
        numerator = np.einsum("fi,fi->f", a, np.cross(b, c))
        denominator = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        total[i] = 2.0 * np.arctan2(numerator, denominator).sum() / (4.0 * np.pi)
    return total


def test_joints_lie_inside_the_body(body, joints):
    corners = body.v_template[body.faces].astype(np.float64)
    inner_extra = np.delete(body.regressor_extra, 3, axis=0)  # row 3 is the top of the head, on the surface
    keypoints = np.concatenate([joints, body.regressor_h36m @ body.v_template, inner_extra @ body.v_template])
    np.testing.assert_allclose(winding_number(keypoints, corners), 1.0, atol=1e-3)


def test_size_axes_and_origin_of_the_neutral_body():
    body = load_stand_in()
    joints = body.J_regressor @ body.v_template
    low, high = body.v_template.min(axis=0), body.v_template.max(axis=0)
    assert 1.60 < high[1] - low[1] < 1.80
    assert -0.3 < joints[PELVIS, 1] < -0.1  # the pelvis hangs a little under the origin
    assert joints[L_SHOULDER, 0] > 0.1  # x to the body's left
    assert landmark(body, "nose")[2] > joints[HEAD, 2] + 0.08  # z forward
    assert landmark(body, "LBigToe")[2] > joints[L_ANKLE, 2] + 0.1


def test_men_are_taller_than_women():
    height = {gender: np.ptp(load_stand_in(gender).v_template[:, 1]) for gender in STAND_IN_GENDERS}
    assert height["female"] + 0.05 < height["male"]
    assert height["female"] < height["neutral"] < height["male"]


def test_t_pose(joints):
    arm = joints[[L_SHOULDER, L_ELBOW, L_WRIST]]
    assert np.ptp(arm[:, 1]) < 0.03
    assert np.ptp(arm[:, 2]) < 0.03
    assert (np.diff(arm[:, 0]) > 0.2).all()
    assert abs(joints[L_HIP, 0] - joints[L_ANKLE, 0]) < 0.06
    assert (np.diff(joints[[L_ANKLE, L_KNEE, L_HIP, PELVIS, SPINE1, SPINE2, SPINE3, NECK, HEAD], 1]) > 0).all()


def test_betas_are_standard_normal_sized():
    body = load_stand_in()
    heights = [np.ptp(body.v_template[:, 1])]
    per_beta = []
    for k in range(10):
        taller = body.v_template + 2.0 * body.shapedirs[..., k]
        shorter = body.v_template - 2.0 * body.shapedirs[..., k]
        assert np.ptp(taller[:, 1]) >= np.ptp(shorter[:, 1]) - 1e-4
        per_beta.append((np.ptp(taller[:, 1]) - np.ptp(shorter[:, 1])) / 4.0)
    # Independent standard normal betas give people whose heights spread by about 9 cm.
    assert 0.07 < np.linalg.norm(per_beta) < 0.12, heights
    flat = body.shapedirs.reshape(-1, 10).astype(np.float64)
    gram = flat.T @ flat
    scale = np.sqrt(np.diag(gram))
    assert (np.diff(scale) < 1e-3).all()  # principal components, largest first
    assert np.abs(gram / np.outer(scale, scale) - np.eye(10)).max() < 0.01


def test_face_landmarks(body, joints):
    nose, left_eye, left_ear = (landmark(body, name) for name in ("nose", "leye", "lear"))
    head = body.v_template[body.weights[:, HEAD] > 0.5]
    assert nose[0] == 0.0
    assert nose[2] > head[:, 2].max() - 0.002  # foremost
    assert 0.02 < left_eye[0] < 0.045
    assert 0.01 < left_eye[1] - nose[1] < 0.06
    assert left_eye[2] < nose[2]
    assert left_ear[0] > head[:, 0].max() - 0.005  # outermost
    assert abs(left_ear[1] - left_eye[1]) < 0.05
    assert left_ear[2] < left_eye[2] - 0.05


def test_foot_landmarks(body, joints):
    big, small, heel = (landmark(body, name) for name in ("LBigToe", "LSmallToe", "LHeel"))
    floor = body.v_template[:, 1].min()
    for point in (big, small, heel):
        assert point[1] - floor < 0.05
    assert big[0] + 0.03 < small[0]  # the big toe is the inner one
    assert big[2] > small[2] > joints[L_ANKLE, 2] + 0.05
    assert heel[2] < joints[L_ANKLE, 2] - 0.02
    foot = body.v_template[(body.weights[:, L_ANKLE] + body.weights[:, L_FOOT]) > 0.5]
    assert big[2] > foot[:, 2].max() - 0.005
    assert heel[2] < foot[:, 2].min() + 0.01


def test_fingertip_landmarks(body, joints):
    tips = np.stack([landmark(body, name) for name in ("lthumb", "lindex", "lmiddle", "lring", "lpinky")])
    assert (tips[:, 0] > joints[L_WRIST, 0] + 0.07).all()
    assert (np.diff(tips[:, 2]) < -0.01).all()  # palm down: thumb in front, little finger behind
    assert tips[:, 0].argmax() == 2  # the middle finger is the longest
    assert tips[2, 0] > body.v_template[:, 0].max() - 1e-4
    assert tips[0, 0] < tips[1:, 0].max()


def test_right_landmarks_mirror_the_left_ones(body):
    ids = vertex_ids["smplh"]
    for left in (name for name in ids if name[0] in "lL"):
        right = ("r" if left[0] == "l" else "R") + left[1:]
        np.testing.assert_array_equal(body.v_template[ids[right]] * FLIP, body.v_template[ids[left]].astype(np.float64))


def test_h36m_and_lsp_keypoints_have_their_own_places(body, joints):
    h36m = body.regressor_h36m @ body.v_template
    right_lsp, left_lsp, lsp_neck, top, mpii_pelvis, thorax, spine, jaw, head = body.regressor_extra @ body.v_template
    assert h36m[1, 0] > 0 > h36m[4, 0]  # left first
    assert left_lsp[0] > 0 > right_lsp[0]  # right first
    assert h36m[1, 0] > left_lsp[0] + 0.01 > joints[L_HIP, 0]  # Human3.6M's hips are the wider ones
    assert left_lsp[1] < h36m[1, 1] - 0.01  # LSP's are the lower ones
    np.testing.assert_allclose(h36m[0], 0.5 * (h36m[1] + h36m[4]), atol=0.015)
    np.testing.assert_allclose(mpii_pelvis, 0.5 * (left_lsp + right_lsp), atol=0.015)
    np.testing.assert_array_equal(body.regressor_h36m[[7, 9, 10]], body.regressor_extra[[6, 7, 8]])
    heights = [mpii_pelvis, spine, thorax, h36m[8], lsp_neck, jaw, head, top]
    assert (np.diff([point[1] for point in heights]) > 0.005).all()
    assert top[1] > body.v_template[:, 1].max() - 0.005
    for row, joint in zip((2, 3, 11, 12, 13), (L_KNEE, L_ANKLE, L_SHOULDER, L_ELBOW, L_WRIST), strict=True):
        np.testing.assert_allclose(h36m[row], joints[joint], atol=0.03)


def test_texture_coordinates_are_coherent(body):
    surface = load_stand_in_surface()
    assert surface.uv.dtype == np.float32
    assert surface.uv.min() >= 0.0
    assert surface.uv.max() <= 1.0
    assert np.array_equal(np.unique(surface.faces_uv), np.arange(len(surface.uv)))
    corners = surface.uv[surface.faces_uv]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
    assert sides.max() < 0.1  # no face reaches across a cut of the layout
    # one texture coordinate belongs to one vertex
    owner = {}
    for row, vertex in zip(surface.faces_uv.ravel().tolist(), body.faces.ravel().tolist(), strict=True):
        assert owner.setdefault(row, vertex) == vertex


def test_loading_is_quick_and_the_file_small():
    read_stand_in.cache_clear()
    started = time.perf_counter()
    first = load_stand_in()
    assert time.perf_counter() - started < 1.0  # 0.03 s on a quiet machine
    assert load_stand_in() is first
    assert STAND_IN_PATH.stat().st_size < 2_000_000


def test_unknown_gender_is_named():
    with pytest.raises(ValueError, match="'other', expected one of neutral, male, female"):
        load_stand_in("other")


def test_saving_and_reading_gives_the_same_bodies(tmp_path):
    bodies = {gender: load_stand_in(gender) for gender in STAND_IN_GENDERS}
    path = tmp_path / "copy.npz"
    save_stand_in(path, bodies, load_stand_in_surface())
    again = read_stand_in(path, "female")
    for name in ("v_template", "posedirs", "J_regressor", "faces", "parents", "regressor_h36m", "regressor_extra"):
        np.testing.assert_array_equal(getattr(again, name), getattr(bodies["female"], name))
    np.testing.assert_allclose(again.shapedirs, bodies["female"].shapedirs, atol=4e-6)
    np.testing.assert_allclose(again.weights, bodies["female"].weights, atol=2e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["copy.npz"]


def test_saving_refuses_an_asymmetric_body(tmp_path):
    import dataclasses

    bodies = {gender: load_stand_in(gender) for gender in STAND_IN_GENDERS}
    bent = bodies["male"].v_template.copy()
    bent[5] += 0.01
    bodies["male"] = dataclasses.replace(bodies["male"], v_template=bent)
    with pytest.raises(ValueError, match=r"male.*v_template is not mirror symmetric"):
        save_stand_in(tmp_path / "bad.npz", bodies, load_stand_in_surface())
    with pytest.raises(ValueError, match="no body for female"):
        save_stand_in(tmp_path / "bad.npz", {k: v for k, v in bodies.items() if k != "female"}, load_stand_in_surface())
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "body.npz"
    with pytest.raises(FileNotFoundError, match=r"body\.npz does not exist"):
        read_stand_in(path, "neutral")
    path.write_bytes(STAND_IN_PATH.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"body\.npz is not a readable stand-in body: .*; reinstall the package"):
        read_stand_in(path, "neutral")
    shutil.copy(STAND_IN_PATH, path)
    with np.load(path) as archive:
        stored = {key: archive[key] for key in archive.files}
    stored["neutral_template"][7, 1] += 0.001
    np.savez(path, **stored)
    with pytest.raises(ValueError, match="SHA-256 does not match"):
        read_stand_in(path, "neutral")
    stored["format_version"] = np.array(99)
    np.savez(path, **stored)
    with pytest.raises(ValueError, match="format version 99, expected 1"):
        read_stand_in(path, "neutral")

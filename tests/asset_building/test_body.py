"""The parts of the body's construction, on small meshes; the whole build where anny is installed."""

import itertools
import sys

import numpy as np
import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mion_plugin.asset_building.body import (
    closing,
    keypoints,
    pose_correctives,
    regressors,
    shapes,
    simplification,
    skeleton,
    source,
    weights,
)
from mion_plugin.asset_building.body.dual_quaternions import blend_rotations
from mion_plugin.asset_building.body.linear_skinning import skin
from mion_plugin.asset_building.body.texture import corner_coordinates
from mion_plugin.body.mirroring import MIRRORED_JOINTS

FLIP = np.array([-1.0, 1.0, 1.0])


def half_sphere(rings=12, segments=24):
    """The half x >= 0 of a UV sphere about the x axis: vertices, faces, rim mask. The pole is (1, 0, 0)."""
    vertices, faces = [(1.0, 0.0, 0.0)], []
    for ring in range(1, rings + 1):
        polar = 0.5 * np.pi * ring / rings
        for segment in range(segments):
            around = 2.0 * np.pi * segment / segments
            x = 0.0 if ring == rings else np.cos(polar)
            vertices.append((x, np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)))
    for segment in range(segments):
        following = (segment + 1) % segments
        faces.append((0, 1 + segment, 1 + following))
        for ring in range(rings - 1):
            a, b = 1 + ring * segments + segment, 1 + ring * segments + following
            faces += [(a, a + segments, b + segments), (a, b + segments, b)]
    vertices = np.array(vertices)
    return vertices, np.array(faces), vertices[:, 0] == 0.0


def mirrored_vertices(vertices, rim):
    """Vertices of the whole and the mirror map."""
    inner = np.flatnonzero(~rim)
    mirror = np.arange(len(vertices) + len(inner))
    mirror[inner] = len(vertices) + np.arange(len(inner))
    mirror[len(vertices) :] = inner
    return np.concatenate([vertices, vertices[inner] * FLIP]), mirror


def is_closed(faces):
    edges = [(a, b) for face in faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)]
    return len(edges) == len(set(edges)) and all((b, a) in set(edges) for a, b in edges)


def simplify_sphere(target, locked=frozenset(), seams=frozenset()):
    vertices, faces, rim = half_sphere()
    mesh = simplification.HalfMesh(vertices, faces, rim, set(seams), set(locked), np.ones(len(vertices)))
    return vertices, rim, simplification.Simplifier(mesh).run(target)


@pytest.mark.parametrize("target", [500, 301, 300, 123])
def test_simplification_reaches_the_count_and_stays_closed_and_symmetric(target):
    vertices, rim, half = simplify_sphere(target)
    whole, mirror = mirrored_vertices(vertices, rim)
    faces = simplification.mirrored_faces(half, mirror)
    used = np.unique(faces)
    assert len(used) == target
    assert len(faces) == 2 * (target - 2)  # Euler, one sphere
    assert is_closed(faces)
    corners = whole[faces]
    volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0
    assert 0.85 * 4.0 / 3.0 * np.pi < volume < 4.0 / 3.0 * np.pi


def test_simplification_keeps_locked_vertices_and_lines():
    # the meridian through the pole in the x-y plane is a cut of the texture
    line = [0, *(1 + 24 * ring for ring in range(12))]
    seams = set(itertools.pairwise(line))
    _, _, half = simplify_sphere(150, locked={1, 30, 77}, seams=seams)
    assert {1, 30, 77} <= set(half.ravel().tolist())
    kept = [vertex for vertex in line if vertex in set(half.ravel().tolist())]
    assert kept[0] == 0
    assert kept[-1] == line[-1]
    assert len(kept) < len(line)
    edges = {frozenset((a, b)) for face in half.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)}
    assert all(frozenset(pair) in edges for pair in itertools.pairwise(kept))


def test_simplification_says_when_it_is_stuck():
    with pytest.raises(RuntimeError, match="stuck at 554 vertices, wanted 100"):
        simplify_sphere(100, locked=set(range(289)))


def test_vertex_order_puts_landmarks_at_their_numbers():
    vertices, rim, half = simplify_sphere(300)
    whole, mirror = mirrored_vertices(vertices, rim)
    faces = simplification.mirrored_faces(half, mirror)
    chosen = {17: int(np.unique(faces)[3]), 250: int(np.unique(faces)[9])}
    order = simplification.vertex_order(faces, whole, chosen)
    assert sorted(order.tolist()) == np.unique(faces).tolist()
    assert all(order[number] == vertex for number, vertex in chosen.items())


def open_box_strip():
    """A 3 x 2 grid of quads with the middle of its lower row missing: one inner hole is not there, one boundary is."""
    grid = np.array([(x, y, 0.0) for y in range(4) for x in range(4)], dtype=float)
    faces = []
    for y in range(3):
        for x in range(3):
            if (x, y) != (1, 1):
                a = 4 * y + x
                faces += [(a, a + 1, a + 5), (a, a + 5, a + 4)]
    return grid, np.array(faces)


def test_boundary_loops_follow_their_faces():
    _, faces = open_box_strip()
    loops = closing.boundary_loops(faces)
    assert sorted(len(loop) for loop in loops) == [4, 12]
    edges = {(a, b) for face in faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)}
    for loop in loops:
        assert all(pair in edges for pair in zip(loop, loop[1:] + loop[:1], strict=True))


def test_zipping_the_hole_closes_it_with_the_right_winding():
    grid, faces = open_box_strip()
    hole = min(closing.boundary_loops(faces), key=len)
    closed = np.concatenate([faces, closing.zip_chain(hole, grid)])
    assert [len(loop) for loop in closing.boundary_loops(closed)] == [12]
    normals = np.cross(grid[closed[:, 1]] - grid[closed[:, 0]], grid[closed[:, 2]] - grid[closed[:, 0]])
    assert (normals[:, 2] > 0).all()
    assert np.isclose(normals[:, 2].sum() / 2.0, 9.0)


def test_zipping_a_slit_pairs_its_rims():
    x = np.arange(6.0)
    upper, lower = np.stack([x, 0 * x + 0.1, 0 * x], 1), np.stack([x, 0 * x, 0 * x], 1)
    points = np.concatenate([upper, lower])
    chain = [0, 1, 2, 3, 4, 5, 11, 10, 9, 8, 7, 6]
    triangles = closing.zip_chain(chain, points)
    assert len(triangles) == 10
    assert all(np.ptp(points[list(triangle), 0]) <= 1.0 for triangle in triangles)


def test_chains_off_centre():
    centre = np.array([True, False, False, True, True, True])
    assert closing.chains_off_centre([1, 2], centre) == [[1, 2]]
    assert closing.chains_off_centre([2, 3, 4, 5, 0, 1], centre) == [[0, 1, 2, 3]]


def test_mirror_vertices():
    points = np.array([[0.0, 1, 0], [1.0, 0, 0], [-1.0, 0, 0]])
    assert source.mirror_vertices(points).tolist() == [0, 2, 1]
    with pytest.raises(ValueError, match="not mirror symmetric"):
        source.mirror_vertices(points + np.array([0.1, 0, 0]))


def test_seam_edges_and_corner_coordinates():
    faces = np.array([[0, 1, 2], [2, 1, 3]])
    uv = np.array([[0.0, 0], [0.1, 0], [0, 0.1], [0.9, 0.8], [0.8, 0.9], [0.9, 0.9]])
    uv_faces = np.array([[0, 1, 2], [4, 3, 5]])  # the second face lies elsewhere in the layout
    assert source.seam_edges(faces, uv_faces) == {(1, 2)}
    assert source.seam_edges(faces, np.array([[0, 1, 2], [2, 1, 5]])) == set()
    candidates = source.texture_candidates(faces, uv_faces, 4)
    assert candidates == [[0], [1, 3], [2, 4], [5]]
    kept, faces_uv = corner_coordinates(faces, np.arange(4), uv, candidates)
    np.testing.assert_array_equal(kept[faces_uv], uv[uv_faces])


def test_missing_anny_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "anny", None)  # what an import of an absent package looks like
    with pytest.raises(ImportError, match=r'building the body needs anny: pip install "mion-plugin\[body\]"'):
        source.load_source()


def test_joint_tables_agree():
    assert skeleton.mirror_joints().tolist() == MIRRORED_JOINTS.tolist()
    assert len(skeleton.JOINTS) == len(skeleton.PARENTS) == 24
    assert skeleton.joint_of_bone("finger1-2.L") == skeleton.JOINTS.index("left_wrist")
    assert skeleton.joint_of_bone("finger3-2.R") == skeleton.JOINTS.index("right_hand")
    assert skeleton.joint_of_bone("spine05") == skeleton.JOINTS.index("pelvis")
    with pytest.raises(ValueError, match=r"unknown bone 'tail\.L'"):
        skeleton.joint_of_bone("tail.L")


def random_rotations(seed, count, largest=2.5):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    vectors *= (
        torch.rand(count, 1, generator=generator, dtype=torch.float64) * largest / vectors.norm(dim=1, keepdim=True)
    )
    return roma.rotvec_to_rotmat(vectors).numpy()


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_dual_quaternions_move_rigidly(seed):
    rng = np.random.default_rng(seed)
    rotations, shift = random_rotations(seed, 4), rng.normal(size=(4, 3))
    share = rng.dirichlet(np.ones(4), size=6)
    share[:4] = np.eye(4)  # a vertex of one bone follows it exactly
    turn, maps = blend_rotations(share, rotations)
    np.testing.assert_allclose(turn @ turn.transpose(0, 2, 1), np.tile(np.eye(3), (6, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turn), 1.0)
    np.testing.assert_allclose(turn[:4], rotations, atol=1e-12)
    np.testing.assert_allclose(np.einsum("vbij,bj->vi", maps, shift)[:4], shift, atol=1e-12)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_dual_quaternions_agree_on_a_common_motion(seed):
    rng = np.random.default_rng(seed)
    rotation, shift = random_rotations(seed, 1)[0], rng.normal(size=3)
    turn, maps = blend_rotations(rng.dirichlet(np.ones(3), size=5), np.stack([rotation] * 3))
    np.testing.assert_allclose(turn, np.tile(rotation, (5, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(
        np.einsum("vbij,bj->vi", maps, np.tile(shift, (3, 1))), np.tile(shift, (5, 1)), atol=1e-12
    )


def test_dual_quaternion_hinge_keeps_its_centre():
    """Two bones that meet at a point: whatever the blend, the point stays and distances to it are kept."""
    centre = np.array([0.3, -0.2, 1.0])
    rotations = np.stack([np.eye(3), random_rotations(3, 1)[0]])
    shift = centre - rotations @ centre
    share = np.stack([np.linspace(0, 1, 7), np.linspace(1, 0, 7)], axis=1)
    turn, maps = blend_rotations(share, rotations)
    moved = turn @ centre + np.einsum("vbij,bj->vi", maps, shift)
    np.testing.assert_allclose(moved, np.tile(centre, (7, 1)), atol=1e-12)


def test_weights_keep_four_and_break_ties_symmetrically():
    row = np.zeros((2, 24))
    row[0, [0, 3, 6, 1, 2]] = [0.4, 0.2, 0.2, 0.1, 0.1]  # left and right hip tie for the fourth place
    row[1, [0, 3, 6, 1, 2]] = [0.4, 0.2, 0.2, 0.11, 0.09]
    kept = weights.keep_largest(row)
    np.testing.assert_allclose(kept.sum(axis=1), 1.0)
    assert np.flatnonzero(kept[0]).tolist() == [0, 3, 6]
    assert np.flatnonzero(kept[1]).tolist() == [0, 1, 3, 6]


def test_weight_smoothing_keeps_sums_and_constants():
    _, faces, _ = half_sphere(4, 8)
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.ones(24), size=34)  # 33 vertices and one that no face uses
    smoothed = weights.smooth(share, faces, steps=3)
    np.testing.assert_allclose(smoothed.sum(axis=1), 1.0)
    np.testing.assert_array_equal(smoothed[33], share[33])
    assert smoothed[:33].std() < share[:33].std()


def test_spine_bands_share_the_trunk():
    joints = np.zeros((24, 3))
    joints[[3, 6, 9], 1] = [0.1, 0.25, 0.4]
    share = np.zeros((50, 24))
    share[:, 9], share[:, 16] = 0.7, 0.3
    banded = weights.spine_bands(share, np.linspace(-0.3, 0.8, 50), joints)
    np.testing.assert_allclose(banded.sum(axis=1), 1.0)
    np.testing.assert_allclose(banded[:, 16], 0.3)
    np.testing.assert_allclose(banded[0, 0], 0.7)
    np.testing.assert_allclose(banded[-1, 9], 0.7)
    assert (np.diff(banded[:, 0]) <= 1e-12).all()
    assert (np.diff(banded[:, 9]) >= -1e-12).all()


def test_regressor_rows_recover_a_mean_of_points():
    rng = np.random.default_rng(0)
    bodies = rng.normal(size=(40, 30, 3))
    truth = np.zeros(30)
    truth[[3, 8, 20]] = [0.5, 0.3, 0.2]
    row = regressors.fit_row(np.arange(25), bodies, truth @ bodies, 30)
    np.testing.assert_allclose(row, truth, atol=1e-6)
    outside = regressors.fit_row(np.arange(25), bodies, bodies[:, 29], 30)
    assert (outside >= 0).all()
    np.testing.assert_allclose(outside.sum(), 1.0)


def test_spread_out_picks_distant_points():
    points = np.array([[0.0, 0, 0], [0.1, 0, 0], [5.0, 0, 0], [5.1, 0, 0], [0, 9.0, 0]])
    assert set(regressors.spread_out(points, 3)) == {4, 3, 0}
    assert sorted(regressors.spread_out(points, 99)) == [0, 1, 2, 3, 4]


def test_skinning_matches_smplx():
    from smplx.lbs import lbs

    from mion_plugin.body.stand_in import load_stand_in

    body = load_stand_in()
    joints = body.J_regressor @ body.v_template
    poses = keypoints.random_poses(2, np.random.default_rng(0))
    vertices, posed = skin(
        np.stack([body.v_template] * 2), np.stack([joints] * 2), body.weights, poses, skeleton.PARENTS
    )
    names = ("v_template", "shapedirs", "J_regressor", "parents", "weights")
    arrays = {name: torch.from_numpy(getattr(body, name).copy()) for name in names}
    expected, expected_joints = lbs(
        torch.zeros(2, 10),
        torch.from_numpy(poses.reshape(2, -1)).float(),
        arrays["v_template"],
        arrays["shapedirs"],
        torch.zeros(207, 6890 * 3),
        arrays["J_regressor"],
        arrays["parents"],
        arrays["weights"],
    )
    np.testing.assert_allclose(vertices, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(posed, expected_joints.numpy(), atol=1e-5)


def twisted_tube():
    """A ring of skin half-way between two bones along x, whose joint is at the origin."""
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.stack([0 * around, 0.05 * np.cos(around), 0.05 * np.sin(around)], axis=1)


def test_pose_correctives_keep_the_girth_of_a_twisted_limb():
    ring, half = twisted_tube(), np.full(16, 0.5)
    rotations = pose_correctives.sample_rotations(80, 1.0, np.random.default_rng(0))
    correctives = pose_correctives.fit_joint(ring, np.zeros(3), half, rotations)
    twist = roma.rotvec_to_rotmat(torch.tensor([1.4, 0.0, 0.0], dtype=torch.float64)).numpy()
    linear = 0.5 * (np.eye(3) + twist)
    corrected = ring + correctives @ (twist - np.eye(3)).ravel()
    collapsed = np.linalg.norm((ring @ linear.T)[:, 1:], axis=1).mean()
    kept = np.linalg.norm((corrected @ linear.T)[:, 1:], axis=1).mean()
    assert collapsed < 0.04
    assert abs(kept - 0.05) < 0.4 * (0.05 - collapsed)


def test_pose_correctives_are_made_symmetric():
    rng = np.random.default_rng(0)
    mirror = np.array([1, 0, 2])
    made = pose_correctives.make_symmetric(rng.normal(size=(3, 3, 23, 9)), mirror)
    np.testing.assert_allclose(pose_correctives.make_symmetric(made, mirror), made)


def test_descendants():
    names = [skeleton.JOINTS[joint] for joint in pose_correctives.descendants(skeleton.JOINTS.index("left_elbow"))]
    assert names == ["left_elbow", "left_wrist", "left_hand"]
    assert len(pose_correctives.descendants(0)) == 24


def test_phenotypes_start_with_the_average_adult_and_stay_in_range():
    values = shapes.sample_phenotypes(500, np.random.default_rng(0))
    again = shapes.sample_phenotypes(500, np.random.default_rng(0))
    for name, value in values.items():
        assert value.shape == (500,)
        assert value.min() >= 0.0
        assert value.max() <= 1.0
        np.testing.assert_array_equal(value, again[name])
    assert values["gender"][0] == 0.5
    np.testing.assert_allclose(values["african"] + values["asian"] + values["caucasian"], 1.0)
    assert (values["gender"] < 0.3).mean() > 0.3
    assert (values["gender"] > 0.7).mean() > 0.3


@pytest.mark.slow
def test_whole_build_gives_the_shipped_body(tmp_path):
    pytest.importorskip("anny", reason="anny is not installed (pip install 'mion-plugin[body]')")
    from mion_plugin.asset_building.body.build import build_stand_in
    from mion_plugin.body.stand_in import load_stand_in, read_stand_in, save_stand_in

    lines = []
    bodies, surface, report = build_stand_in(seed=0, progress=lines.append)
    save_stand_in(tmp_path / "body.npz", bodies, surface)
    rebuilt, shipped = read_stand_in(tmp_path / "body.npz", "neutral"), load_stand_in()
    assert len(lines) > 3
    np.testing.assert_array_equal(rebuilt.faces, shipped.faces)
    np.testing.assert_allclose(rebuilt.v_template, shipped.v_template, atol=1e-5)
    np.testing.assert_allclose(rebuilt.weights, shipped.weights, atol=1e-4)
    np.testing.assert_allclose(rebuilt.shapedirs, shipped.shapedirs, atol=2e-4)
    assert abs(report.heights[0] - 1.70) < 0.03
    assert abs(report.heights[1] - 0.09) < 0.02
    assert report.joint_error[0] < 5.0
    assert report.joint_error[1] < 20.0
    assert max(report.keypoint_error.values()) < 12.0
    assert min(report.explained.values()) > 0.99

"""Files of bodies: the project's own layout, miniatures of other methods' files, and what is wrong with others."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from support.smpl_files import Malicious

from mion_plugin.files import UnsafePickleError
from mion_plugin.files.npz import write_npz
from mion_plugin.geometry.rotations import rotvec_to_rotmat
from mion_plugin.scoring import check_hypotheses, read_bodies
from mion_plugin.scoring.placing import pose_bodies

P, N = 2, 3


def make_arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image_name": np.array(["a.jpg", "b.jpg"]),
        "person": np.array([0, 0]),
        "pose": rng.normal(0, 0.3, (P, N, 24, 3)),
        "betas": rng.normal(size=(P, N, 10)),
        "transl": np.tile([0.0, 0.2, 45.0], (P, N, 1)),
        "focal_length": np.array([5000.0, 4000.0]),
        "principal_point": np.array([[320.0, 200.0], [100.0, 50.0]]),
    }


def random_vertices(*lead, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (*lead, 6890, 3))


def pixels(bodies, row, body, image_shape=(480, 640)):
    """Where the vertices (N, V, 2) of a row lie in its photograph."""
    posed = pose_bodies(bodies, row, body, ("coco",), image_shape)
    return posed.camera.project(posed.vertices + posed.transl[:, None]).numpy()


class TestOwnLayout:
    def test_round_trip(self, tmp_path):
        arrays = make_arrays()
        write_npz(tmp_path / "x.npz", arrays)
        bodies = read_bodies(tmp_path / "x.npz")
        assert (len(bodies), bodies.image_name, bodies.licensed) == (2, ("a.jpg", "b.jpg"), False)
        for name in ("person", "pose", "betas", "transl", "focal_length", "principal_point"):
            np.testing.assert_array_equal(getattr(bodies, name), arrays[name])

    def test_what_may_be_left_out(self):
        bodies = check_hypotheses({"pose": make_arrays()["pose"]}, Path("x.npz"))
        assert bodies.image_name is bodies.person is bodies.betas is bodies.transl is bodies.focal_length is None

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"pose": None}, r"pose \(P, N, 24, 3\) or vertices \(P, N, 6890, 3\): x.npz has neither"),
            ({"beta": np.zeros((P, N, 10))}, r"beta is none of the keys that are read; did you mean betas\?"),
            ({"vertices": random_vertices(P, N)}, r"both in x.npz, expected one"),
            ({"pose": np.zeros((P, N, 72))}, r"pose has shape \(2, 3, 72\), expected \(P, N, 24, 3\) axis-angle or"),
            ({"pose": np.zeros((P, 0, 24, 3))}, r"x.npz holds no bodies"),
            (
                {"betas": np.zeros((P, 4, 10))},
                r"betas has shape \(2, 4, 10\), expected \(2, 3, 10\) for 2 people with 3",
            ),
            ({"transl": np.zeros((P, 3))}, r"transl has shape \(2, 3\), expected \(2, 3, 3\)"),
            ({"image_name": np.array(["a.jpg"])}, r"image_name has shape \(1,\), expected \(2,\)"),
            ({"image_name": np.array([1, 2])}, r"image_name is int64, expected text"),
            ({"person": np.array([0.0, 1.0])}, r"person is float64, expected integers from 0"),
            ({"person": np.array([0, -1])}, r"person is int64, expected integers from 0"),
            ({"betas": np.full((P, N, 10), "x")}, r"betas is <U1, expected numbers"),
            ({"pose": np.tile(2 * np.eye(3), (P, N, 24, 1, 1))}, r"row 0, body 0, joint 0 is no rotation matrix"),
            ({"keypoints2d": np.full((P, 17, 3), np.nan)}, r"keypoints2d holds NaN or infinite values where"),
            ({"betas": np.full((P, N, 10), 1e30)}, r"betas reaches 1e\+30, expected at most 1e\+07"),
            ({"keypoints2d": np.full((P, 17, 3), 1e30)}, r"keypoints2d lie beyond 1e\+07 pixels"),
            ({"transl": None}, r"pose and focal_length without transl"),
            ({"focal_length": None}, r"transl without focal_length"),
            ({"focal_length": np.array([5000.0, 0.0])}, r"a focal_length is not above 0"),
            ({"weak_perspective": np.ones((P, N, 3)), "crop": np.ones((P, 3))}, r"are two cameras; give one"),
            ({"crop": np.ones((P, 3))}, r"weak_perspective and crop belong together"),
        ],
    )
    def test_faults_are_told_in_one_line(self, changes, message):
        arrays = {name: value for name, value in {**make_arrays(), **changes}.items() if value is not None}
        with pytest.raises(ValueError, match=message) as caught:
            check_hypotheses(arrays, Path("x.npz"))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["pose", "betas", "transl"])
    def test_nan_is_named(self, name):
        arrays = make_arrays()
        arrays[name][1, 2, 0] = np.nan
        with pytest.raises(ValueError, match=rf"x.npz: {name} of row 1, body 2 is NaN or infinite"):
            check_hypotheses(arrays, Path("x.npz"))

    @pytest.mark.parametrize(
        ("vertices", "message"),
        [
            (np.zeros((P, N, 10475, 3)), r"\(2, 3, 10475, 3\) \(SMPL-X's\), expected \(P, N, 6890, 3\), SMPL's"),
            (np.zeros((P, 6890, 3)), r"vertices have shape \(2, 6890, 3\), expected"),
            (1000 * random_vertices(P, N), r"vertices of row \d, body \d span 1800, expected metres of a person"),
        ],
    )
    def test_vertices_of_other_models_and_units(self, vertices, message):
        with pytest.raises(ValueError, match=message):
            check_hypotheses({"vertices": vertices}, Path("x.npz"))

    def test_pickled_arrays_and_other_files(self, tmp_path):
        np.savez(tmp_path / "x.npz", pose=np.array([{"a": 1}], dtype=object))
        with pytest.raises(ValueError, match=r"not a readable file of bodies: it holds pickled objects"):
            read_bodies(tmp_path / "x.npz")
        (tmp_path / "y.npz").write_text("no archive")
        with pytest.raises(ValueError, match=r"y.npz is not a readable file of bodies"):
            read_bodies(tmp_path / "y.npz")
        with pytest.raises(FileNotFoundError, match=r"file of bodies .*z.npz does not exist"):
            read_bodies(tmp_path / "z.npz")


class TestHMR2:
    def make(self, lead, seed=0):
        rng = np.random.default_rng(seed)
        rotations = rotvec_to_rotmat(torch.from_numpy(rng.normal(0, 0.3, (*lead, 24, 3)))).numpy()
        return {
            "img_path": np.array(["photos/a.jpg", "photos/b.jpg"]),
            "personid": np.array([0, 0]),
            "pred_cam": np.concatenate([rng.uniform(0.7, 1, (*lead, 1)), rng.normal(0, 0.1, (*lead, 2))], axis=-1),
            "box_center": np.array([[320.0, 200.0], [100.0, 50.0]]),
            "box_size": np.array([300.0, 100.0]),
            "global_orient": rotations[..., :1, :, :],
            "body_pose": rotations[..., 1:, :, :],
            "betas": rng.normal(size=(*lead, 10)),
        }

    @pytest.mark.parametrize("lead", [(P,), (P, N)])
    def test_bodies_lie_where_its_own_crop_camera_shows_them(self, tmp_path, scorer, lead):
        content = self.make(lead)
        write_npz(tmp_path / "x.npz", content)
        bodies = read_bodies(tmp_path / "x.npz")
        assert (bodies.layout, bodies.licensed, bodies.person) == ("4D-Humans", True, None)
        assert bodies.pose.shape == (P, lead[1] if len(lead) > 1 else 1, 24, 3, 3)
        found = pixels(bodies, 1, scorer.body)[-1]
        # HMR2: 5000 px on a crop of 256 px, whose middle is its principal point
        scale, *shift = content["pred_cam"].reshape(P, -1, 3)[1, -1]
        pose, betas = (torch.from_numpy(values[1, -1]).float() for values in (bodies.pose, bodies.betas))
        points = scorer.body(pose, betas).vertices.numpy() + np.array([*shift, 2 * 5000 / (256 * scale)])
        in_crop = 5000 * points[:, :2] / points[:, 2:] + 128
        expected = in_crop * (100.0 / 256) + np.array([100.0, 50.0]) - 50.0
        np.testing.assert_allclose(found, expected, atol=1e-3)

    def test_parameters_in_the_models_dict(self, tmp_path):
        """What ``np.savez`` writes of the model's output as it is; the rest of it is not read."""
        flat = self.make((P,))
        write_npz(tmp_path / "flat.npz", flat)
        parameters = {name: flat.pop(name) for name in ("global_orient", "body_pose", "betas")}
        losses = {"loss": Malicious(tmp_path / "ran")}
        np.savez(tmp_path / "dict.npz", **flat, pred_smpl_params=parameters, losses=losses)
        expected, found = read_bodies(tmp_path / "flat.npz"), read_bodies(tmp_path / "dict.npz")
        for name in ("pose", "betas", "transl", "focal_length"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert not (tmp_path / "ran").exists()
        np.savez(tmp_path / "list.npz", **flat, pred_smpl_params=[1, 2])
        with pytest.raises(ValueError, match=r"list.npz: pred_smpl_params is no dict of arrays"):
            read_bodies(tmp_path / "list.npz")
        np.savez(tmp_path / "code.npz", **flat, pred_smpl_params=losses)
        with pytest.raises(UnsafePickleError, match=r"code.npz: the pickle asks for"):
            read_bodies(tmp_path / "code.npz")

    def test_vertices_in_place_of_parameters(self, tmp_path):
        kept = {name: self.make((P,))[name] for name in ("img_path", "pred_cam", "box_center", "box_size")}
        write_npz(tmp_path / "x.npz", {**kept, "pred_vertices": random_vertices(P)})
        bodies = read_bodies(tmp_path / "x.npz")
        np.testing.assert_array_equal(bodies.vertices, random_vertices(P)[:, None])

    @pytest.mark.parametrize(
        ("left_out", "message"),
        [
            ("box_center", "x.npz has no box_center; it holds betas"),
            ("global_orient", "x.npz has no global_orient"),
            ("body_pose", "x.npz has no pred_vertices"),
        ],
    )
    def test_what_is_missing_is_named(self, tmp_path, left_out, message):
        write_npz(tmp_path / "x.npz", {name: v for name, v in self.make((P,)).items() if name != left_out})
        with pytest.raises(ValueError, match=message):
            read_bodies(tmp_path / "x.npz")


class TestSAM3DBody:
    def test_a_converted_mesh(self, tmp_path, scorer):
        content = {"pred_vertices": random_vertices(), "pred_cam_t": np.array([0.1, 0.2, 4.0]), "focal_length": 900.0}
        write_npz(tmp_path / "x.npz", content)
        bodies = read_bodies(tmp_path / "x.npz")
        assert (bodies.layout, bodies.image_name, bodies.vertices.shape) == ("SAM 3D Body", None, (1, 1, 6890, 3))
        placed = content["pred_vertices"] + content["pred_cam_t"]
        expected = 900.0 * placed[:, :2] / placed[:, 2:] + [320, 240]  # a camera through the photograph's middle
        np.testing.assert_allclose(
            900.0 * (bodies.vertices + bodies.transl[:, :, None])[0, 0, :, :2] / placed[:, 2:] + [320, 240], expected
        )
        assert bodies.principal_point is None

    def test_a_mesh_that_the_conversion_has_placed(self, tmp_path):
        """``convert_sam3d_output_to_smpl`` adds ``pred_cam_t``; to add it again would double the distance."""
        transl = np.array([-2.5, 1.2, 8.3])
        vertices = random_vertices() + np.array([0.0, -1.4, 0.0])  # SAM 3D Body's origin is at the feet
        for name, mesh in (("own.npz", vertices), ("placed.npz", vertices + transl)):
            write_npz(tmp_path / name, {"pred_vertices": mesh, "pred_cam_t": transl, "focal_length": 900.0})
        own, placed = read_bodies(tmp_path / "own.npz"), read_bodies(tmp_path / "placed.npz")
        np.testing.assert_allclose(
            own.vertices + own.transl[:, :, None], placed.vertices + placed.transl[:, :, None], atol=1e-6
        )

    def test_the_camera_is_that_of_its_keypoints(self, tmp_path):
        """The files of facebookresearch/MHR have no ``focal_length``, and others may have a camera of the user's."""
        points, transl = np.random.default_rng(0).normal(scale=0.4, size=(70, 3)), np.array([0.3, 0.2, 4.0])
        placed = points + transl
        content = {
            "pred_vertices": random_vertices(),
            "pred_cam_t": transl,
            "pred_keypoints_3d": points.astype(np.float32),
            "pred_keypoints_2d": 1500.0 * placed[:, :2] / placed[:, 2:] + [700.0, 300.0],
        }
        write_npz(tmp_path / "x.npz", content)
        bodies = read_bodies(tmp_path / "x.npz")
        assert bodies.focal_length == pytest.approx([1500.0], rel=1e-5)
        np.testing.assert_allclose(bodies.principal_point, [[700.0, 300.0]], atol=1e-2)
        write_npz(tmp_path / "x.npz", {**content, "pred_keypoints_3d": np.full((70, 3), np.nan)})
        with pytest.raises(ValueError, match=r"x.npz: pred_keypoints_3d and pred_keypoints_2d tell no camera"):
            read_bodies(tmp_path / "x.npz")
        del content["pred_keypoints_3d"]
        write_npz(tmp_path / "x.npz", content)
        with pytest.raises(ValueError, match=r"x.npz has no focal_length"):
            read_bodies(tmp_path / "x.npz")

    @pytest.mark.parametrize("more", [{}, {"focal_length": np.array(900.0)}])
    def test_its_own_mesh_is_refused_by_name(self, more, tmp_path):
        content = {"pred_vertices": np.zeros((12000, 3)), "pred_cam_t": np.ones(3), **more}
        write_npz(tmp_path / "x.npz", content)
        with pytest.raises(
            ValueError, match=r"x.npz is SAM 3D Body's: a mesh of MHR's 12000 vertices, .*convert it to"
        ):
            read_bodies(tmp_path / "x.npz")


class TestScoreHypo:
    def make(self):
        """Three hypotheses between two means, of two people; a person's number comes as an int, as there."""
        meshes = 1000.0 * (random_vertices(N + 2, P) + np.array([0.0, 0.0, 4.0]))
        return {
            k: {
                idx: {
                    "xyz_17": np.zeros((17, 3), np.float32),
                    "score": np.float32(k),
                    "focal_l": np.array([800.0, 800.0], np.float32),
                    "center_pt": np.array([320.0, 240.0], np.float32),
                    "idx": np.int64(idx),
                    "img_idx": np.int64(idx),
                    "img_path": f"photos/{idx}.jpg",
                    "pred_mesh": meshes[k, idx].astype(np.float32),
                }
                for idx in range(P)
            }
            for k in range(N + 2)
        }

    @pytest.mark.parametrize("protocol", [2, 4, 5])
    def test_hypotheses_without_the_means(self, tmp_path, protocol):
        content = self.make()
        (tmp_path / "output.pkl").write_bytes(pickle.dumps(content, protocol))
        bodies = read_bodies(tmp_path / "output.pkl")
        assert (bodies.layout, bodies.licensed) == ("ScoreHypo", True)
        assert bodies.image_name == ("photos/0.jpg", "photos/1.jpg")
        assert bodies.vertices.shape == (P, N, 6890, 3)
        np.testing.assert_allclose(bodies.vertices[1, 2], content[3][1]["pred_mesh"] / 1000.0, rtol=1e-6)
        assert bodies.focal_length.tolist() == [800.0, 800.0]
        assert bodies.principal_point[0].tolist() == [320.0, 240.0]
        assert not bodies.transl.any()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({0: {}, 1: {}, 2: {}}, r"x.pkl"),
            ([1, 2, 3], r"x.pkl is not ScoreHypo's output.pkl, body -> person -> pred_mesh"),
            ({k: {0: {"img_path": "a.jpg"}} for k in range(3)}, r"KeyError"),
        ],
    )
    def test_other_content(self, tmp_path, content, message):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=message):
            read_bodies(tmp_path / "x.pkl")

    def test_a_pickle_that_runs_something_is_refused(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return Path.touch, (tmp_path / "ran",)

        (tmp_path / "x.pkl").write_bytes(pickle.dumps({0: Evil()}))
        with pytest.raises(UnsafePickleError, match=r"x.pkl: the pickle asks for"):
            read_bodies(tmp_path / "x.pkl")
        assert not (tmp_path / "ran").exists()

"""The HumanData reader against mmhuman3d's, on damaged files, and on hostile ones."""

import contextlib
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from mion_plugin.datasets import load_human_data, save_human_data
from mion_plugin.files import RestrictedUnpickler, UnsafePickleError


def assert_same(value, expected):
    """Equal in type and content, dicts and lists at any depth."""
    assert type(value) is type(expected)
    if isinstance(expected, dict):
        assert set(value) == set(expected)
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, list):
        assert len(value) == len(expected)
        for one, other in zip(value, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray) and expected.dtype == object:
        assert value.dtype == object
        assert_same(value.tolist(), expected.tolist())
    else:
        assert getattr(value, "dtype", None) == getattr(expected, "dtype", None)
        np.testing.assert_array_equal(value, expected)


class TestAgainstMmhuman3d:
    @pytest.mark.parametrize("compress", [False, True])
    def test_every_key(self, write_set, human_data_class, compress):
        def add_unusual(data):
            data["misc"] = {"note": "x", "numbers": [1, 2.5], "nested": {"flag": True, "rows": np.arange(5)}}
            data["cam_param"] = [{"in_mat": np.eye(3).tolist(), "H": 80} for _ in range(5)]
            data["has_smpl"] = np.array([1, 0, 1, 1, 0])
            data["image_id"] = ["a", "b", "c", "d", "e"]

        root, name = write_set(change=add_unusual, compress=compress)
        expected = human_data_class.fromfile(str(root / name))
        data = load_human_data(root / name)
        assert data.keypoints_compressed == expected.check_keypoints_compressed() == compress
        # conventions that mmhuman3d adds for files without them
        added = {"keypoints2d_convention", "keypoints3d_convention"}
        assert set(data.content) == set(expected) - added
        for key in data.content:
            assert_same(data.content[key], expected.get_raw_value(key))

    @pytest.mark.parametrize("compress", [False, True])
    @pytest.mark.parametrize(("key", "convention"), [("keypoints2d", "coco"), ("keypoints3d", "h36m")])
    def test_keypoints_as_its_dataset_converts_them(self, write_set, human_data_class, compress, key, convention):
        from mmhuman3d.core.conventions.keypoints_mapping import convert_kps

        root, name = write_set(compress=compress)
        reference = human_data_class.fromfile(str(root / name))
        if compress:
            reference.decompress_keypoints()
        data = load_human_data(root / name)
        for target in ("human_data", "smpl_49", "mpii", "openpose_25", convention):
            expected, mask = convert_kps(reference[key], "human_data", target, mask=reference[f"{key}_mask"])
            if not mask.any():
                with pytest.raises(ValueError, match="no joint of convention"):
                    data.keypoints(key, target)
                continue
            values, has_joint = data.keypoints(key, target)
            np.testing.assert_array_equal(values, expected)
            np.testing.assert_array_equal(has_joint, mask == 1)

    def test_box_without_score(self, tmp_path, human_data_class):
        np.savez(tmp_path / "old.npz", image_path=["a.png"], bbox_xywh=np.array([[1.0, 2, 3, 4]]))
        expected = human_data_class.fromfile(str(tmp_path / "old.npz"))
        np.testing.assert_array_equal(load_human_data(tmp_path / "old.npz").content["bbox_xywh"], expected["bbox_xywh"])

    def test_masked_out_joints_are_absent_though_the_file_has_numbers(self, write_set):
        def unmask_left_knee(data):
            mask = data["keypoints2d_mask"].copy()
            mask[data_index("left_knee")] = 0
            data["keypoints2d_mask"] = mask

        root, name = write_set(change=unmask_left_knee)
        keypoints, has_joint = load_human_data(root / name).keypoints("keypoints2d", "coco")
        knee = 13
        assert not has_joint[knee]
        assert (keypoints[:, knee] == 0).all()
        assert has_joint.sum() == 16


def data_index(name: str) -> int:
    from mion_plugin.geometry.keypoints import keypoint_names

    return keypoint_names("human_data").index(name)


class TestWriting:
    CONTENT = {  # noqa: RUF012  read only
        "image_path": ["a.png", "b.png"],
        "bbox_xywh": np.arange(10.0).reshape(2, 5),
        "keypoints2d": np.arange(102.0).reshape(2, 17, 3),
        "keypoints2d_mask": np.ones(17),
        "keypoints2d_convention": "coco",
        "smpl": {"betas": np.zeros((2, 10)), "body_pose": np.ones((2, 23, 3)), "global_orient": np.ones((2, 3))},
        "cam_param": {"K": np.tile(np.eye(3), (2, 1, 1))},
    }

    def test_mmhuman3d_and_we_read_the_same(self, tmp_path, human_data_class):
        path = save_human_data(tmp_path / "new" / "set.npz", self.CONTENT)
        expected, data = human_data_class.fromfile(str(path)), load_human_data(path)
        assert len(data) == expected.data_len == 2
        assert set(data.content) == set(self.CONTENT) == set(expected)
        for key in self.CONTENT:
            assert_same(data.content[key], expected.get_raw_value(key))
        np.testing.assert_equal(data.content["smpl"], self.CONTENT["smpl"])

    def test_bad_values(self, tmp_path):
        with pytest.raises(ValueError, match=r"suffix '\.pkl', expected \.npz"):
            save_human_data(tmp_path / "set.pkl", self.CONTENT)
        with pytest.raises(ValueError, match="image_path is empty or missing"):
            save_human_data(tmp_path / "set.npz", {"image_path": []})
        assert not list(tmp_path.iterdir())


class TestBadFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nothing\.npz does not exist"):
            load_human_data(tmp_path / "nothing.npz")

    def test_truncated(self, write_set):
        root, name = write_set()
        whole = (root / name).read_bytes()
        for size in (0, 10, len(whole) // 2, len(whole) - 5):
            (root / "cut.npz").write_bytes(whole[:size])
            with pytest.raises(ValueError, match=r"cut\.npz is not a readable HumanData file"):
                load_human_data(root / "cut.npz")

    def test_flipped_bytes_are_found_or_harmless(self, write_set):
        root, name = write_set()
        whole, sound = bytearray((root / name).read_bytes()), load_human_data(root / name).content
        rng = np.random.default_rng(0)
        for _ in range(30):
            damaged = whole.copy()
            damaged[rng.integers(len(damaged))] ^= 0xFF
            (root / "damaged.npz").write_bytes(damaged)
            with contextlib.suppress(ValueError, pickle.UnpicklingError):
                found = load_human_data(root / "damaged.npz").content
                for key in found.keys() & sound.keys():
                    assert pickle.dumps(found[key]) == pickle.dumps(sound[key]), key

    def test_missing_key_lists_what_is_there(self, tmp_path):
        np.savez(tmp_path / "few.npz", image_path=["a.png"], config="x")
        with pytest.raises(ValueError, match=r"few\.npz: key 'bbox_xywh' missing; the file holds config, image_path"):
            load_human_data(tmp_path / "few.npz").require("bbox_xywh")

    def test_nan_names_key_and_row(self, write_set):
        def spoil(data):
            data["keypoints2d"][3, data_index("nose"), 0] = np.nan

        root, name = write_set(change=spoil)
        with pytest.raises(ValueError, match=r"train\.npz: key 'keypoints2d' holds NaN .* row 3 \(images/003\.png\)"):
            load_human_data(root / name).keypoints("keypoints2d", "coco")

    def test_nan_of_an_absent_joint_does_no_harm(self, write_set):
        def spoil(data):
            data["keypoints2d"][3, data_index("nose")] = np.nan, np.nan, 0

        root, name = write_set(change=spoil)
        keypoints, _ = load_human_data(root / name).keypoints("keypoints2d", "coco")
        assert (keypoints[3, 0] == 0).all()

    def test_wrong_lengths(self, write_set):
        def cut(data):
            dict.__setitem__(data, "keypoints2d", data["keypoints2d"][:4])

        root, name = write_set(change=cut)
        with pytest.raises(ValueError, match="key 'keypoints2d' has 4 rows but image_path has 5"):
            load_human_data(root / name).keypoints("keypoints2d", "coco")

    def test_wrong_number_of_joints(self, write_set):
        def cut(data):
            dict.__setitem__(data, "keypoints2d", data["keypoints2d"][:, :17])

        root, name = write_set(change=cut)
        with pytest.raises(ValueError, match=r"key 'keypoints2d' has shape \(5, 17, 3\), expected \(5, 190, 3\)"):
            load_human_data(root / name).keypoints("keypoints2d", "coco")

    def test_mask_of_another_convention(self, write_set):
        def rename(data):
            data["keypoints2d_convention"] = "coco"

        root, name = write_set(change=rename)
        with pytest.raises(ValueError, match=r"keypoints2d_mask' has shape \(190,\), expected \(17,\)"):
            load_human_data(root / name).keypoints("keypoints2d", "coco")

    def test_unknown_convention_in_the_file(self, write_set):
        root, name = write_set(change=lambda data: data.update(keypoints2d_convention="my_joints"))
        with pytest.raises(ValueError, match="keypoints2d_convention' is unusable: unknown keypoint convention"):
            load_human_data(root / name).keypoints("keypoints2d", "coco")


class TestHostileFiles:
    """Object arrays are pickles, and a pickle is a program."""

    def write(self, path, pickled: bytes):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("smpl.npy", header.getvalue() + pickled)

    def test_code_is_not_run(self, tmp_path):
        class Attack:
            def __reduce__(self):
                return os.system, (f"touch {tmp_path / 'run'}",)

        self.write(tmp_path / "attack.npz", pickle.dumps(Attack()))
        with pytest.raises(UnsafePickleError, match=r"attack\.npz: .*system"):
            load_human_data(tmp_path / "attack.npz")
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("name", ["builtins.eval", "builtins.getattr", "numpy.load", "numpy.testing.rundocs"])
    def test_other_names_are_refused(self, tmp_path, name):
        module, _, function = name.rpartition(".")
        self.write(tmp_path / "attack.npz", f"c{module}\n{function}\n(S'1'\ntR.".encode())
        with pytest.raises(UnsafePickleError, match=function):
            load_human_data(tmp_path / "attack.npz")

    @pytest.mark.parametrize(
        "state",
        [
            (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0),  # a record of objects, flag taken away
            (3, "|", (np.dtype("O"), (1,)), None, None, 8, 1, 0),  # a sub-array of objects
        ],
    )
    @pytest.mark.parametrize("code", ["V8", "f8", "O8"])
    def test_forged_element_types_cannot_turn_bytes_into_addresses(self, tmp_path, code, state):
        # numpy.dtype would take this state, and reading the array's element would be a segmentation fault
        class ElementType:
            def __reduce__(self):
                return np.dtype, (code, False, True), state

        class Array:
            def __reduce__(self):
                reconstruct = np.empty(0).__reduce__()[0]
                return reconstruct, (np.ndarray, (0,), b"b"), (1, (1,), ElementType(), False, b"\x41" * 8)

        self.write(tmp_path / "attack.npz", pickle.dumps(Array()))
        with pytest.raises((UnsafePickleError, pickle.UnpicklingError), match="plain one"):
            load_human_data(tmp_path / "attack.npz")

    def test_object_array_from_bytes(self, tmp_path):
        class Array:
            def __reduce__(self):
                reconstruct = np.empty(0).__reduce__()[0]
                return reconstruct, (np.ndarray, (0,), b"b"), (1, (1,), np.dtype("O"), False, b"\x41" * 8)

        self.write(tmp_path / "attack.npz", pickle.dumps(Array()))
        with pytest.raises(ValueError, match=r"attack\.npz is not a readable HumanData file"):
            load_human_data(tmp_path / "attack.npz")

    def test_a_class_of_arrays_cannot_be_called(self):
        class Call:
            def __reduce__(self):
                return np.ndarray, ((10**6,), "f8")

        with pytest.raises(pickle.UnpicklingError, match="other than numpy does"):
            RestrictedUnpickler(io.BytesIO(pickle.dumps(Call()))).load()

    @pytest.mark.parametrize("protocol", [3, 4, 5])  # numpy writes 3, from 2.0 on 4
    def test_honest_pickles_of_every_protocol(self, protocol):
        content = {
            "array": np.arange(6.0).reshape(2, 3),
            "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
            "text": np.array(["m", "female"]),
            "big_endian": np.arange(3, dtype=">i4"),
            "scalars": [np.float32(3), np.int64(2), np.bool_(True), 1, 2.5, None, "x", (1, 2)],
            "empty": np.zeros((0, 3)),
            "objects": [{"K": np.eye(3)}, None],
        }
        pickled = io.BytesIO(pickle.dumps(content, protocol=protocol))
        read = RestrictedUnpickler(pickled).load()
        np.testing.assert_equal(read, content)
        assert type(read["objects"][0]["K"]) is np.ndarray

import pickle
import re
from types import SimpleNamespace

import numpy as np
import pytest
import smplx
import torch
from scipy import sparse
from support.smpl_files import Malicious, dump_like_official, make_smpl_dict

from mion_plugin.body import SMPLBody, load_body
from mion_plugin.body.unpickling import load_smpl_pickle
from mion_plugin.files import UnsafePickleError


@pytest.fixture(scope="module")
def content():
    return make_smpl_dict()


@pytest.fixture(scope="module")
def official(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("smpl") / "SMPL_NEUTRAL.pkl"
    dump_like_official(content, path)
    return path


def test_official_layout_loads_without_chumpy(official, content):
    loaded = load_smpl_pickle(official)
    for key in ("v_template", "shapedirs", "posedirs", "weights", "f", "kintree_table"):
        np.testing.assert_array_equal(loaded[key], content[key])
    np.testing.assert_array_equal(loaded["J_regressor"], content["J_regressor"].toarray())
    assert loaded["bs_style"] == "lbs"


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_every_pickle_protocol_loads(content, tmp_path, protocol):
    small = {key: content[key] for key in ("v_template", "shapedirs", "J_regressor", "bs_type")}
    small["posedirs"] = np.asfortranarray(content["posedirs"][:5])
    small["scalar"] = np.float64(3.5)
    path = tmp_path / "small.pkl"
    dump_like_official(small, path, protocol)
    loaded = load_smpl_pickle(path)
    np.testing.assert_array_equal(loaded["shapedirs"], small["shapedirs"])
    np.testing.assert_array_equal(loaded["posedirs"], small["posedirs"])
    assert loaded["scalar"] == 3.5


def test_result_equals_smplx_on_the_same_numbers(official, content):
    """smplx gets the arrays directly; our body reads them back from the official layout."""
    arrays = {**content, "J_regressor": content["J_regressor"].toarray()}
    reference = smplx.SMPL("", data_struct=SimpleNamespace(**arrays), batch_size=3)
    body = SMPLBody(official)
    rng = torch.Generator().manual_seed(0)
    pose, betas = torch.randn(3, 24, 3, generator=rng) * 0.5, torch.randn(3, 10, generator=rng)
    transl = torch.randn(3, 3, generator=rng)
    expected = reference(betas=betas, global_orient=pose[:, 0], body_pose=pose[:, 1:].flatten(1), transl=transl)
    output = body(pose, betas, transl)
    torch.testing.assert_close(output.vertices, expected.vertices, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.joints, expected.joints[:, :24], rtol=1e-4, atol=1e-4)


def test_npz_and_300_betas(content, tmp_path):
    wide = make_smpl_dict(num_betas=300)
    wide["J_regressor"] = wide["J_regressor"].toarray()
    np.savez(tmp_path / "SMPL_FEMALE.npz", **wide)
    body = load_body(tmp_path, gender="female")
    np.testing.assert_array_equal(body.shapedirs, wide["shapedirs"][..., :10].astype(np.float32))


@pytest.mark.parametrize("names", ["SMPL_{}.pkl", "basicmodel_{}_lbs_10_207_0_v1.1.0.pkl"])
def test_a_file_is_of_the_gender_that_its_name_tells(content, tmp_path, names):
    words = {"neutral": "NEUTRAL", "male": "MALE"} if "SMPL" in names else {"neutral": "neutral", "male": "m"}
    for number, word in enumerate(words.values()):
        dump_like_official({**content, "v_template": content["v_template"] + number}, tmp_path / names.format(word))
    neutral, male = (SMPLBody(tmp_path / names.format(word)) for word in words.values())
    assert (neutral.gender, male.gender) == ("neutral", "male")
    for path in (tmp_path, tmp_path / names.format(words["neutral"])):
        asked = SMPLBody(path, "male")
        assert asked.gender == "male"
        torch.testing.assert_close(asked.v_template, male.v_template)
        with pytest.raises(FileNotFoundError, match=r"holds neither SMPL_FEMALE\.pkl nor SMPL_FEMALE\.npz"):
            SMPLBody(path, "female")
    other = (tmp_path / names.format(words["male"])).rename(tmp_path / "mine.pkl")
    assert SMPLBody(other, "female").gender == "female"  # whatever it is called


def test_regressors_beside_the_file_are_read(official):
    regressor = np.full((17, 6890), 1 / 6890)
    np.save(official.parent / "J_regressor_h36m.npy", regressor)
    assert load_body(official).regressor_h36m.shape == (17, 6890)
    (official.parent / "J_regressor_h36m.npy").write_bytes(b"not an array")
    with pytest.raises(ValueError, match=r"J_regressor_h36m.npy is not a readable regressor"):
        load_body(official)
    (official.parent / "J_regressor_h36m.npy").unlink()


def test_regressors_are_found_where_mmhuman3ds_guide_puts_them(content, tmp_path):
    """``body_models/J_regressor_*.npy`` above ``body_models/smpl/SMPL_*.pkl``; those beside the file come first."""
    folder = tmp_path / "body_models" / "smpl"
    folder.mkdir(parents=True)
    dump_like_official(content, folder / "SMPL_NEUTRAL.pkl")
    rng = np.random.default_rng(0)
    above, beside = rng.random((2, 17, 6890), dtype=np.float32)
    np.save(folder.parent / "J_regressor_h36m.npy", above)
    np.testing.assert_array_equal(load_body(folder).regressor_h36m, above)
    assert load_body(folder).regressor_extra is None
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        np.testing.assert_array_equal(load_body("SMPL_NEUTRAL.pkl").regressor_h36m, above)
    np.save(folder / "J_regressor_h36m.npy", beside)
    np.testing.assert_array_equal(load_body(folder).regressor_h36m, beside)


def test_a_missing_regressor_names_the_file(official):
    body = SMPLBody(official)
    with pytest.raises(
        ValueError, match=r"keypoints 'h36m' need J_regressor_h36m.npy beside the model file or one folder above"
    ):
        body.pose_keypoints(torch.zeros(1, 24, 3), convention="h36m")


class TestHostileFiles:
    def test_a_pickle_with_code_is_refused_and_runs_nothing(self, tmp_path):
        marker, path = tmp_path / "ran", tmp_path / "evil.pkl"
        path.write_bytes(pickle.dumps({"v_template": Malicious(marker)}))
        with pytest.raises(UnsafePickleError, match=r"asks for posix.system.*refused, and nothing of it was run"):
            load_body(path)
        assert not marker.exists()

    @pytest.mark.parametrize(
        "code",
        [
            b"cbuiltins\neval\n(S'1'\ntR.",
            b"c__builtin__\ngetattr\n(c__builtin__\nobject\nS'__subclasses__'\ntR.",
            b"cnumpy.core.multiarray\nfromfile\n(S'/etc/passwd'\ntR.",
            b"ccodecs\nopen\n(S'/etc/passwd'\ntR.",
            b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        ],
    )
    def test_other_names_are_refused(self, tmp_path, code):
        (tmp_path / "evil.pkl").write_bytes(code)
        with pytest.raises(UnsafePickleError, match=r"the pickle asks for"):
            load_smpl_pickle(tmp_path / "evil.pkl")

    def test_admitted_classes_cannot_be_rewritten(self, tmp_path):
        # BUILD with a (None, {...}) state sets attributes on the class itself
        code = b"cchumpy.ch\nCh\n(N(dS'to_array'\nI1\nstb."
        (tmp_path / "evil.pkl").write_bytes(code)
        with pytest.raises(ValueError, match=r"evil\.pkl"):
            load_smpl_pickle(tmp_path / "evil.pkl")

    def test_a_forged_element_type_is_refused(self, tmp_path):
        """numpy.dtype trusts its state: dropping the object flag would make bytes into addresses of objects."""
        dtype = b"cnumpy\ndtype\n(S'O8'\nI00\nI01\ntR(I3\nS'|'\nNNNI8\nI8\nI0\ntb"
        array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt"
        (tmp_path / "forged.pkl").write_bytes(array + dtype + b"I00\nS'AAAAAAAA'\ntb.")
        with pytest.raises((ValueError, UnsafePickleError), match=r"forged\.pkl"):
            load_smpl_pickle(tmp_path / "forged.pkl")

    def test_a_giant_array_is_not_allocated(self, tmp_path):
        code = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(L99999999999999L\ntS'b'\ntR."
        (tmp_path / "bomb.pkl").write_bytes(code)
        with pytest.raises(pickle.UnpicklingError, match="numpy writes an empty ndarray"):
            load_smpl_pickle(tmp_path / "bomb.pkl")

    @pytest.mark.parametrize("damage", ["empty", "truncated", "text", "list", "no arrays"])
    def test_damaged_files_name_themselves(self, official, tmp_path, damage):
        data = {
            "empty": b"",
            "truncated": official.read_bytes()[:100_000],
            "text": b"<html>please log in</html>",
            "list": pickle.dumps([1, 2]),
            "no arrays": pickle.dumps({"a": 1}),
        }[damage]
        path = tmp_path / "SMPL_NEUTRAL.pkl"
        path.write_bytes(data)
        with pytest.raises((ValueError, pickle.UnpicklingError), match=r"SMPL_NEUTRAL\.pkl"):
            load_body(path)

    def test_wrong_shapes_and_nan_are_named(self, content, tmp_path):
        arrays = {**content, "J_regressor": content["J_regressor"].toarray()}
        np.savez(tmp_path / "a.npz", **{**arrays, "v_template": arrays["v_template"][:100]})
        with pytest.raises(ValueError, match=r"v_template has shape \(100, 3\), expected \(6890, 3\)"):
            load_body(tmp_path / "a.npz")
        arrays["weights"] = arrays["weights"].copy()
        arrays["weights"][0, 0] = np.nan
        np.savez(tmp_path / "b.npz", **arrays)
        with pytest.raises(ValueError, match=r"b\.npz: weights holds NaN"):
            load_body(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("f", lambda faces: np.where(faces == 0, 6890, faces), "faces name vertex 6890, expected 0 to 6889"),
        ("f", lambda faces: np.where(faces == 0, -1, faces.astype(np.int64)), "faces name vertex"),
        ("kintree_table", lambda table: np.where(table == 3, 20, table), "expected a joint before each"),
        ("kintree_table", lambda table: table[:, ::-1], "expected a joint before each"),
        ("weights", np.zeros_like, "weights do not sum to 1"),
    ],
)
def test_numbers_that_refer_to_nothing(content, tmp_path, key, change, message):
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps({**content, key: change(content[key])}, protocol=2))
    with pytest.raises(ValueError, match=rf"SMPL_NEUTRAL\.pkl: .*{message}"):
        load_body(path)


def test_missing_files_tell_where_to_get_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.pkl does not exist. The SMPL files need a licence"):
        load_body(tmp_path / "nowhere.pkl")
    with pytest.raises(FileNotFoundError, match=r"holds neither SMPL_MALE.pkl nor SMPL_MALE.npz"):
        load_body(tmp_path, gender="male")
    (tmp_path / "body.obj").write_text("v 0 0 0")
    with pytest.raises(ValueError, match=r"suffix '.obj', expected .pkl or .npz"):
        load_body(tmp_path / "body.obj")
    with pytest.raises(ValueError, match="gender 'other', expected one of neutral, male, female"):
        load_body(gender="other")


class TestSparseRegressors:
    @pytest.mark.parametrize("form", ["csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array"])
    def test_every_form_is_the_same_array(self, tmp_path, form):
        dense = np.where(np.random.default_rng(0).random((24, 50)) < 0.1, 0.25, 0.0)
        (tmp_path / "a.pkl").write_bytes(pickle.dumps({"J_regressor": getattr(sparse, form)(dense)}))
        np.testing.assert_array_equal(load_smpl_pickle(tmp_path / "a.pkl")["J_regressor"], dense)

    def test_arrays_of_older_versions(self, tmp_path):
        dense = np.diag([1.0, 2.0, 3.0])
        content = pickle.dumps({"J_regressor": sparse.csc_array(dense)}, protocol=2)
        old = re.sub(rb"scipy\.sparse\._\w+\n", b"scipy.sparse._arrays\n", content)
        assert b"cscipy.sparse._arrays\ncsc_array\n" in old
        (tmp_path / "a.pkl").write_bytes(old)
        np.testing.assert_array_equal(load_smpl_pickle(tmp_path / "a.pkl")["J_regressor"], dense)

    def test_coordinates_of_older_versions(self, tmp_path):
        dense = np.diag([1.0, 2.0, 3.0])
        matrix = sparse.coo_matrix(dense)
        state = {"_shape": (3, 3), "row": matrix.row, "col": matrix.col, "data": matrix.data}
        old = sparse.coo_matrix((3, 3))
        old.__dict__.clear()
        old.__dict__.update(state)
        content = pickle.dumps({"J_regressor": old}, protocol=2).replace(b"scipy.sparse._coo", b"scipy.sparse.coo")
        (tmp_path / "a.pkl").write_bytes(content)
        np.testing.assert_array_equal(load_smpl_pickle(tmp_path / "a.pkl")["J_regressor"], dense)

    def test_a_few_bytes_that_tell_of_many_zeros(self, tmp_path):
        for matrix in (
            sparse.coo_matrix((10**6, 10**6)),
            sparse.csr_matrix((3, 10**10)),
            sparse.csc_matrix((10**10, 3)),
        ):
            (tmp_path / "a.pkl").write_bytes(pickle.dumps({"J_regressor": matrix}))
            with pytest.raises(
                ValueError, match=r"a\.pkl is not .* a sparse matrix of shape .*more than 10,000,000 values"
            ):
                load_smpl_pickle(tmp_path / "a.pkl")

    @pytest.mark.parametrize("place", [99, -1])
    def test_entries_outside_are_refused(self, tmp_path, place):
        for form, names in (("coo_matrix", ("row",)), ("csr_matrix", ("indices",))):
            matrix = getattr(sparse, form)(np.eye(3))
            for name in names:
                getattr(matrix, name)[0] = place
            (tmp_path / "a.pkl").write_bytes(pickle.dumps({"J_regressor": matrix}))
            with pytest.raises(ValueError, match=r"a\.pkl is not a readable SMPL pickle"):
                load_smpl_pickle(tmp_path / "a.pkl")

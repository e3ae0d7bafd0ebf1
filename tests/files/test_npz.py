import io
import struct
import zipfile

import numpy as np
import pytest

from mion_plugin.files import UnsafePickleError
from mion_plugin.files.npz import npz_names, read_npy, read_npz


def npy(header, data=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + data


def write(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_reads(tmp_path, save):
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "swapped": np.arange(3, dtype=">f4"),
        "text": np.array(["x", "yz"]),
        "scalar": np.array(3),
        "empty": np.zeros((0, 4)),
        "flags": np.array([True, False]),
    }
    save(tmp_path / "all.npz", **arrays)
    found = read_npz(tmp_path / "all.npz", "file")
    assert npz_names(tmp_path / "all.npz", "file") == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        found[name][...] = array  # may be written to


def test_only_what_was_asked_for_is_read(tmp_path):
    path = write(
        tmp_path / "some.npz", broken=b"nothing", a=npy("{'descr':'<f4','fortran_order':False,'shape':()}", bytes(4))
    )
    assert read_npz(path, "file", only=("a",)) == {"a": 0.0}


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5))
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy", "file"), np.arange(5))
    with pytest.raises(FileNotFoundError, match=r"^regressor .*none\.npy does not exist"):
        read_npy(tmp_path / "none.npy", "regressor")


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(10000000000, 10000000000)", "(-1,)", "(3,)", f"({'9,' * 40})"])
def test_a_header_that_promises_other_than_what_follows(tmp_path, shape):
    content = npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}", bytes(16))
    path = write(tmp_path / "lie.npz", a=content)
    (tmp_path / "lie.npy").write_bytes(content)
    for read, file in ((read_npz, path), (read_npy, tmp_path / "lie.npy")):
        with pytest.raises(ValueError, match=r"lie\.np. is not a readable pool: its header promises float32"):
            read(file, "pool")


def test_an_archive_that_unpacks_to_far_more_than_it_is_long(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (78643200,)}"))
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"bytes unpack to 3145\d+, more than 100 times as many"):
        read_npz(path, "pool")


def test_small_archives_may_be_packed_tightly(tmp_path):
    np.savez_compressed(tmp_path / "zeros.npz", a=np.zeros(1 << 20))
    assert not read_npz(tmp_path / "zeros.npz", "file")["a"].any()


def test_two_arrays_of_one_name(tmp_path):
    file = io.BytesIO()
    np.save(file, np.zeros(1))
    with zipfile.ZipFile(tmp_path / "two.npz", "w") as archive:
        archive.writestr("a.npy", file.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", file.getvalue())
    with pytest.raises(ValueError, match="several arrays of one name"):
        read_npz(tmp_path / "two.npz", "file")


def test_objects_need_a_reader(tmp_path):
    np.savez(tmp_path / "objects.npz", a=np.array({"b": 1}))
    with pytest.raises(ValueError, match=r"objects\.npz is not a readable file: it holds pickled objects"):
        read_npz(tmp_path / "objects.npz", "file")

    def refuse(file):
        raise UnsafePickleError("no")

    with pytest.raises(UnsafePickleError, match=r"objects\.npz: no"):
        read_npz(tmp_path / "objects.npz", "file", read_objects=refuse)


def test_errors_are_one_line(tmp_path):
    path = write(tmp_path / "long.npz", a=npy("{" + "'a': 1, " * 100_000 + "}"))
    with pytest.raises(ValueError, match=r"^[^\n]*$"):
        read_npz(path, "file")

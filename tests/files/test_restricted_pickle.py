import io
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from mion_plugin.files import RestrictedUnpickler, UnsafePickleError


def load(code):
    return RestrictedUnpickler(io.BytesIO(code)).load()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_back(protocol):
    value = {"a": [np.arange(6.0).reshape(2, 3), np.float32(2)], "b": ("text", b"bytes", None, {1, 2}), "c": {}}
    found = load(pickle.dumps(value, protocol))
    np.testing.assert_array_equal(found["a"][0], value["a"][0])
    assert type(found["a"][0]) is np.ndarray
    assert found["b"] == value["b"]


def test_shared_values_stay_shared():
    inner = [1.0, 2.0]
    found = load(pickle.dumps({"a": inner, "b": inner}))
    assert found["a"] is found["b"]


@pytest.mark.parametrize("place", [100_000_000, 2**32 - 1])
def test_a_memo_entry_of_a_large_number_takes_no_memory(place):
    tracemalloc.start()
    try:
        assert load(b"Nr" + struct.pack("<I", place) + b".") is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_shared_lists_that_unfold_beyond_measure():
    value = [1.0] * 10
    for _ in range(9):
        value = [value] * 10
    with pytest.raises(UnsafePickleError, match="unfolds to more than 100,000,000 values"):
        load(pickle.dumps(value))


def test_a_container_that_holds_itself():
    value = {"a": []}
    value["a"].append(value)
    with pytest.raises(UnsafePickleError, match="dict that holds itself"):
        load(pickle.dumps(value))


@pytest.mark.parametrize("code", [b"\x00", b"h\x05.", b"0.", b"a.", b"b.", b"Nb.", b"s."])
def test_damage_is_called_so(code):
    with pytest.raises(pickle.UnpicklingError, match=r"damaged pickle|Memo value not found"):
        load(code)

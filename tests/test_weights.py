import zipfile

import pytest
import torch
from torch import nn

from mion_plugin.weights import load_part, load_weights, save_weights


def make_module(seed=0, width=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


@pytest.mark.parametrize("half", [False, True])
def test_round_trip(tmp_path, half):
    module, other, path = make_module(0), make_module(1), tmp_path / "w.pth"
    save_weights(module.state_dict(), path, half=half, meta={"epoch": 3})
    load_part(other, path)
    for name, value in module.state_dict().items():
        stored = other.state_dict()[name]
        assert stored.dtype == value.dtype
        torch.testing.assert_close(stored, value, rtol=2**-11 if half else 0, atol=0)
    content = torch.load(path, weights_only=True)
    assert content["meta"] == {"epoch": 3}
    assert content["state_dict"]["0.weight"].dtype == (torch.float16 if half else torch.float32)
    assert content["state_dict"]["1.num_batches_tracked"].dtype == torch.int64
    assert all(value.dtype != torch.float16 for value in load_weights(path).values())


def test_half_stores_half(tmp_path):
    weights = {"w": torch.randn(100_000)}
    for half in (False, True):
        save_weights(weights, tmp_path / f"{half}.pth", half=half)
    sizes = {half: (tmp_path / f"{half}.pth").stat().st_size for half in (False, True)}
    assert sizes[True] == pytest.approx(sizes[False] / 2, rel=0.05)


def test_a_view_is_stored_without_the_rest_of_its_storage(tmp_path):
    save_weights({"w": torch.randn(1_000_000)[:10]}, tmp_path / "w.pth")
    assert (tmp_path / "w.pth").stat().st_size < 10_000


def test_half_refuses_what_it_cannot_hold_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=r"w holds 7e\+04, beyond the 65504 of half precision"):
        save_weights({"w": torch.tensor([7e4])}, path, half=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_is_found_alone_and_in_a_larger_model(tmp_path):
    module, other = make_module(0), make_module(1)
    larger = nn.ModuleDict({"cen": module, "rest": nn.Linear(2, 2)})
    for name, source in (("alone", module), ("larger", larger)):
        torch.save({"state_dict": source.state_dict()}, tmp_path / f"{name}.pth")
        load_part(other, tmp_path / f"{name}.pth", "cen")
        assert torch.equal(other[0].weight, module[0].weight)
    torch.save(module.state_dict(), tmp_path / "bare.pth")
    load_part(other, tmp_path / "bare.pth")


def test_differences_are_named(tmp_path):
    path = tmp_path / "w.pth"
    save_weights(make_module(width=5).state_dict(), path)
    with pytest.raises(
        ValueError,
        match=r"w\.pth is not a checkpoint of this Sequential: it has in another shape 0\.weight \(5, 3\) for \(4, 3\)"
        r", .* and 3 more$",
    ):
        load_part(make_module(), path)
    save_weights({"0.weight": torch.zeros(4, 3), "head": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"it lacks 0\.bias, 1\.weight, 1\.bias and 3 more; has besides head$"):
        load_part(make_module(), path)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, {"state_dict": {"w": 3}}, {"epoch": 3}])
def test_a_file_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth holds no weights, expected a state_dict"):
        load_weights(tmp_path / "w.pth")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
        load_weights(tmp_path / "none.pth")
    torch.save(nn.Linear(1, 1), tmp_path / "module.pth")  # a pickled object, which could run code
    with pytest.raises(ValueError, match="can be read safely"):
        load_weights(tmp_path / "module.pth")


class TestHostileTensors:
    @pytest.mark.parametrize("value", [torch.nan, torch.inf])
    def test_weights_that_are_not_finite(self, tmp_path, value):
        torch.save({"a": torch.tensor([1.0, value])}, tmp_path / "weights.pth")
        with pytest.raises(ValueError, match=r"weights\.pth: a holds NaN or infinite values"):
            load_weights(tmp_path / "weights.pth")

    def test_a_tensor_larger_than_its_numbers(self, tmp_path):
        torch.save({"a": torch.zeros(1).expand(10**12)}, tmp_path / "weights.pth")
        with pytest.raises(ValueError, match=r"a has shape \(1000000000000,\), but the file holds fewer numbers"):
            load_weights(tmp_path / "weights.pth")

    @pytest.mark.parametrize(
        "tensor",
        [
            torch.ones(2) * 1j,
            torch.sparse_coo_tensor(torch.zeros(1, 1).long(), torch.ones(1), (10**12,)),
        ],
    )
    def test_no_real_numbers(self, tmp_path, tensor):
        torch.save({"a": tensor}, tmp_path / "weights.pth")
        with pytest.raises(ValueError, match=r"weights\.pth: a is torch.*expected real numbers"):
            load_weights(tmp_path / "weights.pth")

    def test_a_packed_archive(self, tmp_path):
        torch.save({"a": torch.zeros(1000)}, tmp_path / "sound.pth")
        packed = zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED)
        with zipfile.ZipFile(tmp_path / "sound.pth") as sound, packed:
            for name in sound.namelist():
                packed.writestr(name, sound.read(name))
        with pytest.raises(ValueError, match=r"packed\.pth is not a checkpoint: .* in it is compressed"):
            load_weights(tmp_path / "packed.pth")

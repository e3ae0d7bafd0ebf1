import numpy as np
import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import load_checkpoint, save_checkpoint
from support.smpl_files import Malicious

from mion_plugin.engine import PlainCheckpointHook
from mion_plugin.engine.checkpoints import load_local_checkpoint, prepare_checkpoints, remove_partial_checkpoints


@pytest.fixture(autouse=True)
def prepared():
    prepare_checkpoints()
    prepare_checkpoints()  # twice is harmless


def runner_checkpoint():
    """What mmengine's Runner saves besides weights: the history of logged numbers, made plain by the hook."""
    hub = MessageHub.get_instance("test_checkpoints")
    hub.update_scalar("train/loss", 1.5)
    hub.update_scalar("train/loss", np.float64(0.5))
    hub.update_info("epoch", 3)
    checkpoint = {"state_dict": {"weight": torch.arange(3.0)}, "message_hub": hub.state_dict(), "meta": {"epoch": 1}}
    PlainCheckpointHook().before_save_checkpoint(None, checkpoint)
    return checkpoint


def test_a_runner_checkpoint_round_trips_with_weights_only(tmp_path):
    save_checkpoint(runner_checkpoint(), str(tmp_path / "epoch_1.pth"))
    loaded = load_local_checkpoint(str(tmp_path / "epoch_1.pth"))
    assert torch.equal(loaded["state_dict"]["weight"], torch.arange(3.0))
    PlainCheckpointHook().after_load_checkpoint(None, loaded)
    history = loaded["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(history, HistoryBuffer)
    expected = MessageHub.get_instance("test_checkpoints").get_scalar("train/loss")
    np.testing.assert_array_equal(history.data, expected.data)
    assert history.current() == 0.5


def test_half_a_checkpoint_of_a_killed_training_is_removed(tmp_path):
    whole = ("epoch_1.pth", "last_checkpoint", ".notes.pth")
    for name in (*whole, ".epoch_2.k2_x91ab.pth", ".last_checkpoint.k2_x91ab"):
        (tmp_path / name).touch()
    remove_partial_checkpoints(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(whole)
    remove_partial_checkpoints(tmp_path / "a new folder")


def test_mmengine_reads_through_the_safe_loader(tmp_path):
    torch.save({"state_dict": {"weight": torch.ones(1)}, "evil": Malicious(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth is not a checkpoint that can be read safely"):
        load_checkpoint(torch.nn.Linear(1, 1), str(tmp_path / "evil.pth"))
    assert not (tmp_path / "ran").exists()


def test_a_file_whose_weights_were_changed_is_damaged(tmp_path):
    path, weights = tmp_path / "whole.pth", torch.full((1000,), 1.5)
    torch.save({"state_dict": {"weight": weights}}, path)
    path.write_bytes(path.read_bytes().replace(weights.numpy().tobytes(), bytes(4000)))
    with pytest.raises(ValueError, match="is damaged"):
        load_local_checkpoint(str(path))


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    """Weights that load are those that were saved."""
    path, damaged = tmp_path / "whole.pth", tmp_path / "damaged.pth"
    weights = {"a": torch.randn(5, 7, generator=torch.Generator().manual_seed(0)), "b": torch.arange(5)}
    torch.save({"state_dict": weights}, path)
    content = path.read_bytes()
    noticed = 0
    for place in range(0, len(content), 3):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            loaded = load_local_checkpoint(str(damaged))["state_dict"]
        except ValueError as error:
            assert "damaged.pth" in str(error)  # noqa: PT017
            noticed += 1
        else:
            assert loaded.keys() == weights.keys()
            assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    assert noticed > len(content) / 6  # the rest is padding


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "list"])
def test_damaged_files_name_themselves(tmp_path, damage):
    path = tmp_path / "epoch_1.pth"
    save_checkpoint(runner_checkpoint(), str(path))
    content = {"empty": b"", "cut": path.read_bytes()[:500], "text": b"hello"}
    if damage == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(content[damage])
    with pytest.raises(ValueError, match=r"epoch_1\.pth"):
        load_local_checkpoint(str(path))
    with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
        load_local_checkpoint(str(tmp_path / "none.pth"))


def test_a_failing_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "epoch_1.pth"
    backend = get_file_backend(str(path))
    backend.put(b"old", str(path))
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda self, data: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        backend.put(b"new", str(path))
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_written_whole(tmp_path):
    backend = get_file_backend(str(tmp_path / "last_checkpoint"))
    backend.put_text("epoch_1.pth", str(tmp_path / "last_checkpoint"))
    assert (tmp_path / "last_checkpoint").read_text() == "epoch_1.pth"

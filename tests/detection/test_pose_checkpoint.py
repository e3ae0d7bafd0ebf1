import hashlib
import pickle
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest
import torch
from torch import nn

from mion_plugin.detection.pose_checkpoint import fetch_checkpoint, load_pose_weights


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def server(tmp_path):
    """A web server of a folder: (its address, the folder)."""
    folder = tmp_path / "public"
    folder.mkdir()
    with HTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()
        thread.join()


def test_a_file(tmp_path):
    path = tmp_path / "w.pth"
    with pytest.raises(FileNotFoundError, match=r"w\.pth does not exist"):
        fetch_checkpoint(str(path))
    path.write_bytes(b"weights")
    assert fetch_checkpoint(str(path)) == path


def test_a_url_is_downloaded_once_and_checked(server, hub):
    address, folder = server
    content = b"weights"
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}_20200708.pth"
    (folder / name).write_bytes(content)
    path = fetch_checkpoint(f"{address}/{name}")
    assert path == hub / name
    assert path.read_bytes() == content
    (folder / name).unlink()
    assert fetch_checkpoint(f"{address}/{name}") == path


def test_a_damaged_download(server, hub):
    address, folder = server
    (folder / "net-00000000_20200708.pth").write_bytes(b"other weights")
    with pytest.raises(ValueError, match="invalid hash value"):
        fetch_checkpoint(f"{address}/net-00000000_20200708.pth")
    assert not list(hub.iterdir())


def test_offline(server, hub):
    address, _ = server
    with pytest.raises(
        FileNotFoundError, match=r"cannot be downloaded .*404.*fetch it elsewhere .* or put it at .*hub"
    ):
        fetch_checkpoint(f"{address}/none.pth")
    with pytest.raises(FileNotFoundError, match="cannot be downloaded"):
        fetch_checkpoint("http://127.0.0.1:9/none.pth")  # nobody listens there


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_both_file_formats(zipped, tmp_path):
    """mmpose's public HRNet-W48 is dated 8 July 2020, when the older one was still what torch wrote."""
    network, other = nn.Linear(3, 4), nn.Linear(3, 4)
    content = {"state_dict": network.state_dict(), "meta": {"sigmas": np.ones(3), "epoch": np.int64(3)}}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    load_pose_weights(other, tmp_path / "w.pth")
    assert torch.equal(other.weight, network.weight)


def test_weights_of_another_network(tmp_path):
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for name, other, message in (
        ("wider", nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)), "size mismatch"),
        ("shorter", nn.Sequential(nn.Linear(3, 4)), "lacks 4 of its weights"),
        ("longer", nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)), "has 2 others"),
    ):
        torch.save({"state_dict": other.state_dict()}, tmp_path / name)
        with pytest.raises(ValueError, match=f"{name} is not a checkpoint of this network.*{message}"):
            load_pose_weights(network, tmp_path / name)


def test_a_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    torch.save({"state_dict": {"0.weight": torch.ones(1)}, "meta": Evil()}, tmp_path / "evil.pth", pickle_module=pickle)
    with pytest.raises(ValueError, match="not a checkpoint that can be read safely"):
        load_pose_weights(nn.Linear(1, 1), tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()

"""The weights of a pose network: a file or a URL, read without running code from it."""

from __future__ import annotations

import re
import urllib.error
from pathlib import Path

import torch
from torch import Tensor, nn

from mion_plugin.files.array_constructors import torch_safe_globals
from mion_plugin.files.presence import require_file
from mion_plugin.weights import load_weights

_HASH = re.compile(r"-([0-9a-f]{8})_\d{8}\.pth$")  # OpenMMLab's names: NAME-{start of the SHA-256}_{date}.pth


def fetch_checkpoint(checkpoint: str) -> Path:
    """The local file of a path or an http(s) URL; a download is kept in torch's folder and made once.

    Raises:
        FileNotFoundError: No such file, or the URL cannot be reached.
        ValueError: What was downloaded is not what the hash in its name promises.
    """
    if not re.match(r"https?://", checkpoint):
        return require_file(Path(checkpoint).expanduser(), "checkpoint")
    path = Path(torch.hub.get_dir()) / "checkpoints" / checkpoint.rpartition("/")[2]
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    promised = _HASH.search(path.name)
    try:
        torch.hub.download_url_to_file(checkpoint, str(path), promised and promised[1], progress=False)
    except RuntimeError as error:
        raise ValueError(f"{checkpoint}: {error}; try again") from error
    except (urllib.error.URLError, OSError) as error:
        raise FileNotFoundError(
            f"{checkpoint} cannot be downloaded ({error}); without a network, fetch it elsewhere and give the file's "
            f"path as checkpoint, or put it at {path}"
        ) from error
    return path


def load_pose_weights(model: nn.Module, path: Path) -> None:
    """Load a checkpoint of either mmpose generation into its model.

    mmpose 1.x keeps numpy arrays beside the weights (``meta.dataset_meta``), which torch refuses with
    ``weights_only=True``; here they are rebuilt by ``mion_plugin.files.array_constructors``, as in annotation files.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a checkpoint that can be read safely, or one of another network.
    """
    known = torch.serialization.get_safe_globals()  # the context would take away at its end what was there before
    with torch.serialization.safe_globals([one for one in torch_safe_globals() if one not in known]):
        weights: dict[str, Tensor] = load_weights(path)
    try:
        # not strict: mmpose itself renames what older versions called otherwise
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} is not a checkpoint of this network: {str(error).splitlines()[-1].strip()}") from None
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]  # of no use at test time
    if missing or unexpected:
        raise ValueError(
            f"{path} is not a checkpoint of this network: it lacks {len(missing)} of its weights ({missing[:3]}) and "
            f"has {len(unexpected)} others ({unexpected[:3]}); is it the config's?"
        )

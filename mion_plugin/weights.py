"""Weights to ship: a plain state dict, in half precision on request, and loading one into a part of a model."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mion_plugin.body.fingerprint import BodyFingerprint
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.body.stand_in import stand_in_fingerprints
from mion_plugin.files import atomic_path
from mion_plugin.files.checkpoints import load_local_checkpoint
from mion_plugin.shipped import packaged_file

# Stage 2's weights are named refiner.* in a whole model, network.* in the model that trains it, and refiner.network.*
# in an estimator of mmhuman3d.
REFINER_PARTS = ("refiner", "network")
BODY = "body"  # in a checkpoint's meta: the record of the BodyFingerprint that the network was trained with
_STATES = ("state_dict", "model")  # what files call their weights: OpenMMLab's and ours, and those of MAE or DeiT
_NAMED_AT_MOST = 3  # in an error; a wrong file has hundreds of wrong keys
_PACKAGE = Path(__file__).parent.resolve()
_PACKAGED_BODY = "free stand-in (neutral)"  # what the weights that come with the package were trained with


@runtime_checkable
class RenamesWeights(Protocol):
    """A model some of whose weights had other names in a former version."""

    def rename_weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights under today's names."""


def save_weights(
    state_dict: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    half: bool = False,
    meta: Mapping[str, Any] | None = None,
    body: BodyFingerprint | None = None,
) -> None:
    """Write a checkpoint file that holds weights alone: ``state_dict``, and ``meta`` and ``body`` if given.

    Args:
        state_dict: Name -> tensor.
        path: File to write, whole or not at all.
        half: Store floating point numbers in 16 bits, half the size; ``load_weights`` gives float32 again, rounded to
            11 significant bits.
        meta: Plain values to keep beside the weights.
        body: What the network was trained with (``SMPLBody.fingerprint``); ``load_part`` holds other bodies to it.

    Raises:
        ValueError: A number is too large for half precision.
        OSError: The file cannot be written.
    """
    stored = {name: value.detach().cpu().contiguous().clone() for name, value in state_dict.items()}
    if half:
        stored = {name: _to_half(name, value) for name, value in stored.items()}
    content: dict[str, Any] = {"state_dict": stored}
    if meta is not None or body is not None:
        content["meta"] = {**(meta or {}), **({} if body is None else {BODY: body.record()})}
    file = io.BytesIO()  # torch's own writer tells of a full disk in its own terms
    torch.save(content, file)
    with atomic_path(path) as temporary:
        temporary.write_bytes(file.getbuffer())


def load_weights(path: str | os.PathLike[str], part: str | Sequence[str] | None = None) -> dict[str, Tensor]:
    """Read the weights in a checkpoint file; floating point numbers come as float32 on the CPU.

    Args:
        path: What ``save_weights``, mmengine's runner or ``torch.save(model.state_dict())`` wrote, or a
            ``.safetensors`` file.
        part: Name of a part, e.g. ``cen``: if keys start with ``cen.``, take those alone, without that prefix. So the
            part is found in a checkpoint of its own and in one of a larger model. Several names: one inside the other.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a checkpoint that loads with ``weights_only=True``, one without weights, or weights that are NaN
            or infinite.
    """
    return _weights_of(load_local_checkpoint(os.fspath(path), map_location="cpu"), path, part)


def _weights_of(
    content: Mapping[str, Any], path: str | os.PathLike[str], part: str | Sequence[str] | None
) -> dict[str, Tensor]:
    """``load_weights`` of a file that was read."""
    weights = next((content[name] for name in _STATES if name in content), content)
    if (
        not isinstance(weights, Mapping)
        or not weights
        or not all(isinstance(value, Tensor) for value in weights.values())
    ):
        raise ValueError(f"{path} holds no weights, expected a state_dict of names and tensors")
    for name, value in weights.items():
        _check_tensor(path, name, value)
    for name in (part,) if isinstance(part, str) else part or ():
        weights = _inside(weights, f"{name}.")
    return {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}


def load_part(module: nn.Module, path: str | os.PathLike[str], part: str | Sequence[str] | None = None) -> None:
    """Load the weights of a file into a module, all of them and no others.

    Args:
        module: Where to.
        path: See ``load_weights``.
        part: See ``load_weights``.

    A module with a body (``module.body``, or that of one of its parts) must have the one that the weights were trained
    with. Files that do not tell theirs are taken with a warning; those that come with the package were trained with the
    free stand-in.

    Raises:
        FileNotFoundError: No such file.
        ValueError: See ``load_weights``; or the names or shapes are not those of the module, or it has another body.
    """
    content = load_local_checkpoint(os.fspath(path), map_location="cpu")
    weights = _weights_of(content, path, part)
    if isinstance(module, RenamesWeights):
        weights = module.rename_weights(weights)
    check_weights(module, weights, str(Path(path)))
    check_body(module, trained_body(content, path), str(Path(path)))
    module.load_state_dict(weights)


def trained_body(content: Mapping[str, Any], path: str | os.PathLike[str]) -> BodyFingerprint | None:
    """The body that a checkpoint's network was trained with; None for an older file, which does not tell.

    Args:
        content: Of the file.
        path: Where it was read.

    Raises:
        ValueError: It tells it in a form that cannot be read.
    """
    meta = content.get("meta")
    record = meta.get(BODY) if isinstance(meta, Mapping) else None
    if record is not None:
        return BodyFingerprint.from_record(record, str(path))
    return stand_in_fingerprints()[_PACKAGED_BODY] if _PACKAGE in packaged_file(Path(path)).resolve().parents else None


def find_body(module: nn.Module) -> SMPLBody | None:
    """The body of a network or of a model around one; None for a module without any."""
    part = part_with_body(module)
    return None if part is None else part.body  # type: ignore[return-value]


def part_with_body(module: nn.Module) -> nn.Module | None:
    """A network, or the one in a model around it, that has a body; None for a module without any."""
    return next(filter(has_body, (module, *module.children())), None)


def has_body(part: Any) -> bool:
    """Whether a network or a data set has a ``body`` of its own."""
    return isinstance(getattr(part, "body", None), SMPLBody)


def check_body(module: nn.Module, trained: BodyFingerprint | None, source: str) -> None:
    """Hold a module to the body that its weights were trained with.

    Args:
        module: The network; one without a body may load anything.
        trained: ``trained_body`` of its weights; None is taken with a warning.
        source: What to call the weights.

    Raises:
        ValueError: The module has another body; the message names both.
    """
    body = find_body(module)
    if body is None:
        return
    own = body.fingerprint
    if trained is None:
        warnings.warn(
            f"{source} does not tell with which body it was trained; make sure that it was {own}. "
            "tools/publish_model.py --body-model writes it down",
            stacklevel=3,
        )
        return
    trained.check(
        own,
        f"{source} was trained with the body {trained}, this {type(module).__name__} has {own}",
        "Give it the body that it was trained with (model_path of mion.SMPLBody, in every place of the config)",
    )


def check_initial_weights(model: nn.Module) -> None:
    """Hold a model to the bodies of the files that its parts start from by OpenMMLab's ``init_cfg``, prefix or not.

    Those parts that have a body. One without, such as a backbone, may start from any file: what it knows of a body by
    PNCC's colours, the training that it starts in teaches it anew.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It cannot be read, was trained with another body, or has none of the part's weights.
    """
    for part in model.modules():
        for source, prefix in _initial_files(part):
            if find_body(part) is not None:
                content = load_local_checkpoint(source, map_location="cpu")
                check_body(part, trained_body(content, source), source)
                check_shared_weights(part, _weights_of(content, source, prefix), source)


def check_weights(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Raise ValueError naming ``source`` and what differs if ``weights`` are not exactly those of the module."""
    own = module.state_dict()
    differences = {
        "lacks": [name for name in own if name not in weights],
        "has besides": [name for name in weights if name not in own],
        "has in another shape": [
            f"{name} {tuple(weights[name].shape)} for {tuple(own[name].shape)}"
            for name in own
            if name in weights and weights[name].shape != own[name].shape
        ],
    }
    told = [f"{kind} {_name_some(names)}" for kind, names in differences.items() if names]
    if told:
        raise ValueError(f"{source} is not a checkpoint of this {type(module).__name__}: it {'; '.join(told)}")


def check_shared_weights(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Raise ValueError naming ``source`` if none of its weights is one of the module's, by name and shape.

    What starts a training need not fit wholly, but hosts load what fits and go on if that is nothing.
    """
    own = module.state_dict()
    if not own or any(name in own and own[name].shape == value.shape for name, value in weights.items()):
        return
    parts = (name for name, part in module.named_children() if part.state_dict().keys() & weights.keys())
    part = next(parts, None)
    remedy = (
        "give it the weights of such a model"
        if part is None
        else f"it fits the part {part}, whose config takes it: {part}=dict(init_cfg=dict(type='Pretrained', "
        f"checkpoint={source!r}))"
    )
    raise ValueError(
        f"{source} would change nothing: this {type(module).__name__} has weights such as {_name_some(list(own)[:1])}, "
        f"the file {_name_some(list(weights)[:1]) or 'none'}; {remedy}"
    )


def _initial_files(part: nn.Module) -> list[tuple[str, str | None]]:
    """The files that a part's ``init_cfg`` names, and the prefix of their weights.

    Not those behind an address, which hosts download.
    """
    init = getattr(part, "init_cfg", None)
    steps = init if isinstance(init, Sequence) and not isinstance(init, str) else [init]
    starts = [step for step in steps if isinstance(step, Mapping) and _is_pretrained(step)]
    files = [(str(step.get("checkpoint")), (step.get("prefix") or "").removesuffix(".")) for step in starts]
    return [(source, prefix or None) for source, prefix in files if "://" not in source]


def _is_pretrained(step: Mapping[str, Any]) -> bool:
    kind = step.get("type")
    return (kind if isinstance(kind, str) else getattr(kind, "__name__", "")) in ("Pretrained", "PretrainedInit")


def _inside(weights: Mapping[str, Tensor], prefix: str) -> Mapping[str, Tensor]:
    """The weights of a part, named as its own; all where none has the prefix."""
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    return own or weights


def _check_tensor(path: str | os.PathLike[str], name: Any, value: Tensor) -> None:
    """Raise ValueError if a tensor is not one of finite real numbers, all of which are in the file."""
    if not isinstance(name, str):
        raise ValueError(f"{path} holds weights under {name!r}, expected a name")
    plain = value.layout is torch.strided and not (value.is_quantized or value.is_complex() or value.is_meta)
    if not plain:
        raise ValueError(f"{path}: {name} is {value.dtype} in {value.layout} on {value.device}, expected real numbers")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ValueError(f"{path}: {name} has shape {tuple(value.shape)}, but the file holds fewer numbers")
    if not value.isfinite().all():
        raise ValueError(f"{path}: {name} holds NaN or infinite values")


def _to_half(name: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    rounded = value.half()
    if not torch.equal(rounded.isfinite(), value.isfinite()):
        raise ValueError(f"{name} holds {value.abs().max().item():.3g}, beyond the 65504 of half precision")
    return rounded


def _name_some(names: list[str]) -> str:
    rest = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")

"""Writing an exported network, and checking the file against the network before it takes its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mion_plugin.constants import EXPORT_FORMATS as FORMATS
from mion_plugin.files import atomic_path

_MOST = 4096  # of a free dimension
REMEDY = "pip install 'mion-plugin[export]'"


class ExportError(ValueError):
    """An exported network that does not give what the network gives."""


class Exportable(Protocol):
    """``RefinementExport`` and ``ConsistencyExport``.

    Attributes:
        input_dims: Name of an input -> names of its first dimensions, which are free.
        output_names: Names of the outputs.
    """

    input_dims: dict[str, tuple[str, ...]]
    output_names: tuple[str, ...]

    def __call__(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the network."""


@torch.no_grad()
def write_network(
    network: Exportable,
    inputs: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    kind: str,
    tolerance: float = 1e-3,
) -> float:
    """Export a network, load the file again, run it, and compare.

    Compared on ``inputs``, and on their first sample alone, whose batch is another.

    Args:
        network: On the CPU.
        inputs: Examples, with at least 2 along each free dimension (torch.export takes 1 for a constant).
        path: File to write; it appears only if the check succeeds.
        kind: ``onnx``, checked with onnxruntime; or ``torch``, an ``ExportedProgram``, checked with ``torch.export``.
        tolerance: Largest difference of any output, in its unit.

    Returns:
        The largest difference seen.

    Raises:
        ValueError: An unknown kind, or example inputs that are too small.
        ImportError: ONNX without the packages of the extra ``[export]``.
        ExportError: The outputs differ by more than ``tolerance``.
    """
    if kind not in FORMATS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(FORMATS)}")
    shapes = _free_shapes(network, inputs)
    if kind == "onnx":
        _import_onnx()
    program = torch.export.export(network, (), dict(inputs), dynamic_shapes=shapes)  # type: ignore[arg-type]
    with atomic_path(path) as temporary:
        if kind == "onnx":
            written = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=list(network.output_names),
            )
            written.save(str(temporary))  # type: ignore[union-attr]
        else:
            torch.export.save(program, temporary)
        smaller = {name: _first(network, name, value) for name, value in inputs.items()}
        difference = max(_difference(network, given, temporary, kind) for given in (inputs, smaller))
        if not difference <= tolerance:
            raise ExportError(f"{path}: outputs differ by {difference:.2g} from the network's, more than {tolerance:g}")
    return difference


@torch.no_grad()
def run_exported(path: str | os.PathLike[str], inputs: Mapping[str, Tensor], kind: str) -> list[np.ndarray]:
    """The outputs of an exported file, in the order of ``output_names``."""
    if kind == "onnx":
        return open_session(path).run(None, {name: value.numpy() for name, value in inputs.items()})
    outputs = torch.export.load(os.fspath(path)).module()(**inputs)
    return [output.numpy() for output in outputs]


def open_session(path: str | os.PathLike[str], threads: int = 0) -> Any:
    """An ``onnxruntime.InferenceSession`` of an exported ONNX file on the CPU; threads: 0 for as many as it likes."""
    onnxruntime = _import_onnx()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])


def _difference(network: Exportable, inputs: Mapping[str, Tensor], path: Path, kind: str) -> float:
    expected = network(**inputs)
    found = run_exported(path, inputs, kind)
    return max(float(np.abs(a.numpy() - b).max()) for a, b in zip(expected, found, strict=True))


def _free_shapes(network: Exportable, inputs: Mapping[str, Tensor]) -> dict[str, dict[int, Any]]:
    """For torch.export: which dimensions of each input may change, those of one name together."""
    dims = {name: torch.export.Dim(name, min=1, max=_MOST) for names in network.input_dims.values() for name in names}
    for name, value in inputs.items():
        if min(value.shape[: len(network.input_dims[name])]) < 2:
            raise ValueError(
                f"example input {name} has shape {tuple(value.shape)}, expected at least 2 along "
                f"{' and '.join(network.input_dims[name])}"
            )
    return {name: {axis: dims[dim] for axis, dim in enumerate(network.input_dims[name])} for name in inputs}


def _first(network: Exportable, name: str, value: Tensor) -> Tensor:
    """An input with one along each free dimension."""
    for axis in range(len(network.input_dims[name])):
        value = value.narrow(axis, 0, 1)
    return value.contiguous()


def _import_onnx() -> Any:
    """onnxruntime; torch's exporter needs the other two."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it notes a session in the folder of temporary files
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"exporting to ONNX needs onnx, onnxscript and onnxruntime ({error}): {REMEDY}") from error
    return onnxruntime

"""The networks of stages 2 and 3 for other runtimes: ONNX, and torch.export."""

from mion_plugin.export.files import FORMATS, ExportError, write_network
from mion_plugin.export.networks import (
    ConsistencyExport,
    LocatorExport,
    ReaderExport,
    RefinementExport,
    consistency_inputs,
    reader_inputs,
    refinement_inputs,
)

__all__ = [
    "FORMATS",
    "ConsistencyExport",
    "ExportError",
    "LocatorExport",
    "ReaderExport",
    "RefinementExport",
    "consistency_inputs",
    "reader_inputs",
    "refinement_inputs",
    "write_network",
]

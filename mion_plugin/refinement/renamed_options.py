"""Options of ``mion.MRT`` under the names that they had before its network became a part of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mion_plugin.renamed_options import check_known, insert_option, warn_of_renamed

_OWNER = "mion.MRT"
# name in version 0.1 -> where it is in the network's config now; accepted in this version alone
RENAMED = {
    **{name: (name,) for name in ("backbone", "neck", "transformer", "position_encoding", "add_2d_position")},
    **{name: (name,) for name in ("renderer", "body", "focal_length", "image_size", "bfloat16_features")},
    "bfloat16_transformer": ("transformer", "bfloat16"),
    "rotation": ("head", "rotation"),
    "rotation_representation": ("head", "representation"),
    "candidate_in_queries": ("queries", "candidate"),
    "sample_at_joints": ("queries", "features"),
    "keypoints_in_queries": ("queries", "keypoints"),
    "keypoints2d_convention": ("queries", "keypoints"),
}


def nest_network_options(network: Any, renamed: Mapping[str, Any], selector: Any = None) -> Any:
    """The network's config with options that were given under their old names; without any it stays as it is.

    Args:
        network: Config of a ``mion.RefinementNetwork``, or one, or None.
        renamed: Old name -> value. A mapping completes what the network's config has there, as merging configs does.
        selector: Where ``keypoints_in_queries=True`` takes the convention from, if it tells one.

    Raises:
        TypeError: A name that no version knew, or old names beside a built network.
    """
    check_known(_OWNER, RENAMED, renamed)
    if not renamed:
        return network
    if isinstance(network, nn.Module):
        raise TypeError(f"{_OWNER} got {sorted(renamed)[0]!r} beside a built network, which has it already")
    warn_of_renamed(_OWNER, {name: "network." + ".".join(RENAMED[name]) for name in renamed})
    values = {name: value for name, value in renamed.items() if name != "keypoints2d_convention"}
    if "keypoints_in_queries" in values:  # it was a switch, and the convention an option of its own
        values["keypoints_in_queries"] = _convention(renamed, selector) if values["keypoints_in_queries"] else None
    nested = dict(network or {})
    for name, value in values.items():
        nested = insert_option(nested, RENAMED[name], value)
    alone = "keypoints2d_convention" in renamed and "keypoints_in_queries" not in renamed
    if alone and (nested.get("queries") or {}).get("keypoints") is not None:
        nested = insert_option(nested, RENAMED["keypoints2d_convention"], renamed["keypoints2d_convention"])
    return nested


def _convention(renamed: Mapping[str, Any], selector: Any) -> str:
    own = selector.get("convention") if isinstance(selector, Mapping) else None
    own = own or getattr(selector, "keypoints2d_convention", None)
    return renamed.get("keypoints2d_convention") or own or "coco"

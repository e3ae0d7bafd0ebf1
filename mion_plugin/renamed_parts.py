"""``mion.MION`` as version 0.1 had it: stage 1 inside stage 2, and stage 2 with its training around it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor, nn

from mion_plugin.parts import Part
from mion_plugin.refinement.renamed_options import RENAMED, nest_network_options

_TRAINING_ALONE = ("train_candidates", "loss", "predict_vertices", "data_preprocessor", "init_cfg")  # of mion.MRT
_OLD_PREFIX, _PREFIX = "refiner.network.", "refiner."


def parts_of_refiner(refiner: Part, selector: Part | None, default: Part) -> tuple[Part, Part | None]:
    """The refining network and the selector of a model whose refiner may be a ``mion.MRT``, with a selector inside.

    Args:
        refiner: As given: a network or the trainable model around it, or a config of either.
        selector: As given beside it.
        default: The selector that was meant by giving none.

    Returns:
        ``(refiner, selector)``; the refiner's own selector counts where no other was given. A ``selector`` without
        ``type`` inside the refiner changes entries of the one beside it, as an old ``--cfg-options`` does.
    """
    if not isinstance(refiner, nn.Module | Mapping):
        raise ValueError(
            f"refiner is {refiner!r}, expected a mion.RefinementNetwork or its config: all stages share its body and "
            "camera; for stage 1 alone take mion.CandidateSelector"
        )
    if isinstance(refiner, nn.Module):
        network = getattr(refiner, "network", refiner)
        own = selector is default and network is not refiner
        return network, (getattr(refiner, "selector", None) if own else selector)
    options = dict(refiner)
    if "selector" in options:
        selector = _moved_selector(options.pop("selector"), selector, default)
    if str(options.get("type")).rpartition(".")[2] in ("MRT", "MeshRefinementTransformer"):
        flat = {name: value for name, value in options.items() if name not in ("type", "network", *_TRAINING_ALONE)}
        network = nest_network_options(options.get("network"), flat, selector)
        return (network if isinstance(network, nn.Module) else {"type": "mion.RefinementNetwork", **network}), selector
    # an old option on the command line changes a new config
    flat = {name: options.pop(name) for name, path in RENAMED.items() if path != (name,) and name in options}
    return nest_network_options(options, flat, selector), selector


def _moved_selector(inner: Part | None, selector: Part | None, default: Part) -> Part | None:
    warnings.warn(
        "mion.MION: refiner.selector is selector now, a part of its own beside refiner and cen",
        FutureWarning,
        stacklevel=4,
    )
    if not isinstance(inner, Mapping) or not isinstance(selector, Mapping):
        return inner if selector is default else selector
    if selector is default:
        return {**selector, **inner}
    return {**inner, **selector} if "type" in inner else {**selector, **inner}


def rename_weights(weights: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Weights of a whole model whose refiner was a ``mion.MRT``, under the names of its network.

    Args:
        weights: Name -> tensor; others stay as they are.
        prefix: Of the model's names, as in a checkpoint of something larger.
    """
    old, new = prefix + _OLD_PREFIX, prefix + _PREFIX
    return {new + name.removeprefix(old) if name.startswith(old) else name: value for name, value in weights.items()}

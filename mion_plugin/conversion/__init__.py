"""From the official archives of the data sets to the HumanData files that the configs name; see docs/data.md."""

from typing import TYPE_CHECKING, Any

from mion_plugin.conversion.catalogue import OFFICIAL_SETS, OfficialSet

if TYPE_CHECKING:
    from mion_plugin.conversion.official_sets import Outcome, convert_official_set

__all__ = ["OFFICIAL_SETS", "OfficialSet", "Outcome", "convert_official_set"]


def __getattr__(name: str) -> Any:
    """Import the converters when one is wanted: the catalogue alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mion_plugin.conversion import official_sets

    return getattr(official_sets, name)

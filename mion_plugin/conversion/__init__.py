"""From the official archives of the data sets to the HumanData files that the configs name; see docs/data.md."""

from mion_plugin.conversion.official_sets import OFFICIAL_SETS, OfficialSet, Outcome, convert_official_set

__all__ = ["OFFICIAL_SETS", "OfficialSet", "Outcome", "convert_official_set"]

"""mmhuman3d's methods as models of this package: the baselines.

mmhuman3d is imported when such a model is built.
"""

from mion_plugin.baselines.checkpoint_hook import MMHuman3DCheckpointHook
from mion_plugin.baselines.checkpoints import from_mmhuman3d
from mion_plugin.baselines.hide_labels import HideLabels
from mion_plugin.baselines.method import MMHuman3DMethod

__all__ = ["HideLabels", "MMHuman3DCheckpointHook", "MMHuman3DMethod", "from_mmhuman3d"]

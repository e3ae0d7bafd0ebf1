# The packaged model where configs in the wheel, which lie in mion_plugin/.mim/configs, look for this base.
_base_ = "../../../../models/mion_tiny/config.py"

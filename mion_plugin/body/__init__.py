"""The body model: SMPL or the free stand-in in its layout."""

from mion_plugin.body.arrays import BodyArrays
from mion_plugin.body.files import load_body
from mion_plugin.body.fingerprint import BodyFingerprint
from mion_plugin.body.smpl import BodyOutput, SMPLBody

__all__ = ["BodyArrays", "BodyFingerprint", "BodyOutput", "SMPLBody", "load_body"]

"""Adapters that put this package's components into other frameworks' registries.

Importing this package imports none of them: each adapter waits until its host is imported.
"""

from mion_plugin.hosts import mmhuman3d

__all__ = ["mmhuman3d"]

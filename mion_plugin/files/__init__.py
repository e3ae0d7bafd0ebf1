"""Reading untrusted files and writing files whole or not at all."""

from mion_plugin.files.atomic import atomic_path, remove_leftovers
from mion_plugin.files.restricted_pickle import RestrictedUnpickler, UnsafePickleError, read_objects, read_pickle

__all__ = [
    "RestrictedUnpickler",
    "UnsafePickleError",
    "atomic_path",
    "read_objects",
    "read_pickle",
    "remove_leftovers",
]

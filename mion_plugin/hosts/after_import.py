"""Calling a function when some module has been imported, whoever imports it, before or after."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

Callback = Callable[[ModuleType], object]


def after_import(name: str, callback: Callback) -> None:
    """Call ``callback`` with the module ``name``: at once if it is imported already, else right after it is.

    Nothing is imported here, and nothing happens in a process that never imports the module. An error in the callback
    is an error of the import.

    Args:
        name: Full name, e.g. ``mmhuman3d.models.heads.builder``.
        callback: Called once.
    """
    module = sys.modules.get(name)
    if module is not None:
        callback(module)
        return
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.waiting.setdefault(name, []).append(callback)


class _WatchingFinder(MetaPathFinder):
    """Finds the modules that are waited for by asking the finders behind it, and lets their loaders report."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Callback]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, or None for all other modules."""
        if fullname not in self.waiting:
            return None
        finders = [finder for finder in sys.meta_path if finder is not self]
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in finders)), None)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_call(module: ModuleType) -> None:
            execute(module)
            for callback in self.waiting.pop(fullname, ()):
                callback(module)

        spec.loader.exec_module = execute_and_call  # type: ignore[method-assign]
        return spec


_FINDER = _WatchingFinder()

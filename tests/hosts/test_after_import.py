"""Modules made for the purpose, imported before and after."""

import importlib
import inspect
import sys

import pytest

from mion_plugin.hosts.after_import import after_import


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package with the modules ``first``, which imports ``second``, and ``second``."""
    name = f"late_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "first.py").write_text(f"from {name} import second\nREGISTRY = [second.__name__]\n")
    (tmp_path / name / "second.py").write_text("REGISTRY = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


def register(module):
    module.REGISTRY.append("ours")


def test_a_module_that_is_imported_already(package):
    module = importlib.import_module(f"{package}.second")
    after_import(f"{package}.second", register)
    assert module.REGISTRY == ["ours"]


def test_a_module_that_is_imported_later(package):
    after_import(f"{package}.second", register)
    assert f"{package}.second" not in sys.modules
    module = importlib.import_module(f"{package}.second")
    assert module.REGISTRY == ["ours"]
    importlib.reload(module)  # a new list, and nobody waits any more
    assert module.REGISTRY == []


def test_a_module_that_another_one_imports(package):
    for part in ("first", "second"):
        after_import(f"{package}.{part}", register)
    first = importlib.import_module(f"{package}.first")
    assert [f"{package}.second", "ours"] == first.REGISTRY  # when its own code has run
    assert first.second.REGISTRY == ["ours"]


def test_several_wait_for_one_module(package):
    after_import(f"{package}.second", register)
    after_import(f"{package}.second", register)
    assert importlib.import_module(f"{package}.second").REGISTRY == ["ours", "ours"]


def test_the_module_keeps_its_source_and_spec(package):
    after_import(f"{package}.second", register)
    module = importlib.import_module(f"{package}.second")
    assert inspect.getsource(module) == "REGISTRY = []\n"
    assert module.__spec__.name == module.__name__


def test_looking_for_a_module_does_not_use_the_callback_up(package):
    after_import(f"{package}.second", register)
    assert importlib.util.find_spec(f"{package}.second") is not None
    assert importlib.import_module(f"{package}.second").REGISTRY == ["ours"]


def test_a_module_that_does_not_exist_is_not_found(package):
    after_import(f"{package}.third", register)
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{package}.third'"):
        importlib.import_module(f"{package}.third")


def test_an_error_in_the_callback_is_the_imports(package):
    after_import(f"{package}.second", lambda module: module.MISSING)
    with pytest.raises(AttributeError, match="MISSING"):
        importlib.import_module(f"{package}.second")

"""What a command leaves in a folder: which files are temporary, which are damaged, and whether results are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mion_plugin.datasets.human_data import load_human_data
from mion_plugin.files.checkpoints import load_local_checkpoint

Readers = Mapping[str, Callable[[Path], Any]]  # pattern of a file's path in the folder -> what raises if it is damaged
_PIECES = "_pieces"  # hidden folders of that ending hold what is done so far


def files_in(folder: Path) -> list[str]:
    """Paths of all files, relative to the folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def is_temporary(name: str) -> bool:
    """Whether a path is that of a file that is being written: it, or a folder of it, has a hidden name."""
    return any(part.startswith(".") and not part.endswith(_PIECES) for part in Path(name).parts)


def find_damage(folder: Path, names: list[str], readers: Readers) -> dict[str, str]:
    """The files that cannot be read, and why; a file that no pattern knows is one of them."""
    damage = {}
    for name in names:
        read = next((reader for pattern, reader in readers.items() if fnmatch(name, pattern)), None)
        try:
            if read is None:
                raise ValueError("nothing that the command should write")
            read(folder / name)
        except Exception as error:  # whatever a reader raises, the file is damaged
            damage[name] = f"{type(error).__name__}: {error}"
    return damage


def difference(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> str:
    """What differs between two results (name -> content), as one line; empty where they are equal."""
    if expected.keys() != found.keys():
        missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        return f"missing: {', '.join(missing) or 'nothing'}; too many: {', '.join(more) or 'nothing'}"
    differing = [name for name, content in expected.items() if found[name] != content]
    return f"different: {', '.join(differing)}" if differing else ""


def contents(folder: Path, names: list[str]) -> dict[str, bytes]:
    """The bytes of files."""
    return {name: (folder / name).read_bytes() for name in names}


def training_state(checkpoint: Path) -> dict[str, bytes]:
    """Weights, optimiser, schedules and place in the training; not the log, which holds times."""
    content = load_local_checkpoint(str(checkpoint))
    places = {key: content["meta"][key] for key in ("epoch", "iter")}
    kept = {key: content[key] for key in ("state_dict", "optimizer", "param_schedulers")}
    return dict(_flat(kept | {"meta": places}, ""))


def read_human_data_with_images(path: Path) -> None:
    """Raise if a HumanData file is damaged, or names an image that is not there."""
    for name in load_human_data(path).require("image_path"):
        if not (path.parent / name).is_file():
            raise FileNotFoundError(f"image {name} does not exist")


def _flat(value: Any, name: str) -> list[tuple[str, bytes]]:
    """Leaves of nested containers, by their path."""
    if isinstance(value, Mapping):
        return [leaf for key, item in value.items() for leaf in _flat(item, f"{name}/{key}")]
    if isinstance(value, list | tuple):
        return [leaf for index, item in enumerate(value) for leaf in _flat(item, f"{name}/{index}")]
    return [(name, value.numpy().tobytes() if hasattr(value, "numpy") else repr(value).encode())]

"""Hostile pickles: programs that run something, take all memory or never end."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator

from robustness.faults.verdict import CANARY

_COMMAND = f"touch {CANARY}"
_CODE = f"open({CANARY!r}, 'w').close()"
_DEPTH = 100_000


def _call(module: str, name: str, *arguments: str) -> bytes:
    """Protocol 0: import a function, call it."""
    given = b"".join(b"V" + argument.encode() + b"\n" for argument in arguments)
    return f"c{module}\n{name}\n".encode() + b"(" + given + b"tR."


def _stacked_call(module: str, name: str, argument: str) -> bytes:
    """Protocol 4: the names come from the stack."""
    texts = [b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name, argument)]
    return b"\x80\x04" + texts[0] + texts[1] + b"\x93" + texts[2] + b"\x85R."


def every() -> Iterator[tuple[str, str, bytes]]:
    """Kind, name and pickle of all that follow."""
    groups = (
        ("code in a pickle", with_code()),
        ("exhausting pickle", exhausting()),
        ("forged pickle", forged_arrays()),
        ("wrong type", sound_but_useless()),
    )
    for kind, group in groups:
        for name, code in group:
            yield kind, name, code


def with_code() -> Iterator[tuple[str, bytes]]:
    """Name and pickle; whoever runs one finds the file ``canary``."""
    yield "os.system", _call("os", "system", _COMMAND)
    yield "posix.system", _call("posix", "system", _COMMAND)
    yield "os.popen", _call("os", "popen", _COMMAND)
    yield "subprocess.getoutput", _call("subprocess", "getoutput", _COMMAND)
    yield "subprocess.check_output", b"csubprocess\ncheck_output\n((lVtouch\naV" + CANARY.encode() + b"\natR."
    yield "builtins.eval", _call("builtins", "eval", _CODE)
    yield "builtins.exec", _call("builtins", "exec", _CODE)
    yield "Python 2's eval", _call("__builtin__", "eval", _CODE)
    yield "builtins.open", _call("builtins", "open", CANARY, "w")
    yield "builtins.getattr", b"cbuiltins\ngetattr\n(cos\nsystem\nV__call__\ntR(V" + _COMMAND.encode() + b"\ntR."
    yield "names from the stack", _stacked_call("os", "system", _COMMAND)
    yield "a dotted name", _stacked_call("numpy", "os.system", _COMMAND)
    yield "numpy's own runstring", _call("numpy.testing", "runstring", _CODE)
    yield "the instruction INST", b"(V" + _COMMAND.encode() + b"\nios\nsystem\n."
    yield "the instruction OBJ", b"(cos\nsystem\nV" + _COMMAND.encode() + b"\no."
    yield "the instruction NEWOBJ", b"\x80\x02csubprocess\nPopen\nVtouch canary\n\x85\x81."
    yield "after a sound value", b"}" + b"0" + _call("os", "system", _COMMAND)
    yield "functools.partial", b"cfunctools\npartial\n(cos\nsystem\nV" + _COMMAND.encode() + b"\ntR(tR."
    yield "torch.load", _call("torch.hub", "load", "nobody/nothing", "nothing")
    yield "a class of ours", _call("mion_plugin.files.atomic", "atomic_path", CANARY)
    yield "reference to outside", b"Pos.system\n."
    yield "an extension's number", b"\x80\x02\x82\x01."


def exhausting() -> Iterator[tuple[str, bytes]]:
    """Name and pickle that asks for memory or time out of all proportion."""
    yield "memo entry 400,000,000", b"]r" + struct.pack("<I", 400_000_000) + b"."
    yield "memo entry 2^32 - 1", b"]r" + struct.pack("<I", 2**32 - 1) + b"."
    yield "memo entry 10^30", b"]p" + b"1" + b"0" * 30 + b"\n."
    yield "bytes of 2^62", b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc."
    yield "bytes of 8 GiB", b"\x80\x04\x8e" + struct.pack("<Q", 2**33) + b"abc."
    yield "text of 2^62", b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc."
    yield "a frame of 2^62", b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"]."
    yield "bytearray of 8 GiB", b"\x80\x05\x96" + struct.pack("<Q", 2**33) + b"abc."
    yield "lists in lists, 100,000 deep", b"(l" * _DEPTH + b"a" * (_DEPTH - 1) + b"."
    yield "tuples in tuples, 100,000 deep", b")" + b"\x85" * _DEPTH + b"."
    yield "a list that holds itself", b"]q\x00h\x00a."
    yield "a dict that holds itself", b"}q\x00Vsmpl\nh\x00s."
    yield "ten lists to the power of ten", _shared_lists(10, 10)
    yield "a dict of shared lists", b"}Vsmpl\n" + _shared_lists(10, 9)[:-1] + b"s."
    yield "an integer of 100,000 digits", b"I" + b"9" * 100_000 + b"\n."
    yield "a long of 8 MB", b"\x80\x02\x8b" + struct.pack("<i", 1 << 23) + b"\x7f" * (1 << 23) + b"."
    yield "marks alone", b"(" * 1_000_000


def _shared_lists(width: int, depth: int) -> bytes:
    """Each list holds the one before ``width`` times: little to store, ``width`` to the power of ``depth`` to visit."""
    value: list = [1.0] * width
    for _ in range(depth - 1):
        value = [value] * width
    return pickle.dumps(value, protocol=2)


def forged_arrays() -> Iterator[tuple[str, bytes]]:
    """Name and pickle of an array that is not what its state says."""
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n"
    eight = b"cnumpy\ndtype\n(V%s\nI0\nI1\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntb"
    yield "bytes as addresses of objects", head + b"(I1\nt" + eight % b"O8" + b"I00\nC\x08AAAAAAAAtb."
    yield "fewer bytes than its shape", head + b"(I1000\nt" + eight % b"f8" + b"I00\nC\x08AAAAAAAAtb."
    yield "a shape of 10^12", head + b"(L1000000000000L\nt" + eight % b"f8" + b"I00\nC\x08AAAAAAAAtb."
    yield "a negative shape", head + b"(I-1\nt" + eight % b"f8" + b"I00\nC\x08AAAAAAAAtb."
    yield "a record type", head + b"(I1\nt" + eight % b"V8" + b"I00\nC\x08AAAAAAAAtb."
    yield "bytes of 2^40 each", head + b"(I1\nt" + eight % b"S1099511627776" + b"I00\nC\x08AAAAAAAAtb."
    yield "no state", b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR."
    yield "too large from the start", b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I2000000000\ntVb\ntR."


def sound_but_useless() -> Iterator[tuple[str, bytes]]:
    """Name and pickle of a value that is no dict of arrays."""
    for value in (None, 1, 1e308, "text", b"bytes", [1, 2], {}, {1: 2}, {"smpl": None}, float("nan"), {"a": {}}):
        yield f"{value!r} alone", pickle.dumps(value, protocol=2)

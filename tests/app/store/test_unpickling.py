"""The unpickler of model files: it loads arrays, numbers and the scaler, and refuses everything else unexecuted."""

import io
import os
import pickle
import pickletools
import subprocess
import sys
from contextlib import suppress

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from app.store.unpickling import KNOWN, ArtefactRefused, load_state
from tests.damage import replace_model
from tests.stations import ROOT


def dumped(state):
    buffer = io.BytesIO()
    joblib.dump(state, buffer)
    return buffer.getvalue()


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_pickles_that_run_a_command_are_refused_before_it_runs(store, tmp_path):
    mark, hill = tmp_path / "it ran", store.station("hill")
    command = Command(f"touch '{mark}'")
    for state in (
        command,
        {"format": 1, "weights": command},
        {"format": 1, "weights": {"head.W": np.array([command], dtype=object)}},
    ):
        blob = dumped(state)
        version = replace_model(store, blob)
        for use in (hill.load, lambda name: hill.promote(name, "test")):
            with pytest.raises(ArtefactRefused, match=r"is refused: it (names posix.system|holds values of type 'O8')"):
                use(version)
        assert not mark.exists()
        joblib.load(io.BytesIO(blob))
        assert mark.exists()  # it would have run
        mark.unlink()


# Every opcode that names a class or function: protocol 0, protocol 4, an instance with arguments on the stack.
NAMING = {
    "GLOBAL": lambda module, name: b"c%b\n%b\n" % (module, name),
    "STACK_GLOBAL": lambda module, name: b"\x8c%c%b\x8c%c%b\x93" % (len(module), module, len(name), name),
    "INST": lambda module, name: b"(i%b\n%b\n" % (module, name),
}


@pytest.mark.parametrize("opcode", NAMING)
def test_other_names_are_refused_before_they_are_imported(opcode):
    allowed = set(KNOWN)
    others = {("this", "s"), ("os", "system"), ("builtins", "eval"), ("numpy", "load"), ("numpy.ndarray", "tofile")}
    others |= {(module, f"{name}.__init__") for module, name in allowed}  # a path through an allowed name
    others |= {(module, other) for module, _ in allowed for _, other in allowed} - allowed
    for module, name in others:
        blob = b"\x80\x04" + NAMING[opcode](module.encode(), name.encode()) + b"."
        pickletools.dis(blob, out=io.StringIO())
        with pytest.raises(ArtefactRefused, match=f"it names {module}.{name}, which no model needs"):
            load_state(blob)
    assert "this" not in sys.modules


def test_persistent_ids_and_extension_codes_are_refused():
    for blob in (b"Pid\n.", b"\x80\x02K\x01Q.", b"\x80\x02\x82\x01."):
        with pytest.raises(ArtefactRefused, match="it can't be read"):
            load_state(blob)


def named(module, name):
    return NAMING["GLOBAL"](module.encode(), name.encode())


ARRAY, DTYPE, SCALAR = named("numpy", "ndarray"), named("numpy", "dtype"), named("numpy._core.multiarray", "scalar")
OBJECT = b"X\x01\x00\x00\x00O"
FLOAT = b"X\x02\x00\x00\x00f8"
FORGED = {
    "an array over a forged address": (ARRAY, b"(K\x04\x85", OBJECT, b"B\x20\x00\x00\x00" + b"A" * 32, b"tR"),
    "an array": (ARRAY, b"K\x04\x85R"),
    "an object dtype": (DTYPE, OBJECT, b"\x85R"),
    "a dtype with forged flags": (DTYPE, FLOAT, b"\x85R(K\x03X\x01\x00\x00\x00<NNNK\x08K\x08K\x3ftb"),
    "a dtype with fields": (DTYPE, b"]\x85R"),
    "a number that is too short": (SCALAR, DTYPE, FLOAT, b"\x85RC\x01A\x86R"),
    "a number that is too long": (SCALAR, DTYPE, FLOAT, b"\x85RC\x10" + b"A" * 16 + b"\x86R"),
    "a number of no type": (SCALAR, b"NC\x08AAAAAAAA\x86R"),
    "a changed class": (named("sklearn.preprocessing._data", "StandardScaler"), b"N}X\x05\x00\x00\x00mean_K\x01s\x86b"),
    "a changed function": (DTYPE, b"N}X\x01\x00\x00\x00aK\x01s\x86b"),
    "a wrapper of another dtype": (
        named("joblib.numpy_pickle", "NumpyArrayWrapper"),
        b")\x81}(X\x05\x00\x00\x00dtypeX\x01\x00\x00\x00OX\x05\x00\x00\x00shapeK\x01\x85ub",
    ),
}


def test_allowed_names_cannot_be_abused():
    """In another process, which an attack that gets through might end; each answer tells of one."""
    blobs = {name: b"\x80\x04}X\x07\x00\x00\x00weights" + b"".join(parts) + b"s." for name, parts in FORGED.items()}
    for blob in blobs.values():
        pickletools.dis(blob, out=io.StringIO())  # it is a pickle, not just noise
    code = (
        "import sys\n"
        "from app.store.unpickling import *\n"
        "for line in sys.stdin:\n"
        "    try: print('loaded', load_state(bytes.fromhex(line)), flush=True)\n"
        "    except ArtefactRefused as error: print('refused:', error, flush=True)\n"
    )
    told = "".join(f"{blob.hex()}\n" for blob in blobs.values())
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=told, capture_output=True, text=True, check=False
    )
    answers = dict(zip(blobs, done.stdout.splitlines(), strict=False))
    assert done.returncode == 0, (answers, done.stderr)
    assert len(answers) == len(blobs)
    for name, answer in answers.items():
        assert answer.startswith("refused: it "), (name, answer)
        assert "can't be read" not in answer or "fields" in name, (name, answer)


@pytest.mark.parametrize(
    "blob", [b"", b"\x80", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({"a": 1})[:-2], b"\x80\x04." * 10]
)
def test_bytes_that_are_no_model_are_refused(blob):
    with pytest.raises(ArtefactRefused):
        load_state(blob)


SCALER = StandardScaler().fit(np.arange(4.0).reshape(2, 2))
SMALL = dumped({"format": 1, "weights": {"head.W": np.ones((2, 2), "f4")}, "scaler": SCALER, "n": np.float64(1)})


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_raise_no_other_error(changes):
    blob = bytearray(SMALL)
    for position, byte in changes:
        blob[position] = byte
    with suppress(ArtefactRefused):
        assert isinstance(load_state(bytes(blob)), dict)

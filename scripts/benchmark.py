"""Side by side with ONNX Runtime in one run: the same networks, one thread each, taking turns."""

import os

# Read by the numerical libraries when they are loaded.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"

import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import click  # noqa: E402
import numpy as np  # noqa: E402
from rich.table import Table  # noqa: E402

from models.nn import CELLS, Array, Parameters, RecurrentNetwork  # noqa: E402
from scripts.console import Command, output  # noqa: E402

DAYS, FEATURES, HIDDEN = 14, 8, 32

# Columns of our gates in the order in which ONNX has them.
GATE_ORDER = {"rnn": [0], "lstm": [0, 2, 1, 3], "gru": [1, 0, 2]}


@click.command(cls=Command)
@click.option("--rounds", type=click.IntRange(min=3), default=30, show_default=True, help="How often each is timed.")
def benchmark(rounds: int) -> None:
    """Time a forward pass of each cell beside ONNX Runtime: median microseconds, and their ratio."""
    table = Table(
        "cell",
        "sequences",
        "here",
        "ONNX Runtime",
        "ratio",
        title=f"Forward pass, {DAYS} days x {FEATURES} features, {HIDDEN} hidden units (us; ratio here / there)",
    )
    for cell in CELLS:
        for sequences, calls in ((1, 200), (1024, 3)):
            ours, theirs = contestants(cell, sequences)
            here, there = take_turns(ours, theirs, rounds, calls)
            peer = f"{there:.0f}" if theirs else "not installed"
            table.add_row(cell, str(sequences), f"{here:.0f}", peer, f"{here / there:.2f}" if theirs else "")
    output.print(table)


def contestants(cell: str, sequences: int) -> tuple[Callable[[], Any], Callable[[], Any] | None]:
    """Return two calls that compute the same outputs; the second is None where the peer is not installed."""
    rng = np.random.default_rng(0)
    network = RecurrentNetwork(cell, FEATURES, HIDDEN)
    params = {name: value + rng.normal(0, 0.1, value.shape).astype("f4") for name, value in network.init(rng).items()}
    x = rng.normal(size=(sequences, DAYS, FEATURES)).astype("f4")
    try:
        peer = onnx_session(cell, params)
    except ImportError:
        return lambda: network.predict(params, x), None
    time_major = np.ascontiguousarray(x.transpose(1, 0, 2))
    (theirs,) = peer.run(None, {"x": time_major})
    np.testing.assert_allclose(network.predict(params, x), theirs[0], atol=1e-4)
    return lambda: network.predict(params, x), lambda: peer.run(None, {"x": time_major})


def take_turns(
    ours: Callable[[], Any], theirs: Callable[[], Any] | None, rounds: int, calls: int
) -> tuple[float, float]:
    """Return the median microseconds of one call of each."""
    contenders = [ours, theirs or (lambda: None)]
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for contender, taken in zip(contenders, times, strict=True):
            began = time.perf_counter()
            for _ in range(calls):
                contender()
            taken.append((time.perf_counter() - began) / calls * 1e6)
    return statistics.median(times[0]), statistics.median(times[1])


def onnx_session(cell: str, params: Parameters) -> Any:
    """Build the same one-layer network and head as an ONNX graph; its output is (1, B, 1)."""
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    def gates(array: Array) -> Array:
        """(n, gates * H) to (1, gates * H, n) in the peer's order."""
        blocks = np.split(np.atleast_2d(array), len(GATE_ORDER[cell]), axis=1)
        return np.concatenate([blocks[i].T for i in GATE_ORDER[cell]])[None]

    bias = gates(params["layer0.b"])[:, :, 0]
    recurrent_bias = gates(params["layer0.c"])[:, :, 0] if "layer0.c" in params else np.zeros_like(bias)
    values = {
        "W": gates(params["layer0.W"]),
        "R": gates(params["layer0.U"]),
        "B": np.concatenate([bias, recurrent_bias], axis=1),
        "head_W": params["head.W"],
        "head_b": params["head.b"],
    }
    options = {"linear_before_reset": 1} if cell == "gru" else {}
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node(cell.upper(), ["x", "W", "R", "B"], ["", "h"], hidden_size=HIDDEN, **options),
            helper.make_node("MatMul", ["h", "head_W"], ["product"]),
            helper.make_node("Add", ["product", "head_b"], ["y"]),
        ],
        "network",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [DAYS, None, FEATURES])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(value.astype("f4"), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = session.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), session, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    benchmark()

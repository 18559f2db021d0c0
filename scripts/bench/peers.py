"""The same networks in the frameworks that people would otherwise use, on one thread, for the benchmark.

Each function returns a call to be timed; it raises ImportError where its framework is not installed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from models.nn import Array, Parameters

# The order in which each framework keeps our blocks of columns.
TORCH_ORDER = {"rnn": [0], "lstm": [0, 1, 3, 2], "gru": [0, 1, 2]}
ONNX_ORDER = {"rnn": [0], "lstm": [0, 2, 1, 3], "gru": [1, 0, 2]}


def torch_forward(cell: str, params: Parameters, x: Array) -> Callable[[], Array]:
    """Return a call of PyTorch, in eager mode, that computes the outputs for ``x`` (B, T, F)."""
    torch, outputs, _ = _torch_network(cell, params)
    inputs = torch.tensor(x)

    def call() -> Array:
        with torch.inference_mode():
            return np.asarray(outputs(inputs))

    return call


def torch_training(
    cell: str, params: Parameters, x: Array, y: Array, learning_rate: float, clip_norm: float
) -> Callable[[], float]:
    """Return a call of PyTorch that takes a training step and returns the loss before it."""
    torch, outputs, parameters = _torch_network(cell, params)
    optimizer = torch.optim.Adam(parameters, learning_rate)
    inputs, targets = torch.tensor(x), torch.tensor(y)

    def call() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(outputs(inputs), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
        optimizer.step()
        return float(loss.detach())

    return call


def onnx_forward(cell: str, params: Parameters, x: Array) -> Callable[[], Array]:
    """Return a call of ONNX Runtime, with the network as one graph, that computes the outputs for ``x`` (B, T, F)."""
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    weights, recurrent, *biases = _layer(params, ONNX_ORDER[cell])
    values = {"W": weights.T[None], "R": recurrent.T[None], "B": np.concatenate(biases)[None]}
    values |= {"head_W": params["head.W"], "head_b": params["head.b"]}
    options = {"linear_before_reset": 1} if cell == "gru" else {}
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node(cell.upper(), ["x", "W", "R", "B"], ["", "h"], hidden_size=len(recurrent), **options),
        helper.make_node("MatMul", ["h", "head_W"], ["product"]),
        helper.make_node("Add", ["product", "head_b"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", kind, [x.shape[1], None, x.shape[2]])]
    initializers = [onnx.numpy_helper.from_array(value.astype("f4"), name) for name, value in values.items()]
    outputs = [helper.make_tensor_value_info("y", kind, None)]
    graph = helper.make_graph(nodes, "network", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    time_major = np.ascontiguousarray(x.transpose(1, 0, 2))  # the layout that it prefers
    return lambda: np.asarray(session.run(None, {"x": time_major})[0][0])


def _torch_network(cell: str, params: Parameters) -> tuple[Any, Callable[[Any], Any], list[Any]]:
    """Return PyTorch, the network's outputs as a function of its inputs, and its parameters."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    n_inputs, n_hidden = len(params["layer0.W"]), len(params["layer0.U"])
    layer = getattr(torch.nn, cell.upper())(n_inputs, n_hidden, batch_first=True)
    head = torch.nn.Linear(n_hidden, params["head.W"].shape[1])
    parameters = [*layer.parameters(), *head.parameters()]
    ours = [*_layer(params, TORCH_ORDER[cell]), params["head.W"], params["head.b"]]
    with torch.no_grad():
        for theirs, value in zip(parameters, ours, strict=True):
            theirs[:] = torch.tensor(value.T)
    return torch, lambda inputs: head(layer(inputs)[0][:, -1]), parameters


def _layer(params: Parameters, order: list[int]) -> list[Array]:
    """Return W, U, b and the recurrent bias c of the first layer, their blocks of columns in another order."""
    ours = [params["layer0.W"], params["layer0.U"], params["layer0.b"]]
    ours.append(params.get("layer0.c", np.zeros_like(ours[2])))
    return [np.concatenate([np.split(array, len(order), axis=-1)[i] for i in order], axis=-1) for array in ours]

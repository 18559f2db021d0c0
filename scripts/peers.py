"""The same networks in the frameworks that people would take instead, for the benchmark."""

from collections.abc import Callable
from typing import Any

import numpy as np

from models.nn import Array, Parameters

# Blocks of our columns in the order in which each framework has them.
TORCH_ORDER = {"rnn": [0], "lstm": [0, 1, 3, 2], "gru": [0, 1, 2]}
ONNX_ORDER = {"rnn": [0], "lstm": [0, 2, 1, 3], "gru": [1, 0, 2]}

Forward = Callable[[], Array]


class TorchPeer:
    """PyTorch in eager mode, on one thread.

    Raises
    ------
    ImportError : where PyTorch is not installed
    """

    def __init__(self, cell: str, params: Parameters) -> None:
        import torch  # noqa: PLC0415

        torch.set_num_threads(1)
        n_inputs, n_hidden = len(params["layer0.W"]), len(params["layer0.U"])
        self._torch = torch
        self._cell = getattr(torch.nn, cell.upper())(n_inputs, n_hidden, batch_first=True)
        self._head = torch.nn.Linear(n_hidden, params["head.W"].shape[1])
        recurrent_bias = params.get("layer0.c", np.zeros_like(params["layer0.b"]))
        values = [params["layer0.W"], params["layer0.U"], params["layer0.b"], recurrent_bias]
        self._parameters = [*self._cell.parameters(), *self._head.parameters()]
        with torch.no_grad():
            for theirs, ours in zip(self._cell.parameters(), values, strict=True):
                theirs[:] = torch.tensor(_blocks(ours, TORCH_ORDER[cell]).T)
            self._head.weight[:] = torch.tensor(params["head.W"].T)
            self._head.bias[:] = torch.tensor(params["head.b"])

    def forward(self, x: Array) -> Forward:
        """Return a call that answers the outputs for ``x`` (B, T, F)."""
        inputs = self._torch.tensor(x)

        def call() -> Array:
            with self._torch.inference_mode():
                return np.asarray(self._outputs(inputs))

        return call

    def training_step(self, x: Array, y: Array, learning_rate: float, clip_norm: float) -> Callable[[], float]:
        """Return a call that takes a step and answers the loss before it."""
        optimizer = self._torch.optim.Adam(self._parameters, learning_rate)
        inputs, targets = self._torch.tensor(x), self._torch.tensor(y)

        def call() -> float:
            optimizer.zero_grad()
            loss = self._torch.nn.functional.mse_loss(self._outputs(inputs), targets)
            loss.backward()
            self._torch.nn.utils.clip_grad_norm_(self._parameters, clip_norm)
            optimizer.step()
            return float(loss.detach())

        return call

    def _outputs(self, inputs: Any) -> Any:
        return self._head(self._cell(inputs)[0][:, -1])


class OnnxPeer:
    """ONNX Runtime, on one thread, with the network as one graph; it forecasts and does not train.

    Raises
    ------
    ImportError : where it is not installed
    """

    def __init__(self, cell: str, params: Parameters, n_steps: int) -> None:
        import onnx  # noqa: PLC0415
        import onnxruntime  # noqa: PLC0415

        order = ONNX_ORDER[cell]
        bias = _blocks(params["layer0.b"], order)
        recurrent_bias = _blocks(params["layer0.c"], order) if "layer0.c" in params else np.zeros_like(bias)
        values = {
            "W": _blocks(params["layer0.W"], order).T[None],
            "R": _blocks(params["layer0.U"], order).T[None],
            "B": np.concatenate([bias, recurrent_bias])[None],
            "head_W": params["head.W"],
            "head_b": params["head.b"],
        }
        n_inputs, n_hidden = len(params["layer0.W"]), len(params["layer0.U"])
        options = {"linear_before_reset": 1} if cell == "gru" else {}
        helper = onnx.helper
        graph = helper.make_graph(
            [
                helper.make_node(cell.upper(), ["x", "W", "R", "B"], ["", "h"], hidden_size=n_hidden, **options),
                helper.make_node("MatMul", ["h", "head_W"], ["product"]),
                helper.make_node("Add", ["product", "head_b"], ["y"]),
            ],
            "network",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [n_steps, None, n_inputs])],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
            [onnx.numpy_helper.from_array(value.astype("f4"), name) for name, value in values.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )

    def forward(self, x: Array) -> Forward:
        """Return a call that answers the outputs for ``x`` (B, T, F), which is laid out as it likes beforehand."""
        time_major = np.ascontiguousarray(x.transpose(1, 0, 2))
        return lambda: np.asarray(self._session.run(None, {"x": time_major})[0][0])


def _blocks(array: Array, order: list[int]) -> Array:
    """Put the blocks of columns into another order."""
    return np.concatenate([np.split(array, len(order), axis=-1)[i] for i in order], axis=-1)

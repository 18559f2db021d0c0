"""Several networks of one architecture that predict together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.nn.compiled import compiled_layer
from models.nn.network import RecurrentNetwork
from models.nn.training import SCORING_ROWS
from models.nn.types import Array, Parameters


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one architecture, with their weights laid out once for all forecasts."""

    network: RecurrentNetwork
    members: Sequence[Parameters]

    def predict(self, x: Array) -> Array:
        """Return the outputs of each member (M, N, ...) for x (N, T, F).

        All members together compute `SCORING_ROWS` at a time.
        """
        rows = max(SCORING_ROWS // len(self.members), 1)
        if len(x) > rows:
            return np.concatenate([self.predict(x[i : i + rows]) for i in range(0, len(x), rows)], axis=1)
        network, (W, b) = self.network, self._heads
        first, *more = self._layers
        every, compiled = network.output == "every", compiled_layer(network.cell_name, first.dtype)
        if compiled and network.compiled and not more:
            h = compiled.forward_all(first, np.asarray(network.steps_first(x), first.dtype), every=every)
        else:
            h = np.stack([network.hidden([*of], x, keep=False)[0] for of in zip(first, *more, strict=True)])
        y = np.matmul(h.transpose(0, 3, 1, 2), W) + b
        return np.asarray(y if every else y[:, :, 0])

    @cached_property
    def _layers(self) -> list[Array]:
        """The stacked weights of each layer, (M, K, columns)."""
        of_members = [self.network.stack(member) for member in self.members]
        return [np.stack(layer) for layer in zip(*of_members, strict=True)]

    @cached_property
    def _heads(self) -> tuple[Array, Array]:
        """The weights (M, 1, H, O) and the biases (M, 1, 1, O) of the heads."""
        W, b = (np.stack([member[name] for member in self.members]) for name in ("head.W", "head.b"))
        return W[:, None], b[:, None, None]

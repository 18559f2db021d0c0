"""Recurrent networks from scratch, on NumPy alone. Reading order: the order of the imports below.

One legend of letters for the whole package:

=======  ==========================================================================
``B``    sequences in a batch
``T``    time steps (days) in a sequence
``F``    features of a time step
``H``    hidden units
``L``    stacked layers
``O``    outputs of the head
``W``    weights from the inputs; ``U`` weights from the state before; ``b`` biases
``d_y``  the gradient of the loss with respect to ``y``, of the shape of ``y``
=======  ==========================================================================

Parameters are one flat dictionary (``"layer0.W"``, ..., ``"head.b"``): what the optimiser walks, what the norm is
taken over, what is saved. Nothing is remembered on an object, so one network serves many threads.
"""

from models.nn.cells import CELLS, Cell, GRUCell, LSTMCell, RNNCell
from models.nn.losses import squared_error
from models.nn.network import RecurrentNetwork
from models.nn.optimizers import Adam, clip_by_global_norm
from models.nn.training import Epoch, TrainingPlan, predict_rows, train
from models.nn.types import Array, Parameters

__all__ = [
    "CELLS",
    "Adam",
    "Array",
    "Cell",
    "Epoch",
    "GRUCell",
    "LSTMCell",
    "Parameters",
    "RNNCell",
    "RecurrentNetwork",
    "TrainingPlan",
    "clip_by_global_norm",
    "predict_rows",
    "squared_error",
    "train",
]

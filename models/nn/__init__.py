"""Recurrent networks from scratch, in NumPy. Read the modules in the order of the imports below.

The letters of the whole package:

=======  ==========================================================================
``B``    sequences in a batch
``T``    time steps (days) in a sequence
``F``    features of a time step
``H``    hidden units
``L``    stacked layers
``O``    outputs of the head
``W``    input weights; ``U`` recurrent weights; ``b`` biases
``d_y``  the gradient of the loss with respect to ``y``, of the shape of ``y``
=======  ==========================================================================

Parameters are one flat dictionary (``"layer0.W"``, ..., ``"head.b"``). Objects hold no mutable state, so that threads
can share a network.
"""

from models.nn.activations import ACTIVATIONS, softmax
from models.nn.cells import CELLS, Cell, GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from models.nn.ensemble import Ensemble
from models.nn.initializers import (
    Initialization,
    Initializer,
    constant,
    gaussian,
    glorot_uniform,
    inverse_root_uniform,
    orthogonal,
    zeros,
)
from models.nn.losses import (
    Huber,
    Loss,
    Pinball,
    absolute_error,
    cross_entropy,
    half_squared_sum,
    logistic_crps,
    squared_error,
)
from models.nn.network import RecurrentNetwork
from models.nn.optimizers import SGD, Adam, Optimizer, RMSprop, clip_by_global_norm, clip_by_value
from models.nn.packing import Packing
from models.nn.schedules import Cosine, Exponential, Schedule, Steps, Warmup
from models.nn.training import Epoch, TrainingPlan, loss_and_gradients, predict_rows, train, training_step
from models.nn.types import Array, Parameters, State

__all__ = [
    "ACTIVATIONS", "CELLS", "SGD", "Adam", "Array", "Cell", "Cosine", "Ensemble", "Epoch", "Exponential", "GRUCell",
    "GRUResetBeforeCell", "Huber", "Initialization", "Initializer", "LSTMCell", "Loss", "Optimizer", "Packing",
    "Parameters", "Pinball", "RMSprop", "RNNCell", "RecurrentNetwork", "Schedule", "State", "Steps",
    "TrainingPlan", "Warmup", "absolute_error", "clip_by_global_norm", "clip_by_value", "constant",
    "cross_entropy", "gaussian", "glorot_uniform", "half_squared_sum", "inverse_root_uniform", "logistic_crps",
    "loss_and_gradients", "orthogonal", "predict_rows", "softmax", "squared_error", "train", "training_step",
    "zeros",
]  # fmt: skip

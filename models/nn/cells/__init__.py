"""The cells, one file each. To add a cell, write its class and add a line to ``CELLS``."""

from models.nn.cells.contract import Cell
from models.nn.cells.gru import GRUCell, GRUResetBeforeCell
from models.nn.cells.lstm import LSTMCell
from models.nn.cells.rnn import RNNCell

__all__ = ["CELLS", "Cell", "GRUCell", "GRUResetBeforeCell", "LSTMCell", "RNNCell"]

CELLS: dict[str, Cell] = {
    "rnn": RNNCell(),
    "rnn-relu": RNNCell("relu"),
    "rnn-sigmoid": RNNCell("sigmoid"),
    "rnn-identity": RNNCell("identity"),
    "lstm": LSTMCell(),
    "gru": GRUCell(),
    "gru-reset-before": GRUResetBeforeCell(),
}

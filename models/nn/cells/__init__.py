"""The recurrences, each in a file of its own. A new cell is one class and one line in ``CELLS``."""

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

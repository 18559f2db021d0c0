"""The table of cells lists every cell, and the tests and the oracle cover the whole table."""

import importlib
import inspect
import pkgutil

from models.nn import ACTIVATIONS, CELLS, RNNCell, cells
from models.nn.cells.contract import StackedCell
from models.nn.compiled import COMPILED
from tests.models.nn import oracle
from tests.models.nn.cases import by_cell


def test_table_lists_every_cell_of_the_package_and_every_activation():
    modules = [importlib.import_module(f"{cells.__name__}.{m.name}") for m in pkgutil.iter_modules(cells.__path__)]
    classes = {kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)}
    cell_classes = {kind for kind in classes if issubclass(kind, StackedCell)} - {StackedCell}
    assert cell_classes == {type(cell) for cell in CELLS.values()}
    activations = [cell.activation for cell in CELLS.values() if isinstance(cell, RNNCell)]
    assert sorted(activations) == sorted(ACTIVATIONS)


def test_tests_and_oracle_cover_the_table():
    assert list(by_cell.args[1]) == list(CELLS)
    assert oracle.STEPS.keys() == CELLS.keys()
    assert set(COMPILED) <= CELLS.keys()

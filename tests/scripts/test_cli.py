"""`scripts.cli`: what the commands share."""

import runpy
import sys

import pytest

from scripts.cli.options import column_list
from tests.processes import call_script


@pytest.mark.parametrize("name", ["train", "predict", "store", "backtest", "pretrain", "retrain"])
def test_help_names_the_command_as_it_is_called(monkeypatch, capsys, name):
    monkeypatch.delitem(sys.modules, f"scripts.{name}", raising=False)
    monkeypatch.setattr(sys, "argv", ["", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"scripts.{name}", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"Usage: python -m scripts.{name} ")


@pytest.mark.parametrize("command", ["train", "predict --data RECORD", "store list", "retrain --data RECORD"])
def test_invalid_settings_are_reported_in_one_line(record, command):
    done = call_script(*command.replace("RECORD", str(record)).split(), TMAX_WORKERS="many")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: TMAX_WORKERS must be a whole number of at least 1, not 'many'\n"


def test_lists_of_columns_are_lower_case_without_duplicates():
    assert column_list(()) is None
    assert column_list(("",)) == []
    assert column_list(("b, A ,,b", "all")) == ["b", "a", "all"]

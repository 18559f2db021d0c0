"""`scripts.bench`: the benchmarks can be started."""

from tests.processes import run_script


def test_the_benchmarks_print_help():
    for name in ("bench.networks", "bench.retraining"):
        done = run_script(name, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: python -m scripts.{name} [OPTIONS]\n")

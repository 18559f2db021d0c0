"""Read mutated golden files: each gives station-days or a RecordError of one line, within limits of memory and time.

``python -m tests.app.readers.fuzz --n 100000 --seed 1 --jobs 2`` prints how many gave what, and each failure with its
case; ``--case N`` repeats that case with its traceback, ``--save FILE`` writes its mutated file.
"""

import argparse
import contextlib
import faulthandler
import gzip
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path

# One thread for each process: the address space of a thread counts, too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from app.readers import RecordError, read_content

GOLDEN = Path(__file__).parent / "golden"
MEMORY = 512 * 2**20  # bytes beyond what the process has before it reads a file
SECONDS = 5.0  # of the processor, for one file
CHUNK = 250  # cases in one task of a worker
LARGEST = 2 * 2**20  # bytes of a mutated file
LONGEST_MESSAGE = 1_000

SMALLEST = b"date,tmax\n2021-06-20,20.1\n2021-06-21,20.2\n"

DAYS, REFUSED = "station-days", "RecordError"
NUMBER = re.compile(rb"-?\d+[.,]?\d*")
ODD_NUMBERS = (
    b"", b"nan", b"NaN", b"inf", b"-Infinity", b"1e999", b"1e308", b"-1e308", b"9" * 400, b"-0", b"0x1F", b"1_000",
    b"1e", b"--5", b"5-", b"=1+1", b"T", b"M", b"-9999", b"999.9", b"\xef\xbc\x91\xef\xbc\x92", b"\xc2\xb2", b"1,2,3",
    b"9223372036854775808", b"true", b"null", b"'", b'"', b"2021-06-20", b"00000000", b"99999999", b"0", b"1" * 20,
)  # fmt: skip
DELIMITERS = (b",", b";", b"\t", b"|", b" ", b"  ", b"\0", b'"')
GARBAGE = (b"\0", b'"', b'"\n"', b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[31m", b"\r", b"\n\n\n", b"[", b"{", b"#", b"\x1a")


class TooLongError(BaseException):
    """Raised by the clock; not an Exception, so that no reader swallows it."""


def flip(rng, data):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 20))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def on_lines(change):
    """Make a mutation of bytes from one that changes a list of lines in place."""

    def mutation(rng, data):
        lines = data.split(b"\n")
        change(rng, lines)
        return b"\n".join(lines)

    return mutation


@on_lines
def cut_lines(rng, lines):
    start = rng.randrange(len(lines))
    del lines[start : start + rng.choice((1, 2, 10))]


@on_lines
def double_lines(rng, lines):
    start = rng.randrange(len(lines))
    lines[start:start] = lines[start : start + rng.choice((1, 2, 10))]


@on_lines
def shuffle_lines(rng, lines):
    rng.shuffle(lines)


@on_lines
def add_columns(rng, lines):
    more = rng.choice(DELIMITERS) + rng.choice((b"", b"tmax", b"1", b"x"))
    more *= rng.choice((1, 2, 100, 5_000))
    in_all = rng.random() < 0.5 and len(more) * len(lines) < LARGEST
    chosen = range(len(lines)) if in_all else [rng.randrange(len(lines))]
    for index in chosen:
        lines[index] += more


@on_lines
def double_a_column(rng, lines):
    delimiter, column = rng.choice(DELIMITERS[:4]), rng.randrange(8)
    for index, line in enumerate(lines):
        cells = line.split(delimiter)
        lines[index] = delimiter.join([*cells, *cells[column : column + 1]])


def truncate(rng, data):
    return data[: rng.randrange(len(data) + 1)]


def cut_a_piece(rng, data):
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 5, 200)) :]


def swap_delimiters(rng, data):
    return data.replace(rng.choice(DELIMITERS), rng.choice(DELIMITERS))


def replace_numbers(rng, data):
    share = rng.choice((0.002, 0.05, 1.0))
    return NUMBER.sub(lambda found: rng.choice(ODD_NUMBERS) if rng.random() < share else found[0], data)


def other_years(rng, data):
    return data.replace(b"2021", rng.choice((b"0000", b"0001", b"9999", b"99999", b"21", b"-2021", b"1677", b"2262")))


def insert_garbage(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(GARBAGE) * rng.choice((1, 1, 50)) + data[at:]


def repeat(rng, data):
    return data * min(rng.choice((2, 10, 100)), 1 + LARGEST // (1 + len(data)))


def splice(rng, data):
    """The head of a file and the tail of another."""
    _, other = rng.choice(golden_files())
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def nest(rng, data):
    return rng.choice((b"[", b'{"daily":')) * rng.choice((1, 200, 100_000)) + data


def pack(rng, data):
    return gzip.compress(data, compresslevel=1, mtime=0)[: rng.choice((None, None, -5, 30))]


MUTATIONS = (
    flip, cut_lines, double_lines, shuffle_lines, add_columns, double_a_column, truncate, cut_a_piece, swap_delimiters,
    replace_numbers, replace_numbers, other_years, insert_garbage, repeat, splice, nest, pack,
)  # fmt: skip


@cache
def golden_files():
    """Return (name, content) of each golden file."""
    paths = sorted(path for path in GOLDEN.glob("*/*") if path.is_file() and ".expected." not in path.name)
    return [(path.name, path.read_bytes()) for path in paths]


def mutated(seed, case):
    """Return the content, name and options of a case."""
    rng = random.Random(f"{seed}:{case}")
    name, data = rng.choice(golden_files())
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(MUTATIONS)(rng, data)[:LARGEST]
    options = {"units": rng.choice((None, None, "us", "metric")), "timezone": rng.choice((None, None, "Europe/Berlin"))}
    return data, name, options


@contextlib.contextmanager
def clock(seconds):
    """Raise TooLongError after so many seconds of the processor; end the process where nothing happens for long."""

    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(60 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def memory_limit(more):
    """Limit the address space of this process to what it has and so many bytes more."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def outcome(content, name, options):
    """Return what a file gave: `DAYS`, `REFUSED`, or what is wrong with it."""
    try:
        with clock(SECONDS), memory_limit(MEMORY):
            record = read_content(content, name, **options)
    except RecordError as error:
        message = str(error)
        wrong = not message.isprintable() or len(message) > LONGEST_MESSAGE or not message.startswith(name)
        return f"RecordError that is no short line about its file: {message[:200]!r}" if wrong else REFUSED
    except (Exception, TooLongError) as error:
        place = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name != "stop"][-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {str(error)[:150]!r}"
    return DAYS if record.days.values.shape == (len(record.days.dates), 3) else "a record of another shape"


def chunk(seed, start, stop):
    """Return (how many gave what, failures as (case, what), seconds of the slowest, its case)."""
    read_content(SMALLEST, "smallest.csv")  # imports pandas, which counts neither in time nor in memory
    counts, failures, slowest = Counter(), [], (0.0, -1)
    for case in range(start, stop):
        content, name, options = mutated(seed, case)
        began = time.process_time()
        what = outcome(content, name, options)
        slowest = max(slowest, (time.process_time() - began, case))
        counts[what if what in {DAYS, REFUSED} else what.split(":")[0]] += 1
        if what not in {DAYS, REFUSED}:
            failures.append((case, what))
    return counts, failures, slowest


def fuzz(n, seed, jobs):
    """Yield the result of each chunk, one that ended its process as a failure of its first case."""
    bounds = [(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    while bounds:
        with ProcessPoolExecutor(jobs) as pool:
            tasks = {pool.submit(chunk, seed, *bound): bound for bound in bounds}
            for task, bound in tasks.items():
                try:
                    yield task.result()
                except BrokenProcessPool:
                    yield (
                        Counter({"end of the process": 1}),
                        [(bound[0], f"end of the process before {bound[1]}")],
                        (0.0, -1),
                    )
                    bounds = [later for later in bounds if later > bound]
                    break
            else:
                return


def repeat_case(seed, case, save):
    content, name, options = mutated(seed, case)
    if save:
        save.write_bytes(content)
    sys.stderr.write(f"{name}, {len(content)} bytes, {options}\n{content[:300]!r}\n")
    with memory_limit(MEMORY):
        sys.stdout.write(f"{read_content(content, name, **options).days.values}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, value in (("--n", 10_000), ("--seed", 1), ("--jobs", 2), ("--case", None), ("--show", 20)):
        parser.add_argument(option, type=int, default=value)
    parser.add_argument("--save", type=Path)
    given = parser.parse_args()
    if given.case is not None:
        return repeat_case(given.seed, given.case, given.save)
    counts, shown, slowest = Counter(), Counter(), (0.0, -1)
    for more, failures, slow in fuzz(given.n, given.seed, given.jobs):
        counts.update(more)
        slowest = max(slowest, slow)
        for case, what in failures:
            shown[what.split(":")[0]] += 1
            if shown[what.split(":")[0]] <= 2 and len(shown) <= given.show:  # two examples of a kind
                sys.stdout.write(f"--seed {given.seed} --case {case}: {what}\n")
    sys.stdout.writelines(f"{count:9,} {what}\n" for what, count in counts.most_common())
    sys.stdout.write(f"slowest: {slowest[0]:.2f} s (--case {slowest[1]})\n")
    return 1 if set(counts) - {DAYS, REFUSED} else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The history of the champions: the version live at an instant, and the detection of changed lines."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.serving.champions import Champions
from app.store.history import BrokenHistory, Entry, append, instant, last_digest, live_at, next_line, read
from app.store.integrity import verify
from app.store.pruning import prune, unneeded
from tests.app.store.ageing import NOW, days


def test_version_is_live_until_the_next_change(aged):
    first, second = aged.promote(30, 20)
    aged.rollback(10)
    entries = aged.hill.history()
    moments = {30.001: None, 30: first, 20.001: first, 20: second, 10.001: second, 9: first, 0: first}
    for days_ago, version in moments.items():
        live = live_at(entries, NOW - days(days_ago))
        assert (live and live.version) == version, days_ago
    assert live_at([], NOW) is None


@pytest.mark.parametrize(
    "text",
    ["2026-01-31", "20260131", "2026-01-31T00:00", "2026-01-31 00:00:00.000", "2026-01-31T00:00Z",
     "2026-01-31T02:00+02:00", "2026-01-30T19:00-05:00"],
)  # fmt: skip
def test_instant_is_utc_unless_it_has_an_offset(text):
    assert instant(text) == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A history of four changes."""
    path = tmp_path_factory.mktemp("history") / "history.jsonl"
    for n in range(4):
        entry = Entry(f"2026-01-0{n + 1}", "promote", f"v{n}", f"sha256:{n}", f"v{n - 1}", "me", "test", "")
        append(path, next_line(path, entry))
    return path


@given(order=st.permutations(range(4)) | st.lists(st.integers(0, 3), min_size=1, max_size=6), edit=st.data())
def test_changed_lines_are_detected(file, order, edit):
    """Lines that are removed, moved, repeated, edited or cut off."""
    sound, last, entries, error = file.read_bytes(), last_digest(file), [], ""
    content = bytearray(b"".join(sound.splitlines(keepends=True)[line] for line in order))
    if edit.draw(st.booleans()):
        content[edit.draw(st.integers(0, len(content) - 1))] = edit.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        entries = read(file, last)
    except BrokenHistory as caught:
        error = str(caught)
    file.write_bytes(sound)
    if error:
        assert re.fullmatch(rf"{file}: (the last line was|line \d) .*: the next promotion begins a new history", error)
    else:
        assert content == sound
        assert len(entries) == 4


def test_damaged_history_stops_every_writer_but_no_server(aged):
    first, *_ = aged.promote(30, 20)
    aged.rollback(10)
    hill, champion = aged.hill, aged.hill.champion()
    damaged = aged.history_file.read_bytes().replace(b"20 days", b"21 days")
    aged.history_file.write_bytes(damaged)
    for use in (
        hill.history,
        lambda: aged.publish(0),
        lambda: hill.promote(first, "test"),
        lambda: hill.rollback("test"),
        lambda: prune(hill, days(0)),
        lambda: unneeded(hill, days(0)),
        hill.check_writable,
    ):
        with pytest.raises(BrokenHistory, match="line 3 does not continue the line before"):
            use()
    assert [problem.startswith(f"hill: {aged.history_file}: line 3 ") for problem in verify(hill)] == [True]
    assert aged.history_file.read_bytes() == damaged
    assert hill.champion() == champion == Champions(aged.store).get("hill").version
    assert len(hill.versions()) == 2
    # The remedy that the message states.
    aged.history_file.unlink()
    hill.promote(first, "a new history")
    assert verify(hill) == []


def test_missing_head_is_made_by_the_next_writer(aged):
    _, second = aged.promote(30, 20)
    head = aged.hill.folder / "history.head"
    before = head.read_text()
    head.unlink()
    assert verify(aged.hill) == []
    aged.publish(0)
    assert head.read_text() == before
    # Without it, a removed last line shows in the champion, and an edited one in the digest.
    head.unlink()
    lines = aged.history_file.read_bytes().splitlines(keepends=True)
    aged.history_file.write_bytes(lines[0])
    (problem,) = verify(aged.hill)
    assert f"the champion '{second}' does not match the last line of the history" in problem
    digest = aged.hill.manifest(second).sha256.encode()
    aged.history_file.write_bytes(lines[0] + lines[1].replace(digest, b"sha256:" + b"0" * 64))
    assert verify(aged.hill) == [f"hill: the digest of {second} in the history does not match its manifest"]


@pytest.mark.parametrize("damage", [b"?", b"\xff\xfe"])
def test_damaged_head_stops_writers_but_no_server(aged, damage):
    _, second = aged.promote(30, 20)
    (aged.hill.folder / "history.head").write_bytes(damage)
    assert Champions(aged.store).get("hill").version == second
    assert "the last line was changed or removed" in verify(aged.hill)[0]
    with pytest.raises(BrokenHistory):
        aged.hill.rollback("test")

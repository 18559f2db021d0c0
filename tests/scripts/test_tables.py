"""The tables of scores and of a retraining on a terminal of 80 columns (`scripts.cli.tables`)."""

import io
import re

from rich.console import Console

from app.training.outcomes import Outcome
from scripts.cli.tables import MANY, retraining_table, scores_table
from tests.app.report.outcomes import BY_NAME, OUTCOMES, judged, many, with_guidance

JUDGED = [outcome.station for outcome in OUTCOMES if outcome.scores]


def printed(table, width=80):
    console = Console(width=width, file=io.StringIO(), soft_wrap=True, markup=False, emoji=False, highlight=False)
    console.print(table)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_numbers_and_decisions_fit_on_80_columns():
    text = printed(retraining_table(OUTCOMES))
    assert re.search(r"^ flint +2\.10  1\.50 +2\.31  1\.65 +25\.0 % kept +4\.2 worse than the", text, re.MULTILINE)
    assert re.search(r"^ nome +1\.68  1\.20 +25\.0 % promoted +4\.2 better", text, re.MULTILINE)
    assert text.splitlines()[-1] == "2 promoted, 2 kept, 1 unchanged, 2 failed; 17 CPU-seconds"
    lines = re.findall(r"^ ([a-z]+) .*(?:kept|promoted|unchanged|failed) ", text, re.MULTILINE)
    assert lines == ["oslo", "flint", "lima", "nome", "seattle", "bergen", "quito"]
    assert "0 promoted, 0 kept, 0 unchanged, 0 failed; 0 CPU-seconds" in printed(retraining_table([]))
    long = printed(retraining_table([judged(64 * "n", "kept", 1.65, 1.5)]))
    assert re.search(r"2\.10  1\.50 +2\.31  1\.65 +25\.0 % kept +4\.2", long)
    assert "…" not in long


def test_skill_is_against_guidance_only_where_all_judged_stations_have_it():
    text = printed(retraining_table([with_guidance(o, dict.fromkeys(JUDGED, 0.05)) for o in OUTCOMES]))
    assert re.search(r"challenger skill vs *$", text, re.MULTILINE)
    assert re.search(r"^ flint +2\.10  1\.50 +2\.31  1\.65 +5\.0 % kept +4\.2 worse than the", text, re.MULTILINE)
    mixed = map(with_guidance, OUTCOMES)
    assert printed(retraining_table(list(mixed))) == printed(retraining_table(OUTCOMES))
    assert re.search(r"CRPS persist\.", printed(retraining_table(OUTCOMES)))


def test_of_many_stations_only_the_promoted_and_the_failed_are_listed():
    few, more = (printed(retraining_table(many(n)), 200) for n in (MANY, MANY + 1))
    assert few.count("station-") == MANY
    assert "listed" not in few
    assert more.count("station-") == 22
    assert more.splitlines()[-2] == "18 unchanged and 61 kept not listed"
    assert "61 kept" in more.splitlines()[-1]


def test_brackets_are_plain_text():
    assert "[Errno 13] [red]denied" in printed(
        retraining_table([Outcome("x", "failed", "[Errno 13] [red]denied")]), 200
    )


def test_score_table_has_the_skill_against_guidance_first():
    outcome = with_guidance(BY_NAME["seattle"], {"seattle": -2.239})
    text = printed(scores_table("hill", outcome.scores))
    assert "…" not in text
    assert re.search(r"guidance persist\.", text)
    assert re.search(r"^ champion .* -223\.9 % +25\.0 %", text, re.MULTILINE)
    # A station without guidance leaves its place empty.
    mixed = {"hill": outcome.scores["challenger"], "dale": BY_NAME["seattle"].scores["challenger"]}
    assert re.search(
        r"^ dale +1\.89 +2\.43 +\+0\.00 +1\.35 {10,}25\.0 %", printed(scores_table("", mixed)), re.MULTILINE
    )
    plain = printed(scores_table("hill", BY_NAME["seattle"].scores))
    assert "skill " in plain
    assert "guidance" not in plain

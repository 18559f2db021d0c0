"""What is believed of a question: the days for the model, the flags, and the errors, as the client gave the values."""

import numpy as np

from app.serving.champions import ServedModel
from app.serving.errors import FieldError, QuestionError
from app.serving.question import BY_JSON, Question
from models.forecast.belief import Judgement
from models.forecast.distribution import Forecast
from models.forecast.doubts import OTHER_UNITS, Doubt
from models.record.columns import COLUMNS, MEASURED, TMAX, TMIN, column, neighbour_of
from models.record.days import ONE_DAY
from models.record.sequence import SequenceError


def forecast_from(served: ServedModel, question: Question) -> tuple[Forecast, Judgement]:
    """Return the forecast for a question, and what is believed of its days.

    Raises QuestionError, with the place, where the last day's tmax is not believed or there are too few days.
    """
    judgement = _believed(served, question)
    try:
        return served.model.predict(judgement.days), judgement
    except SequenceError as error:
        detail = "; ".join([str(error), *flags_of(question, judgement)[:1]])
        raise QuestionError([FieldError(question.place_of(error.date, judgement.days), detail)]) from None


def _believed(served: ServedModel, question: Question) -> Judgement:
    days = question.recent(served)
    judgement = served.belief.judge(days, question.request.units, [*map(np.datetime64, question.request.accept)])
    if judgement.refused:
        raise QuestionError(_errors(question, judgement))
    return judgement


def flags_of(question: Question, judgement: Judgement) -> list[str]:
    """Return a flag for each value that is set aside, or in use only because the user says that it is real."""
    flags = []
    for what, doubts in (("set aside", judgement.set_aside), ("accepted", judgement.accepted)):
        for doubt in doubts:
            date, value = judgement.days.first + doubt.row * ONE_DAY, _given(question, judgement, doubt)
            flags.append(f"{what} {date} {doubt.column} {value}: {doubt.reason(date, question.request.units)}")
    return flags


def _given(question: Question, judgement: Judgement, doubt: Doubt) -> float:
    """Return a value as it was given."""
    date = judgement.days.dates[doubt.row]
    if neighbour_of(doubt.column):
        return question.of_neighbour(doubt.column, date)
    index = question.index_of(date)
    if doubt.column in COLUMNS:
        return float(question.given[index, COLUMNS.index(doubt.column)])
    return float(question.further_given[doubt.column][index])


def _errors(question: Question, judgement: Judgement) -> list[FieldError]:
    """Return the errors of a question that is refused."""
    if judgement.refused[0].rule == "units":
        return [_units_error(question, judgement)]
    index = question.index_of(judgement.days.last)
    return [
        FieldError(question.place(index, doubt.column), _detail(question, judgement, doubt))
        for doubt in judgement.refused
    ]


def _detail(question: Question, judgement: Judgement, doubt: Doubt) -> str:
    date, units = judgement.days.last, question.request.units
    given = question.given[question.index_of(date)]
    value, unit = _given(question, judgement, doubt), column(doubt.column).unit(units)
    if doubt.rule == "impossible":
        return question.not_possible(value, doubt.column)
    if doubt.rule == "order":
        return f"tmin {given[TMIN]} is above tmax {given[TMAX]}; correct it, or leave out tmin"
    detail = f"{value} {unit} is {doubt.reason(date, units)}"
    if doubt.rule == "zeros":
        detail = f"tmax and tmin are both {value} {unit}, which looks like zeros for missing values"
    return f"{detail}; if it is real, {question.way.accept.format(date)}" if doubt.can_be_accepted else detail


def _units_error(question: Question, judgement: Judgement) -> FieldError:
    days, units = judgement.days, question.request.units
    unit, other = (MEASURED[TMAX].unit(of) for of in (units, OTHER_UNITS[units]))
    first = judgement.refused[0].row
    if np.isnan(days.tmax[:first]).all():
        remedy = question.way.units.format(OTHER_UNITS[units])
        place = f"{question.prefix}/units" if question.way == BY_JSON else question.prefix
        return FieldError(place, f"the temperatures fit the station in {other}, not in {unit}: {remedy}")
    since = days.dates[first]
    detail = f"from {since} on, the temperatures fit the station in {other}, not in {unit}: convert them"
    return FieldError(question.place(question.index_of(since), COLUMNS[TMAX]), detail)

"""The participants of a study, their next trials, and their choices."""

from __future__ import annotations

import random
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.evaluation.study.answers import ANSWERS, Choice, read_choices
from engines.evaluation.study.questions import Trial, picture, read_trials
from server.common.private import read_private, write_private
from server.common.problems import Problem

#: Most milliseconds that a choice may count: a participant who went away must not stretch the mean.
_LONGEST = 3_600_000


@dataclass(frozen=True)
class Turn:
    """A trial as one participant sees it: `order` are the indices of the options, the left one first."""

    trial: Trial
    order: tuple[int, int]


class Participants:
    """The participants of the study of one report's folder."""

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        """`limit` is how many trials each participant has.

        Raises ConfigError for files that cannot be used.
        """
        self.folder, self._limit = folder, limit
        self._trials = read_trials(folder)
        self._path = folder / ANSWERS
        self._choices = read_choices(read_private(self._path), self._path)
        self._known = {choice.participant for choice in self._choices}

    def join(self) -> str:
        """A new participant's name."""
        name = secrets.token_hex(8)
        self._known.add(name)
        return name

    def turns(self, participant: str) -> list[Turn]:
        """All trials of a participant, in an order that only the name decides.

        Raises Problem for one unknown.
        """
        if participant not in self._known:
            raise Problem("not_found", "this participant is unknown: start again")
        dice = random.Random(participant)  # the same after a reload, and after a restart
        turns = [Turn(trial, dice.choice(((0, 1), (1, 0)))) for trial in self._trials]
        dice.shuffle(turns)
        return turns[: self._limit]

    def position(self, participant: str) -> int:
        """How many trials a participant has done: the number of the next, from 0."""
        done = {choice.trial for choice in self._choices if choice.participant == participant}
        turns = self.turns(participant)
        return next((i for i, turn in enumerate(turns) if turn.trial.id not in done), len(turns))

    def choose(self, participant: str, number: int, side: int, milliseconds: int, *, familiar: bool) -> None:
        """Keep a choice, at once: `side` is 0 for the left.  Raises Problem for any trial but the next."""
        turns, position = self.turns(participant), self.position(participant)
        if number != position or number >= len(turns):
            raise Problem("not_ready", "this trial is not the next one")
        turn = turns[number]
        option = turn.order[side]
        spent = min(max(milliseconds, 0), _LONGEST)
        choice = Choice(participant, turn.trial.id, option, option == turn.trial.answer, spent, familiar)
        write_private(self._path, [asdict(made) for made in (*self._choices, choice)])
        self._choices.append(choice)  # only a choice on the disk counts

    def picture(self, participant: str, number: int, place: str) -> Path:
        """The file behind a place of a trial, no later one than the next: `shown`, `left` or `right`."""
        turns = self.turns(participant)
        if not 0 <= number < len(turns) or number > self.position(participant):
            raise Problem("not_found")
        turn = turns[number]
        sides = {name: turn.trial.options[i] for name, i in zip(("left", "right"), turn.order, strict=True)}
        name = (sides | {"shown": turn.trial.shown}).get(place)
        if name is None:
            raise Problem("not_found")
        return picture(self.folder, name)  # checked again: the file may have become a link since

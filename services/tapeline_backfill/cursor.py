"""How far a request is: what a worker needs to go on where another, or itself, was killed. Pure.

A window is read in slices, each by one fetch, so that a restart knows its place by a count: a back end gives the same
records for the same slice every time.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tapeline.errors import BadData, Bug
from tapeline.model.backfill import BackEnd as BackEndName
from tapeline.model.backfill import BackfillEvent
from tapeline.model.control import Count, Interval
from tapeline_backfill.windows import Part, merged, without


class _Value(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True, extra="ignore")


class Slice(_Value):
    """A stretch of the window that one fetch brings: `taken` of its records are dealt with.

    `read` and `skipped` are the request's counts when the slice was begun, for when it is begun anew; `cost_micro_usd`
    is what it costs, as was said then.
    """

    interval: Interval
    back_end: BackEndName
    taken: Count = 0
    read: Count = 0
    skipped: Count = 0
    cost_micro_usd: Count = 0


class Cursor(_Value):
    """What is done, the slice in hand, the number of the next frame, and what all slices cost that were begun
    (micro-dollars).

    `since` is an offset of the backfill topic before which no frame of the request counts, and `first` the number of
    the first that does. All of the window is read for the `reads`-th time since it was asked for.
    """

    done: tuple[Interval, ...] = ()
    slice: Slice | None = None
    frame: Count = 0
    first: Count = 0
    since: Count | None = None
    reads: Count = 1
    cost_micro_usd: Count = 0

    @classmethod
    def of(cls, event: BackfillEvent) -> Self:
        """Return the cursor of an event; of one without, the beginning. Raises BadData where it is damaged."""
        if event.cursor is None:
            return cls()
        try:
            return cls.model_validate_json(event.cursor)
        except ValidationError as error:
            raise BadData("cursor", error.errors(include_url=False, include_context=False)[0]["msg"]) from None

    @property
    def in_hand(self) -> Slice:
        """The slice that is being read. Raises Bug where there is none."""
        if self.slice is None:
            raise Bug("no slice is being read")
        return self.slice

    def encode(self) -> str:
        """Return the cursor as the text that events carry."""
        return self.model_dump_json(exclude_defaults=True)

    def remaining(self, window: Interval) -> list[Interval]:
        """Return what of the window is not done, in order."""
        return without([window], self.done)

    def goes_on_in(self, part: Part) -> bool:
        """Return whether the slice in hand is what comes first of a part."""
        held = self.slice
        return (
            held is not None
            and held.back_end == part.way.name
            and held.interval.ts_event_from == part.interval.ts_event_from
            and held.interval.ts_event_until <= part.interval.ts_event_until
        )

    def begin(self, part: Part, longest_ns: int, event: BackfillEvent) -> Cursor:
        """Return the cursor with the slice that is read next: the one in hand where `part` still has it whole.

        Another back end may have another order, so that a count of records says nothing there: the slice is left, and
        what was published of it is found on the tape.
        """
        if self.goes_on_in(part):
            return self
        held, (begin, until) = self.slice, (part.interval.ts_event_from, part.interval.ts_event_until)
        interval = Interval(ts_event_from=begin, ts_event_until=min(until, begin + longest_ns))
        read, skipped = (event.read, event.skipped) if held is None else (held.read, held.skipped)
        return self.model_copy(
            update={"slice": Slice(interval=interval, back_end=part.way.name, read=read, skipped=skipped)}
        )

    def took(self, records: int, frames: int) -> Cursor:
        """Return the cursor after so many more records of the slice, and so many more frames."""
        held = self.in_hand.model_copy(update={"taken": self.in_hand.taken + records})
        return self.model_copy(update={"slice": held, "frame": self.frame + frames})

    def pieces(self, part: Part) -> list[Interval]:
        """Return a part in the pieces whose prices are to be asked for: a slice in hand may be there already."""
        if not self.goes_on_in(part):
            return [part.interval]
        held = self.in_hand.interval
        return [held, *without([part.interval], [held])]

    def due(self, back_end: BackEndName, interval: Interval, price_micro_usd: int) -> int:
        """Return what of the price of a fetch is not counted yet: of the slice in hand it may be.

        Once records of it came they were paid for, and so is what has a price again. A fetch that brought nothing may
        have been paid for or not, so that it counts once however often it is tried.
        """
        held = self.slice
        if held is None or held.taken or (held.back_end, held.interval) != (back_end, interval):
            return price_micro_usd
        return max(0, price_micro_usd - held.cost_micro_usd)

    def pays(self, price_micro_usd: int) -> Cursor:
        """Return the cursor when the slice in hand is about to be fetched at a price."""
        held = self.in_hand
        due = self.due(held.back_end, held.interval, price_micro_usd)
        held = held.model_copy(update={"cost_micro_usd": held.cost_micro_usd + due})
        return self.model_copy(update={"slice": held, "cost_micro_usd": self.cost_micro_usd + due})

    @property
    def sure_micro_usd(self) -> int:
        """What was paid for certain."""
        held = self.slice
        return self.cost_micro_usd - (held.cost_micro_usd if held is not None and not held.taken else 0)

    def finish(self) -> Cursor:
        """Return the cursor after the whole slice."""
        return self.model_copy(update={"done": merged([*self.done, self.in_hand.interval]), "slice": None})

    def anew(self) -> Cursor:
        """Return the cursor that begins the window again; frames are numbered on, and what was spent is spent."""
        return self.model_copy(update={"done": (), "slice": None})

"""Choose the best of several sources' chains of one key: who is eligible, who ranks first, who has to wait. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tapeline.model.chains import MODES, Candidate, Chain, Mode, Selection, Verdict

NO_ELIGIBLE_SOURCE: Final = "no_eligible_source"
"""Flag of a best chain that is only the last one: no source has an eligible one any more."""

NO_SOURCE: Final = "none"
"""What stands for the source where there is none, in changes of source."""

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """When a chain may be the best one.

    `max_age_s` says by mode (``live``), or by source and mode (``databento/live``), how old a chain's data may be; the
    delay that its vendor declares is not counted. A source that ranks before the present one takes over once it has
    done so for `hold_s`.
    """

    max_age_s: Mapping[str, float]
    hold_s: float

    def age_limit_s(self, source: str, mode: Mode) -> float:
        """Return how old a chain of this source and mode may be. Raises KeyError where no limit says so."""
        return self.max_age_s.get(f"{source}/{mode}", self.max_age_s[mode])


@dataclass(frozen=True, slots=True)
class Offer:
    """The newest chain of one source, as far as the choice goes by it."""

    source: str
    mode: Mode
    as_of: int
    delay_s: float
    complete: bool | None
    is_complete_by_definitions: bool
    verdict: Verdict

    @staticmethod
    def of(chain: Chain, verdict: Verdict) -> Offer:
        """Return what counts of a chain and of what the quality rules say of it."""
        return Offer(
            source=chain.source,
            mode=chain.mode,
            as_of=chain.as_of,
            delay_s=chain.delay_s or 0.0,
            complete=chain.complete,
            is_complete_by_definitions=bool(chain.complete) and chain.expected_from == "definitions",
            verdict=verdict,
        )

    @property
    def origin(self) -> str:
        """What people call it: ``barchart/live``."""
        return f"{self.source}/{self.mode}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which source's chain is the best one of a key, and why.

    `is_eligible` is False where it is only the last one that was. `challenged_at` is since when (ns) another one ranks
    before it.
    """

    source: str
    mode: Mode
    is_eligible: bool
    selection: Selection
    challenged_at: int | None = None

    @property
    def origin(self) -> str:
        """Source and mode, or ``none``."""
        return f"{self.source}/{self.mode}" if self.is_eligible else NO_SOURCE

    @staticmethod
    def of(chain: Chain) -> Choice | None:
        """Return the choice that a message of ``md.chains.v1`` tells of, None where it tells of none."""
        if chain.selection is None:
            return None
        return Choice(chain.source, chain.mode, NO_ELIGIBLE_SOURCE not in chain.flags, chain.selection)


def choose(offers: Sequence[Offer], before: Choice | None, *, at_ns: int, limits: Limits) -> Choice | None:
    """Return the best of the offers (one per source) at `at_ns`, None where none is eligible and none ever was.

    A chain is eligible without errors and within its age limit. Eligible ones rank by mode, then by age (what its
    vendor does not delay before what it does, the first half of the limit before the second), completeness (by
    definitions, by the vendor's word, unknown, incomplete) and quality (without warnings first). The present source
    stays while it is eligible and none has ranked before it for `limits.hold_s`.
    """
    standings = {offer.source: _standing(offer, at_ns, limits) for offer in offers}
    eligible = [standing for standing in standings.values() if not standing.fault]
    if not eligible:
        return None if before is None else _last_one(before, standings.values(), at_ns)
    first = min(eligible, key=lambda each: (each.rank, -each.offer.as_of, each.offer.source))
    present = standings.get(before.source) if before is not None and before.is_eligible else None
    if before is None or present is None or present.fault:
        best, challenged_at, held = first, None, ""
    else:
        best, challenged_at = _after_hold(present, first, before, at_ns, limits)
        held_s = 0.0 if challenged_at is None else (at_ns - challenged_at) / _SECOND_NS
        held = f"{held_s:.1f} s so far, of {limits.hold_s:g} s"
    origin = best.offer.origin
    others = sorted((each for each in eligible if each is not best), key=lambda each: (each.rank, each.offer.source))
    return Choice(
        source=best.offer.source,
        mode=best.offer.mode,
        is_eligible=True,
        selection=Selection(
            reason=f"{origin} {_against(best, others[0], held)}" if others else f"{origin} is the only eligible source",
            at=at_ns,
            since=before.selection.since if before is not None and before.origin == origin else at_ns,
            candidates=tuple(
                _candidate(
                    each, at_ns, "chosen" if each is best else each.fault or f"{origin} {_against(best, each, held)}"
                )
                for each in standings.values()
            ),
        ),
        challenged_at=challenged_at,
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """What keeps an offer from being eligible (empty: nothing), and where it ranks, the best one lowest."""

    offer: Offer
    fault: str
    rank: tuple[int, ...]


_CRITERIA: Final = (
    "by its mode",
    "as its data is not delayed",
    "as the other is past half of its age limit",
    "as more vouches for its completeness",
    "as it has no warnings",
)
"""The places of a rank, in words."""


def _standing(offer: Offer, at_ns: int, limits: Limits) -> _Standing:
    age_s, limit_s = _age_s(offer, at_ns) - offer.delay_s, limits.age_limit_s(offer.source, offer.mode)
    faults = []
    if age_s > limit_s:
        faults.append(f"{age_s:,.1f} s old{' beyond its delay' if offer.delay_s else ''}, at most {limit_s:,g} s")
    if offer.verdict.errors:
        faults.append(f"{offer.verdict.errors} errors of the quality rules{_named(offer.verdict)}")
    rank = (
        MODES.index(offer.mode),
        int(offer.delay_s > 0.0),
        int(age_s > limit_s / 2),
        (offer.is_complete_by_definitions, offer.complete is True, offer.complete is None, True).index(True),
        int(offer.verdict.warnings > 0),
    )
    return _Standing(offer, "; ".join(faults), rank)


def _after_hold(
    present: _Standing, first: _Standing, before: Choice, at_ns: int, limits: Limits
) -> tuple[_Standing, int | None]:
    """Return which of the two is chosen, and since when the first has had to wait."""
    if first.rank >= present.rank:
        return present, None
    challenged_at = at_ns if before.challenged_at is None else before.challenged_at
    if at_ns - challenged_at >= limits.hold_s * _SECOND_NS:
        return first, None
    return present, challenged_at


def _last_one(before: Choice, standings: Iterable[_Standing], at_ns: int) -> Choice:
    reason = f"no source is eligible; the last one that was is {before.source}/{before.mode}"
    since = at_ns if before.is_eligible else before.selection.since
    candidates = tuple(_candidate(standing, at_ns, standing.fault) for standing in standings)
    return Choice(before.source, before.mode, False, Selection(reason, at_ns, since, candidates))


def _against(best: _Standing, other: _Standing, held: str) -> str:
    """Say what puts the best before another eligible one. `held`: how long that one ranks first already."""
    if best.rank == other.rank:
        return f"ranks with {other.offer.origin}, and {'was there first' if held else 'is younger'}"
    if best.rank > other.rank:
        return f"stays for now, though {other.offer.origin} ranks before it: {held}"
    places = zip(best.rank, other.rank, _CRITERIA, strict=True)
    criterion = next(words for own, others, words in places if own != others)
    return f"ranks before {other.offer.origin} {criterion}"


def _candidate(standing: _Standing, at_ns: int, remark: str) -> Candidate:
    offer = standing.offer
    return Candidate(
        source=offer.source,
        mode=offer.mode,
        as_of=offer.as_of,
        age_s=round(_age_s(offer, at_ns), 3),
        complete=offer.complete,
        errors=offer.verdict.errors,
        warnings=offer.verdict.warnings,
        eligible=not standing.fault,
        remark=remark,
    )


def _named(verdict: Verdict) -> str:
    return f" ({', '.join(verdict.rules)})" if verdict.rules else ""


def _age_s(offer: Offer, at_ns: int) -> float:
    return (at_ns - offer.as_of) / _SECOND_NS

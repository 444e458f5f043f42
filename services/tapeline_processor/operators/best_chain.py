"""The best chain operator: chains of all sources in; the best one per key out, checked, when it changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tapeline.model.chain_codec import encode_chain
from tapeline.model.chain_quality import encode_chain_quality
from tapeline.model.chains import BEST_TOPIC, Chain
from tapeline.model.events import FeedEvent, encode_event
from tapeline.model.quality import TOPIC as QUALITY_TOPIC
from tapeline.ops.logs import get_logger
from tapeline.quality.best import NO_ELIGIBLE_SOURCE, NO_SOURCE, Choice, Limits, Offer, choose
from tapeline.quality.chains import ChainLimits, ChainReport, check_calendar, check_chain
from tapeline_processor.operators.assembly import complete

log = get_logger("processor.best_chain")

EVENTS_TOPIC: Final = "md.feed-events.v1"
SOURCE: Final = "processor"
"""Whose events changes of source are."""

QUALITY_INTERVAL_NS: Final = 60 * 10**9
"""So often the quality of a chain is told of where the findings stay the same."""
FAULTLESS_INTERVAL_NS: Final = 3_600 * 10**9
"""So often where there is nothing to find."""


class Output(NamedTuple):
    """A message about a key of this partition: topic without namespace, key, value."""

    partition: int
    topic: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A source's newest chain, with forward and volatilities, and what the quality rules say of it."""

    chain: Chain
    report: ChainReport
    offer: Offer


@dataclass(slots=True)
class Contest:
    """The chains of one key, up to its expiry (ns).

    `told` is what the last best chain was made of, `last` that message itself; `checks` is per source what was told of
    its quality, and when (ns); `untold` are the sources of which there is a newer chain.
    """

    partition: int
    expiry: int
    offers: dict[str, Checked] = field(default_factory=dict)
    choice: Choice | None = None
    last: Chain | None = None
    told: tuple[object, ...] = ()
    checks: dict[str, tuple[frozenset[tuple[str, str]], int]] = field(default_factory=dict)
    untold: set[str] = field(default_factory=set)


class BestChains:
    """All keys that a worker judges. Calls that may take milliseconds; any one thread at a time.

    `rate` is the interest rate (continuous, per year) for chains that come without forward and volatilities, and
    `session` names this worker's run in its events.
    """

    def __init__(self, limits: Limits, chain_limits: ChainLimits, *, rate: float, session: str) -> None:
        self._limits = limits
        self._chain_limits = chain_limits
        self._rate = rate
        self._session = session
        self._contests: dict[str, Contest] = {}

    @property
    def keys(self) -> int:
        """How many keys are judged."""
        return len(self._contests)

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget the keys of all partitions but these."""
        kept = set(partitions)
        self._contests = {key: contest for key, contest in self._contests.items() if contest.partition in kept}

    def resume(self, partition: int, best: Chain) -> None:
        """Go on from the last best chain that there is of a key."""
        contest = self._contests.setdefault(best.key, Contest(partition, best.expiry))
        contest.choice, contest.last, contest.told = Choice.of(best), best, _told(best)

    def take(self, partition: int, chain: Chain, at_ns: int) -> None:
        """Take in a source's chain, unless a newer one is there."""
        contest = self._contests.setdefault(chain.key, Contest(partition, chain.expiry))
        known = contest.offers.get(chain.source)
        if known is not None and known.chain.published_at > chain.published_at:
            return
        if chain.forward is None or "iv_mid" not in chain.computed:
            chain = complete(chain, rate=self._rate)
        report = check_chain(chain, at_ns=at_ns, limits=self._chain_limits)
        contest.offers[chain.source] = Checked(chain, report, Offer.of(chain, report.verdict))
        contest.untold.add(chain.source)

    def judge(self, at_ns: int) -> Iterator[Output]:
        """Judge every key at `at_ns`; yield best chains, changes of source and quality. Expired keys end."""
        chosen: dict[str, Checked] = {}
        for key, contest in list(self._contests.items()):
            if contest.expiry <= at_ns:
                del self._contests[key]
                continue
            before = contest.choice
            offers = [checked.offer for checked in contest.offers.values()]
            contest.choice = choose(offers, before, at_ns=at_ns, limits=self._limits)
            yield from self._change(key, contest, before, at_ns)
            if contest.choice is not None and contest.choice.is_eligible:
                chosen[key] = contest.offers[contest.choice.source]
        calendar: Mapping[str, ChainReport] = {}
        due = [key for key, checked in chosen.items() if self._contests[key].told != _told(checked.chain)]
        if due:
            alike = {chosen[key].chain.underlying for key in due}
            chains = [checked.chain for checked in chosen.values() if checked.chain.underlying in alike]
            calendar = check_calendar(chains, at_ns=at_ns, limits=self._chain_limits)
        for key in due:
            yield from self._publish(key, chosen[key], calendar.get(key), at_ns)
        for key, contest in self._contests.items():
            yield from self._last_one(key, contest, at_ns)
            best = chosen.get(key)
            for source in sorted(contest.untold):
                checked = contest.offers[source]
                report = checked.report
                if checked is best and key in calendar:
                    report = report.with_calendar(calendar[key])
                yield from _quality(contest, checked.chain, report, at_ns)
            contest.untold.clear()

    def _publish(self, key: str, checked: Checked, calendar: ChainReport | None, at_ns: int) -> Iterator[Output]:
        contest, chain = self._contests[key], checked.chain
        report = checked.report if calendar is None else checked.report.with_calendar(calendar)
        best = replace(
            chain,
            published_at=at_ns,
            contracts=replace(chain.contracts, flags=chain.contracts.flags | report.flags),
            verdict=report.verdict,
            selection=None if contest.choice is None else contest.choice.selection,
        )
        contest.last, contest.told = best, _told(chain)
        yield Output(contest.partition, BEST_TOPIC, key, encode_chain(best))

    def _last_one(self, key: str, contest: Contest, at_ns: int) -> Iterator[Output]:
        choice, last = contest.choice, contest.last
        if choice is None or choice.is_eligible or last is None or NO_ELIGIBLE_SOURCE in last.flags:
            return
        flags = (*last.flags, NO_ELIGIBLE_SOURCE)
        contest.last = replace(last, published_at=at_ns, flags=flags, selection=choice.selection)
        yield Output(contest.partition, BEST_TOPIC, key, encode_chain(contest.last))

    def _change(self, key: str, contest: Contest, before: Choice | None, at_ns: int) -> Iterator[Output]:
        now = contest.choice
        was, origin = (NO_SOURCE if choice is None else choice.origin for choice in (before, now))
        if now is None or was == origin:
            return
        reason = now.selection.reason
        log.info("source_changed", chain=key, was=was, now=origin, reason=reason)
        event = FeedEvent(
            type="source_changed",
            source=SOURCE,
            stream=key,
            session=self._session,
            epoch=0,
            at=at_ns,
            reason=reason,
            was=was,
            now=origin,
        )
        yield Output(contest.partition, EVENTS_TOPIC, event.key, encode_event(event))


def _told(chain: Chain) -> tuple[object, ...]:
    """Return by what a chain differs from the ones that were told before."""
    return chain.source, chain.mode, chain.as_of, chain.fetched_at


def _quality(contest: Contest, chain: Chain, report: ChainReport, at_ns: int) -> Iterator[Output]:
    findings = frozenset((finding.rule, finding.severity) for finding in report.findings)
    told, told_at = contest.checks.get(chain.source, (None, 0))
    verdict = report.verdict
    interval_ns = QUALITY_INTERVAL_NS if verdict.errors or verdict.warnings else FAULTLESS_INTERVAL_NS
    if findings == told and at_ns - told_at < interval_ns:
        return
    contest.checks[chain.source] = findings, at_ns
    yield Output(contest.partition, QUALITY_TOPIC, chain.key, encode_chain_quality(report.event(chain, at_ns)))

"""The metrics of a sample, under the names that dashboards and alert rules already ask for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tapeline.bus.groups import ClusterState
from tapeline.model.coverage import GapStage
from tapeline.model.incidents import Incident, IncidentType
from tapeline.ops import metrics
from tapeline.ops.metrics import Sampled
from tapeline_watchdog.feeds import FeedKey, FeedReport, FeedRow
from tapeline_watchdog.gaps import GapReport
from tapeline_watchdog.lag import GroupLag, LagReport, messages_of, seconds_of
from tapeline_watchdog.lane import FeedState
from tapeline_watchdog.workers import StuckWorker

Row = tuple[Sampled, tuple[object, ...], float]
"""A gauge, the values of its labels, and its own."""

_SAMPLED = [value for value in vars(metrics).values() if isinstance(value, Sampled)]


def rows(report: LagReport, stuck: Collection[StuckWorker], cluster_name: str) -> Iterator[Row]:
    """Yield every gauge's values.

    Partitions that a group has never committed have no offsets and no lag in messages, as dashboards expect it; how
    those fare that it holds is told all the same.
    """
    yield from _cluster_rows(report.cluster)
    held = dict.fromkeys(report.groups, 0)
    for worker in stuck:
        held[worker.group] += len(worker.partitions)
    for group in report.groups.values():
        yield from _group_rows(group)
        yield from _judged_rows(group, cluster_name)
        yield metrics.STUCK_PARTITIONS, (group.group,), held[group.group]


def feed_rows(report: FeedReport) -> Iterator[Row]:
    """Yield every gauge's values of feeds, as of the report."""
    reconnects: dict[tuple[str, str], int] = {}
    for row in report.rows:
        key = row.key
        reconnects[key.source, key.stream] = max(row.reconnects, reconnects.get((key.source, key.stream), 0))
        for state in FeedState:
            yield metrics.FEED_STATE, (*key, state), state is row.state
        for flag in row.flags:
            yield metrics.FEED_FLAG, (*key, flag.name), 1
        yield metrics.FEED_SILENCE_SECONDS, key, row.silence_ns / 1e9
        if row.silence_limit_ns is not None:
            yield metrics.FEED_SILENCE_LIMIT_SECONDS, key, row.silence_limit_ns / 1e9
        if row.heard_ns is not None:
            yield metrics.FEED_HEARTBEAT_AGE_SECONDS, key, (report.at_ns - row.heard_ns) / 1e9
        if row.rate is not None:
            yield metrics.FEED_RATE_RATIO, key, row.rate.ratio
        yield from _latency_rows(row)
    for stream, count in reconnects.items():
        yield metrics.FEED_RECONNECTS, stream, count


def gap_rows(report: GapReport) -> Iterator[Row]:
    """Yield every gauge's values of gaps, as of the report."""
    stages: dict[FeedKey, Counter[str]] = defaultdict(Counter)
    missing: dict[FeedKey, list[tuple[int, int]]] = defaultdict(list)
    for gap, missing_ns in report.gaps:
        stages[gap.key][gap.stage] += 1
        if gap.is_missing and gap.stage != "given_up":
            missing[gap.key].append((gap.opened_at, missing_ns))
    for key, counts in stages.items():
        for stage in get_args(GapStage):
            yield metrics.GAPS_KNOWN, (*key, stage), counts[stage]
        yield metrics.GAP_MISSING_SECONDS, key, sum(each for _, each in missing[key]) / 1e9
        oldest_ns = min((at for at, _ in missing[key]), default=report.at_ns)
        yield metrics.GAP_OLDEST_SECONDS, key, max(0, report.at_ns - oldest_ns) / 1e9


def incident_rows(incidents: Iterable[Incident]) -> Iterator[Row]:
    """Yield how many incidents are open, by type and severity."""
    is_open = Counter((each.type, each.severity) for each in incidents if each.state == "open")
    for kind in get_args(IncidentType):
        for severity in ("warning", "critical"):
            yield metrics.OPEN_INCIDENTS, (kind, severity), is_open[kind, severity]


@contextmanager
def exported(values: Callable[[], Iterable[Row]], registry: CollectorRegistry) -> Iterator[None]:
    """Let scrapes of the registry read `values`, for as long as the block lasts."""
    collector = _Collector(values)
    registry.register(collector)
    try:
        yield
    finally:
        registry.unregister(collector)


class _Collector(Collector):
    def __init__(self, values: Callable[[], Iterable[Row]]) -> None:
        self._values = values

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [_family(gauge) for gauge in _SAMPLED]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for gauge, labels, value in self._values():
            family = families.setdefault(gauge.name, _family(gauge))
            family.add_metric([str(label) for label in labels], value)
        return families.values()


def _family(gauge: Sampled) -> GaugeMetricFamily:
    return GaugeMetricFamily(gauge.name, gauge.documentation, labels=gauge.labels)


def _latency_rows(row: FeedRow) -> Iterator[Row]:
    if row.latency is None:
        return
    for gauge, p50_ns, p99_ns in (
        (metrics.FEED_LATENCY_SECONDS, row.latency.p50_ns, row.latency.p99_ns),
        (metrics.FEED_IN_DELTA_SECONDS, row.latency.ts_in_delta_p50_ns, row.latency.ts_in_delta_p99_ns),
    ):
        for quantile, value_ns in (("0.5", p50_ns), ("0.99", p99_ns)):
            if value_ns is not None:
                yield gauge, (*row.key, quantile), value_ns / 1e9


def _cluster_rows(cluster: ClusterState) -> Iterator[Row]:
    yield metrics.KAFKA_BROKERS, (), cluster.brokers
    partitions: dict[str, int] = defaultdict(int)
    for place, state in cluster.partitions.items():
        partitions[place[0]] += 1
        if state.end is not None:
            yield metrics.KAFKA_PARTITION_CURRENT_OFFSET, place, state.end
        if state.oldest is not None:
            yield metrics.KAFKA_PARTITION_OLDEST_OFFSET, place, state.oldest
        yield metrics.KAFKA_PARTITION_LEADER, place, state.leader
        yield metrics.KAFKA_PARTITION_LEADER_IS_PREFERRED, place, state.replicas[:1] == (state.leader,)
        yield metrics.KAFKA_PARTITION_REPLICAS, place, len(state.replicas)
        yield metrics.KAFKA_PARTITION_IN_SYNC_REPLICA, place, len(state.in_sync)
        yield metrics.KAFKA_PARTITION_UNDER_REPLICATED, place, len(state.in_sync) < len(state.replicas)
    for topic, count in partitions.items():
        yield metrics.KAFKA_TOPIC_PARTITIONS, (topic,), count


def _group_rows(group: GroupLag) -> Iterator[Row]:
    yield metrics.KAFKA_GROUP_MEMBERS, (group.group,), len(group.members)
    for topic, partitions in group.topics.items():
        committed = {each: each.committed for each in partitions if each.committed is not None}
        if not committed:
            continue
        yield metrics.KAFKA_GROUP_CURRENT_OFFSET_SUM, (group.group, topic), sum(committed.values())
        yield metrics.KAFKA_GROUP_LAG_SUM, (group.group, topic), messages_of(tuple(committed))
        for partition, offset in committed.items():
            labels = (group.group, topic, partition.partition)
            yield metrics.KAFKA_GROUP_CURRENT_OFFSET, labels, offset
            yield metrics.KAFKA_GROUP_LAG, labels, partition.messages


def _judged_rows(group: GroupLag, cluster_name: str) -> Iterator[Row]:
    yield metrics.BURROW_GROUP_STATUS, (cluster_name, group.group), group.status
    seconds = seconds_of(group.partitions)
    if seconds is not None:
        yield metrics.KAFKA_GROUP_MAX_LAG_SECONDS, (cluster_name, group.group), seconds
    for partition in group.partitions:
        labels = (cluster_name, group.group, partition.topic, partition.partition)
        yield metrics.BURROW_PARTITION_STATUS, labels, partition.status
        if partition.seconds is not None:
            owner = partition.owner
            held_by = ("", "", "") if owner is None else (owner.host, owner.member_id, owner.client_id)
            yield metrics.KAFKA_GROUP_LAG_SECONDS, (*labels, *held_by), partition.seconds

"""Whether the processor keeps up with live ticks: backfills wait while it does not."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.groups import ClusterState, Groups
from tapeline.bus.record_times import RecordTimes, Stretch
from tapeline.bus.tail import ticks_topic
from tapeline_backfill.settings import BackfillSettings

PROCESSOR_GROUP: Final = "tapeline-processor"
_CLIENT_ID: Final = "tapeline-backfill-lag"


class LiveLag:
    """How far the processor is behind with the live ticks of one source. Close it when done."""

    def __init__(self, bootstrap: str, source: str, settings: BackfillSettings) -> None:
        self._settings = settings
        self._topic = topic = ticks_topic(source)
        group = namespaced(PROCESSOR_GROUP)
        self._group = group
        self._groups = Groups(
            bootstrap, _CLIENT_ID, wants_group=lambda name: name == group, wants_topic=lambda name: name == topic
        )
        self._times = RecordTimes(bootstrap, _CLIENT_ID)
        self._looked_s: float | None = None
        self._reason = ""

    async def reason_to_wait(self) -> str:
        """Return why a backfill waits now, empty: it does not; looks at the cluster every `lag_interval_s`.

        Raises BrokerUnavailable.
        """
        now_s = time.monotonic()
        if self._looked_s is None or now_s - self._looked_s >= self._settings.lag_interval_s:
            self._reason = await asyncio.to_thread(self._look)
            self._looked_s = time.monotonic()
        return self._reason

    async def close(self) -> None:
        """Leave the broker."""
        await asyncio.to_thread(self._times.close)

    def _look(self) -> str:
        stretches = unread(self._groups.read(), self._group)
        messages = sum(each.end - each.begin for each in stretches)
        if messages > self._settings.lag_limit_messages:
            return f"the processor is {messages:,} messages behind on {self._topic}"
        found = self._times.read(stretches) if stretches else {}
        seconds = max((times.seconds for times in found.values() if times is not None), default=0.0)
        if seconds > self._settings.lag_limit_s:
            return f"the processor is {seconds:.0f} s behind on {self._topic}"
        return ""


def unread(cluster: ClusterState, group: str) -> list[Stretch]:
    """Return what a group has not read yet of the partitions that it has committed; nothing while it has no members.

    Pure.
    """
    state = cluster.groups.get(group)
    if state is None or not state.members:
        return []
    stretches = []
    for (topic, partition), committed in sorted(state.committed.items()):
        found = cluster.partitions.get((topic, partition))
        if found is None or found.end is None or found.oldest is None:
            continue
        begin = max(committed, found.oldest)
        if begin < found.end:
            stretches.append(Stretch(topic, partition, begin, found.end))
    return stretches

"""Faust as this service uses it: built without its command line, and without what it would keep in files."""

from __future__ import annotations

from typing import Final

import faust
from faust.app.base import BootStrategy
from yarl import URL

from tapeline.bus.bootstrap import namespaced
from tapeline_processor.partitions import Partitions
from tapeline_processor.settings import ProcessorSettings
from tapeline_processor.transport import Transport

GROUP = "tapeline-processor"

_REQUEST_TIMEOUT_S: Final = 90.0
"""Faust's own default."""


class App(faust.App):
    """A Faust app that keeps no files: there are no tables."""

    def _create_directories(self) -> None:
        """Create nothing; the original leaves an empty folder where it is started."""


def build_app(settings: ProcessorSettings, servers: str, partitions: Partitions) -> App:
    """Return the app with transport and settings, without agents. Must be called in a running event loop."""
    app = App(
        namespaced(GROUP),
        broker=[URL(f"kafka://{server}") for server in servers.split(",")],
        broker_client_id=GROUP,
        broker_session_timeout=settings.session_timeout_s,
        # A request to join a group may take as long as the session, and Kafka's client refuses a shorter limit.
        broker_request_timeout=max(_REQUEST_TIMEOUT_S, 2 * settings.session_timeout_s),
        broker_heartbeat_interval=min(3.0, settings.session_timeout_s / 3),
        broker_rebalance_timeout=max(settings.session_timeout_s, settings.restore_timeout_s),
        broker_max_poll_records=settings.buffered_frames,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance_id or None,
        consumer_max_fetch_size=settings.fetch_partition_bytes,
        stream_buffer_maxsize=settings.buffered_frames,
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        autodiscover=False,
        web_enabled=False,
    )
    # Rows and checkpoints go through the bus.
    app.boot_strategy = BootStrategy(app, enable_kafka_producer=False)
    app.transport = Transport(
        app.conf.broker_consumer, app, restore=partitions.restore, fetch_max_wait_ms=settings.fetch_max_wait_ms
    )
    return app

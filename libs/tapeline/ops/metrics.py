"""Every Prometheus metric of Tapeline, declared once. Dashboards and alerts use only these names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Every service
EVENT_LOOP_DELAY_SECONDS: Final = Histogram(
    "tapeline_event_loop_delay_seconds", "How late the event loop ran a timer", buckets=_LATENCY_BUCKETS
)

# Producers
TICKS: Final = Counter("tapeline_producer_ticks", "Ticks put into frames", ["source", "stream", "kind"])
FRAMES: Final = Counter("tapeline_producer_frames", "Frames handed to the publisher", ["source", "stream", "kind"])
SESSIONS: Final = Counter("tapeline_producer_sessions", "Vendor sessions begun", ["source", "stream"])
REPEATED_TICKS: Final = Counter(
    "tapeline_producer_repeated_ticks", "Ticks sent again that were on the tape", ["source", "stream", "kind"]
)
GAPS: Final = Counter("tapeline_producer_gaps", "Gaps opened", ["source", "stream", "kind"])
RECONNECTS: Final = Counter("tapeline_producer_reconnects", "Sessions that broke, or never began", ["source", "line"])
RECEIVE_PAUSES: Final = Counter(
    "tapeline_producer_receive_pauses", "Times the full receive buffer stopped reading the socket", ["source", "line"]
)
SLOW_READER_WARNINGS: Final = Counter(
    "tapeline_producer_slow_reader_warnings", "Times the vendor said that it is read too slowly", ["source", "line"]
)
UNRESOLVED_SYMBOLS: Final = Counter(
    "tapeline_producer_unresolved_symbols", "Symbols that the vendor does not know", ["source", "line"]
)
DOUBTFUL_BOOKS: Final = Counter(
    "tapeline_producer_doubtful_books", "Order books that the vendor may have lost records of", ["source", "line"]
)

CHAINS: Final = Counter("tapeline_producer_chains", "Option chains handed to the publisher", ["source", "mode"])
FAILED_FETCHES: Final = Counter("tapeline_producer_failed_fetches", "Fetches without a result", ["source", "error"])

# Cache
CACHE_HITS: Final = Counter("tapeline_cache_hits", "Files of the cache that were used", ["source"])
CACHE_MISSES: Final = Counter("tapeline_cache_misses", "Files that had to be fetched", ["source"])
CACHE_CORRUPT: Final = Counter("tapeline_cache_corrupt", "Files set aside: damaged, or half written", ["source"])

# Publisher
PUBLISHED: Final = Counter("tapeline_publisher_delivered", "Messages that Kafka has acknowledged", ["topic"])
UNDELIVERED: Final = Counter("tapeline_publisher_undelivered", "Messages that Kafka has not taken", ["topic"])
PUBLISHER_WAITS: Final = Counter("tapeline_publisher_waits", "Times the full queue stopped its caller")
PUBLISHER_QUEUED_BYTES: Final = Gauge("tapeline_publisher_queued_bytes", "Bytes handed over and not yet acknowledged")

# Processor
PROCESSED_TICKS: Final = Counter("tapeline_processor_ticks", "Ticks applied", ["topic"])
PROCESSED_FRAMES: Final = Counter("tapeline_processor_frames", "Frames applied", ["topic"])
PRESSURE_ROWS: Final = Counter("tapeline_processor_pressure_rows", "Pressure rows sent", ["topic"])
DEAD_LETTERS: Final = Counter("tapeline_dead_letters", "Messages set aside as bad data", ["topic"])
READ_MESSAGES: Final = Counter(
    "tapeline_processor_read_messages", "Messages read from topics other than ticks", ["topic"]
)
OPTION_FLOW_ROWS: Final = Counter("tapeline_processor_option_flow_rows", "Option flow rows sent", ["topic"])
LIVE_CHAINS: Final = Counter("tapeline_processor_live_chains", "Chains assembled from ticks and sent", ["source"])
BEST_CHAINS: Final = Counter("tapeline_processor_best_chains", "Best chains sent")
CHAINS_JUDGED: Final = Gauge("tapeline_processor_chains_judged", "Keys of chains whose best this worker judges")
CHECKPOINTS: Final = Counter("tapeline_processor_checkpoints", "Checkpoints written", ["topic"])
CHECKPOINT_SECONDS: Final = Histogram(
    "tapeline_processor_checkpoint_seconds", "Time to pack and write a checkpoint", buckets=_LATENCY_BUCKETS
)

# Backfill
BACKFILL_REQUESTS: Final = Gauge("tapeline_backfill_requests", "Requests by the type of their last event", ["state"])
BACKFILL_PUBLISHED: Final = Counter("tapeline_backfill_records", "Records put on the tape afterwards", ["source"])
BACKFILL_SKIPPED: Final = Counter("tapeline_backfill_skipped_records", "Records that were on the tape", ["source"])
BACKFILL_PAUSED_SECONDS: Final = Counter(
    "tapeline_backfill_paused_seconds", "Time for which the processor's lag held backfills up", ["source"]
)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A gauge that a scrape reads from the last sample of a cluster, so that what has gone from there is gone here."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()


# Watchdog
SAMPLE_SECONDS: Final = Histogram(
    "tapeline_watchdog_sample_seconds", "Time to read groups, offsets and times of records", buckets=_LATENCY_BUCKETS
)
FAILED_SAMPLES: Final = Counter("tapeline_watchdog_failed_samples", "Samples that the cluster did not answer in time")
STUCK_PARTITIONS: Final = Sampled(
    "tapeline_watchdog_stuck_partitions", "Partitions held by a worker that does not move", ("consumergroup",)
)

# Watchdog, of feeds
_FEED: Final = ("source", "stream", "kind")
FEED_EVENTS: Final = Counter("tapeline_watchdog_feed_events", "Feed events read")
BAD_FEED_EVENTS: Final = Counter("tapeline_watchdog_bad_feed_events", "Feed events that break a rule: left out")
FEED_STATE: Final = Sampled("tapeline_feed_state", "1 for the state that a feed is in", (*_FEED, "state"))
FEED_FLAG: Final = Sampled("tapeline_feed_flag", "1 for what is wrong with a feed", (*_FEED, "flag"))
FEED_SILENCE_SECONDS: Final = Sampled(
    "tapeline_feed_silence_seconds", "Open market since the last tick or the connection", _FEED
)
FEED_SILENCE_LIMIT_SECONDS: Final = Sampled(
    "tapeline_feed_silence_limit_seconds", "Longest silence that is not strange at this time", _FEED
)
FEED_HEARTBEAT_AGE_SECONDS: Final = Sampled(
    "tapeline_feed_heartbeat_age_seconds", "Time since the last heartbeat", _FEED
)
FEED_RATE_RATIO: Final = Sampled("tapeline_feed_rate_ratio", "Ticks of what usually comes at this time", _FEED)
FEED_LATENCY_SECONDS: Final = Sampled(
    "tapeline_feed_latency_seconds", "From the venue's time until here, in the last minute", (*_FEED, "quantile")
)
FEED_IN_DELTA_SECONDS: Final = Sampled(
    "tapeline_feed_ts_in_delta_seconds", "From the exchange's sending until the vendor's receipt", (*_FEED, "quantile")
)
FEED_RECONNECTS: Final = Sampled("tapeline_feed_reconnects", "Reconnects that were heard of", ("source", "stream"))

# Watchdog, of gaps
GAPS_KNOWN: Final = Sampled("tapeline_gaps", "Gaps by their stage", (*_FEED, "stage"))
GAP_MISSING_SECONDS: Final = Sampled(
    "tapeline_gap_missing_seconds", "Open market within gaps that are neither filled nor given up", _FEED
)
GAP_OLDEST_SECONDS: Final = Sampled(
    "tapeline_gap_oldest_seconds", "Time since the first gap opened that is neither filled nor given up", _FEED
)
REQUESTED_GAPS: Final = Counter("tapeline_watchdog_requested_gaps", "Gaps asked for", ["source"])
COVERAGE_TOLD: Final = Counter("tapeline_watchdog_coverage_told", "Messages of coverage")
BAD_GAP_MESSAGES: Final = Counter(
    "tapeline_watchdog_bad_gap_messages", "Messages about gaps that break a rule: left out", ["topic"]
)

# Watchdog, of its page
PAGE_CLIENTS: Final = Gauge("tapeline_watchdog_page_clients", "Clients of the page's stream")
PAGE_CLIENTS_REFUSED: Final = Counter("tapeline_watchdog_page_clients_refused", "Clients above the limit")
SLOW_PAGE_CLIENTS: Final = Counter("tapeline_watchdog_slow_page_clients", "Clients cut off as they took nothing")
BAD_PAGE_MESSAGES: Final = Counter(
    "tapeline_watchdog_bad_page_messages", "Messages that the page cannot show: left out", ["topic"]
)

# Watchdog, of incidents
OPEN_INCIDENTS: Final = Sampled("tapeline_open_incidents", "Incidents that are open", ("type", "severity"))
WEBHOOK_POSTS: Final = Counter(
    "tapeline_watchdog_webhook_posts",
    "Messages to webhooks by what became of them: taken, failed (tried again), given_up, dropped",
    ["webhook", "outcome"],
)

# Watchdog, of costs
_LINE: Final = ("source", "line", "notional")
COST_TODAY_USD: Final = Sampled("tapeline_cost_today_usd", "Cost of today, with a day's share of a fee", _LINE)
COST_MONTH_USD: Final = Sampled("tapeline_cost_month_usd", "Owed for this month by now, fees whole", _LINE)
COST_PROJECTED_USD: Final = Sampled("tapeline_cost_projected_usd", "Owed for this month by its end", _LINE)
COST_BUDGET_USD: Final = Sampled("tapeline_cost_budget_usd", "Budget of a month, of a source or of all", ("scope",))
COST_BUDGET_RATIO: Final = Sampled(
    "tapeline_cost_budget_ratio", "What is spent, or projected, of a budget", ("scope", "basis")
)
COST_CACHE_HIT_RATIO: Final = Sampled(
    "tapeline_cost_cache_hit_ratio", "Hits of what was asked of a cache this month", ("source", "line")
)
COST_CACHE_SAVED_USD: Final = Sampled(
    "tapeline_cost_cache_saved_usd", "What this month's hits would have cost", ("source", "line")
)
COST_ADVISED_SAVING_USD: Final = Sampled(
    "tapeline_cost_advised_saving_usd", "What all advice would save in a month like this one"
)

# Watchdog, under the names of kafka_exporter, which dashboards and alert rules ask for
_PARTITION: Final = ("topic", "partition")
_OF_GROUP: Final = ("consumergroup", "topic", "partition")
KAFKA_BROKERS: Final = Sampled("kafka_brokers", "Brokers of the cluster")
KAFKA_TOPIC_PARTITIONS: Final = Sampled("kafka_topic_partitions", "Partitions of a topic", ("topic",))
KAFKA_PARTITION_CURRENT_OFFSET: Final = Sampled(
    "kafka_topic_partition_current_offset", "Offset after the last record that may be read", _PARTITION
)
KAFKA_PARTITION_OLDEST_OFFSET: Final = Sampled(
    "kafka_topic_partition_oldest_offset", "First offset that is still kept", _PARTITION
)
KAFKA_PARTITION_LEADER: Final = Sampled("kafka_topic_partition_leader", "Broker that leads; -1: none", _PARTITION)
KAFKA_PARTITION_LEADER_IS_PREFERRED: Final = Sampled(
    "kafka_topic_partition_leader_is_preferred", "1 where the first replica leads", _PARTITION
)
KAFKA_PARTITION_REPLICAS: Final = Sampled("kafka_topic_partition_replicas", "Replicas", _PARTITION)
KAFKA_PARTITION_IN_SYNC_REPLICA: Final = Sampled(
    "kafka_topic_partition_in_sync_replica", "Replicas that are in sync", _PARTITION
)
KAFKA_PARTITION_UNDER_REPLICATED: Final = Sampled(
    "kafka_topic_partition_under_replicated_partition", "1 where replicas are not in sync", _PARTITION
)
KAFKA_GROUP_CURRENT_OFFSET: Final = Sampled("kafka_consumergroup_current_offset", "Committed offset", _OF_GROUP)
KAFKA_GROUP_CURRENT_OFFSET_SUM: Final = Sampled(
    "kafka_consumergroup_current_offset_sum", "Committed offsets of all partitions", ("consumergroup", "topic")
)
KAFKA_GROUP_LAG: Final = Sampled("kafka_consumergroup_lag", "Messages that are left to be read", _OF_GROUP)
KAFKA_GROUP_LAG_SUM: Final = Sampled(
    "kafka_consumergroup_lag_sum", "Messages that are left to be read of all partitions", ("consumergroup", "topic")
)
KAFKA_GROUP_MEMBERS: Final = Sampled("kafka_consumergroup_members", "Members of a group", ("consumergroup",))

# Watchdog, under the names of kafka-lag-exporter
KAFKA_GROUP_LAG_SECONDS: Final = Sampled(
    "kafka_consumergroup_group_lag_seconds",
    "Time from the first to the last record that is left to be read, by the records",
    ("cluster_name", "group", "topic", "partition", "member_host", "consumer_id", "client_id"),
)
KAFKA_GROUP_MAX_LAG_SECONDS: Final = Sampled(
    "kafka_consumergroup_group_max_lag_seconds", "The largest of a group's lags in seconds", ("cluster_name", "group")
)

# Watchdog, under the names of Burrow
BURROW_GROUP_STATUS: Final = Sampled(
    "burrow_kafka_consumer_status", "1 OK, 2 WARN, 3 ERR", ("cluster", "consumer_group")
)
BURROW_PARTITION_STATUS: Final = Sampled(
    "burrow_kafka_topic_partition_status",
    "1 OK, 2 WARN, 4 STOP, 5 STALL, 6 REWIND",
    ("cluster", "consumer_group", "topic", "partition"),
)

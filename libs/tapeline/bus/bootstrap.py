"""Where the broker is, and what topics, groups and transactional ids are called on it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

import orjson

from tapeline.errors import Misconfigured
from tapeline.ops.state import state_folder

DEFAULT_BOOTSTRAP_SERVERS: Final = "127.0.0.1:9092"
_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def bootstrap_servers(environment: Mapping[str, str] = os.environ) -> str:
    """Return the brokers' addresses as ``host:port[,host:port]``.

    In this order: KAFKA_BOOTSTRAP_SERVERS; `bootstrap_servers` in `kafka.json` of the state folder (TAPELINE_STATE_DIR,
    default `.tapeline`), which `tapeline kafka up` writes; `DEFAULT_BOOTSTRAP_SERVERS`.
    Raises Misconfigured where that file is damaged.
    """
    if named := environment.get("KAFKA_BOOTSTRAP_SERVERS", "").strip():
        return named
    path = state_folder(environment) / "kafka.json"
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return DEFAULT_BOOTSTRAP_SERVERS
    except ValueError as error:
        raise Misconfigured(f"{path} is not JSON ({error}); run `tapeline kafka up` again") from None
    servers = document.get("bootstrap_servers") if isinstance(document, dict) else None
    if not isinstance(servers, str) or not servers:
        raise Misconfigured(f"{path} names no bootstrap_servers; run `tapeline kafka up` again")
    return servers


def namespaced(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the name that a topic, group or transactional id has on the broker: ``<TAPELINE_NAMESPACE>.<name>``.

    Without a namespace it is `name` itself. Raises Misconfigured where Kafka would not take the namespace.
    """
    namespace = environment.get("TAPELINE_NAMESPACE", "")
    if not namespace:
        return name
    if not _NAMESPACE.fullmatch(namespace):
        raise Misconfigured(f"TAPELINE_NAMESPACE must be lower-case letters, digits, dots and dashes, is {namespace!r}")
    return f"{namespace}.{name}"

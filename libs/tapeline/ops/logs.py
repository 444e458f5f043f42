"""Structured logs on stderr: readable lines on a terminal, JSON lines anywhere else."""

from __future__ import annotations

import logging
import os
import sys

import structlog

from tapeline.errors import Misconfigured


def configure_logs(service: str, default_level: str = "info") -> None:
    """Send the logs of this process, and of the libraries it uses, to stderr.

    The level is ``TAPELINE_LOG_LEVEL`` (debug, info, warning, error), else `default_level`; commands that people run
    use warning, services info.
    """
    name = os.environ.get("TAPELINE_LOG_LEVEL", default_level).upper()
    level = logging.getLevelNamesMapping().get(name)
    if level is None:
        raise Misconfigured(f"TAPELINE_LOG_LEVEL: must be debug, info, warning or error, is {name.lower()!r}")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("tapeline").setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=f"tapeline-{service}")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger below ``tapeline``; events are short names, facts are keyword arguments."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"tapeline.{name}")
    return logger

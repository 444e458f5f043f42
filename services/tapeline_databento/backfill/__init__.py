"""Databento's ways to what is missing on the tape: its live replay, and its history."""

from tapeline_databento.backfill.backfiller import DatabentoBackfiller

__all__ = ["DatabentoBackfiller"]

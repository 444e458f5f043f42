"""Databento's history: asked for by day, estimated, kept, verified."""

"""Compiled: hold every tick against the rules. A package of its own, so that only its sources name its machine code."""

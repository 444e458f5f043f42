"""Puts on the tape what was missing, and computes anew what it touches."""

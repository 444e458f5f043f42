"""Replays saved vendor files onto the tape."""

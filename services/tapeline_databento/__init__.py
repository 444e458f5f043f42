"""Puts Databento's live feed on the tape."""

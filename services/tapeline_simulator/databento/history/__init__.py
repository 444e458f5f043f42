"""Databento's Historical API, as the unmodified official client speaks it, over a vendor's tape."""

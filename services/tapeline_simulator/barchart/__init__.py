"""Barchart's site and its licensed API on loopback: pages, session, quotes and what goes wrong with them."""

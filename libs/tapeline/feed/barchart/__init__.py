"""Barchart's formats: option chains, quote pages, names of series. Pure; whoever reads them brings the bytes."""

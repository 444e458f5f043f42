"""Rules that say how good ticks, contracts and chains are. Pure."""

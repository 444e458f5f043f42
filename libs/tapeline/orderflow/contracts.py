"""Which option contracts an exchange lists: the definitions of md.instruments.v1, by expiry."""

from __future__ import annotations

from tapeline.model.instruments import Instrument


class ContractBook:
    """The listed options and user-defined spreads. One serves all partitions of a worker; it is in no checkpoint."""

    def define(self, instrument: Instrument) -> None:
        """Take a definition, in any order: of one symbol the latest trading day counts, and its latest receipt."""
        raise NotImplementedError

"""The chain assembly operator: frames in, and, when asked, the live chains that changed since."""

from __future__ import annotations

from tapeline.model.chains import Chain
from tapeline.model.frames import TickFrame
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.forward import with_forward
from tapeline.orderflow.volatility import with_volatility


def assemble(state: ChainAssembler, frame: TickFrame) -> None:
    """Apply `frame` to `state`."""
    state.apply(frame)


def complete(chain: Chain, *, rate: float) -> Chain:
    """Return the chain with forward, volatilities and greeks, at the interest rate `rate` (continuous, per year)."""
    return with_volatility(with_forward(chain, rate=rate, future=chain.underlying_price), rate=rate)

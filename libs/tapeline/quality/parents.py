"""Which parents the options on a product's futures have, and whether those subscribed to are all of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tapeline.model.instruments import Instrument, product_of_future


@dataclass(frozen=True, slots=True)
class ParentCheck:
    """How the parents subscribed to differ from those that the definitions name; both sorted.

    A `missing` parent has options listed, and their quotes are not subscribed to. A `superfluous` one has none listed
    at present, as the fifth week's has in most months.
    """

    missing: tuple[str, ...]
    superfluous: tuple[str, ...]


def is_option_on(instrument: Instrument, product: str) -> bool:
    """Return whether it is an exchange's option on a future of `product`; weeklies are, whatever their own product."""
    return (
        instrument.right is not None
        and not instrument.user_defined
        and instrument.underlying is not None
        and product_of_future(instrument.underlying) == product
    )


def option_parents(instruments: Iterable[Instrument], product: str) -> frozenset[str]:
    """Return the parents of all options on futures of `product` that are not deleted."""
    return frozenset(
        instrument.parent
        for instrument in instruments
        if instrument.parent is not None and instrument.update_action != "D" and is_option_on(instrument, product)
    )


def check_option_parents(configured: Collection[str], instruments: Collection[Instrument]) -> ParentCheck:
    """Compare the option parents in `configured` with one day's definitions.

    The options looked for are those on the futures whose options are subscribed to, if only by one parent.
    """
    asked = {parent for parent in configured if parent.endswith(".OPT")}
    listed = {each.parent for each in instruments if each.right is not None and each.update_action != "D"}
    products = {
        product_of_future(each.underlying)
        for each in instruments
        if each.parent in asked and each.right is not None and each.underlying is not None
    }
    found = {parent for product in products - {None} for parent in option_parents(instruments, product or "")}
    return ParentCheck(tuple(sorted(found - asked)), tuple(sorted(asked - listed)))

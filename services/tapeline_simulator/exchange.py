"""The order flow of a synthetic market and its matching, compiled: who sends what when, and what the venue reports.

Everything compiled is in this one file, because numba's cache on disk only notices changes of the file that it loads.

Prices are rows of a grid per instrument, one tick apart. A book is never empty on a side, never locked or crossed at
the end of an event, and never leaves its grid. The flow is a Hawkes process (arrivals excite arrivals, aggressors most)
with bursts; the side of the aggressors follows a slowly moving pressure per instrument, which makes prices move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    # Python never calls these: without wrappers for it they are compiled twice as fast.
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, numba.njit(**options)(function))


def _entry(function: Function) -> Function:
    return cast(Function, numba.njit(cache=True)(function))


BID: Final = 0
ASK: Final = 1
NONE: Final = -1

GRID: Final = 8192
CENTRE: Final = GRID // 2
CAPACITY: Final = 8192
"""Most resting orders of an instrument."""
STEADY_ORDERS: Final = 2000
"""Resting orders of an instrument at which as many leave the book as arrive."""
SIDE_MINIMUM: Final = 20
"""A side with this many orders is neither cancelled nor traded any further."""
MAX_LOTS: Final = 60
MAX_EVENT_RECORDS: Final = 4 * MAX_LOTS
"""An aggressor of 60 lots reports at most 60 each of T, F, and C or M, and what rests of it."""
MAX_DISTANCE: Final = 400
MAX_LATENCY_NS: Final = 1_000_000
"""`ts_recv` is at most this much later than `ts_event`."""
LAST_SEQUENCE: Final = 2**32 - 1 - MAX_EVENT_RECORDS - 2**16

# columns of `orders`
ID, PRICE, SIZE, SIDE, PREVIOUS, NEXT, PLACE, HIDDEN, PEAK, TS, SEQUENCE, PRIORITY, TOUCH, LIVE_ROW, FREE_ROW = range(
    15
)
ORDER_WIDTH: Final = 16
# columns of `levels`
HEAD, TAIL = range(2)
# columns of `tops`; the best prices and the counts are indexed by side
BEST, COUNT, LIVE, FREE, PRESSURE_TS, FIRST_PRICE, INSTRUMENT_ID = 0, 2, 4, 5, 6, 7, 8
TOP_WIDTH: Final = 9
# columns of `flows`
PRESSURE, SHARE = range(2)
# columns of what is told of a top, indexed by side
TOP_PRICE, TOP_SIZE, TOP_COUNT = 0, 2, 4
TOLD_WIDTH: Final = 6
# elements of `clock`
EVENT_TS, RECV_TS, PACKET, NEXT_ID, NEXT_PRIORITY, IN_DELTA = range(6)
# elements of `rates` (per second, but the last)
BACKGROUND, EXCITATION, BURST, EVENTS = range(4)

_EXCITATION_DECAY: Final = 100.0
_BRANCHING: Final = 0.5
_BURSTS: Final = 1.0
_BURST_DECAY: Final = 8.0
_BURST_SHARE: Final = 0.15
BACKGROUND_SHARE: Final = 1.0 - _BRANCHING - _BURST_SHARE

# how often each happens in a book of STEADY_ORDERS, after a real session of ESH4 (18.7, 12.7, 11.2 and 3.5 thousand)
_ADDS: Final = 0.405
_CANCELS: Final = 0.290
_MODIFIES: Final = 0.235
_AGGRESSORS: Final = 0.070
_AGGRESSOR_EXCITATION: Final = 4.0
_OTHER_EXCITATION: Final = (1.0 - _AGGRESSORS * _AGGRESSOR_EXCITATION) / (1.0 - _AGGRESSORS)

F_LAST: Final = 128
# numpy's numbers, because numba compiles a function again for every literal that it is called with
_A, _C, _M, _T, _F = (cast(int, np.uint8(ord(action))) for action in "ACMTF")
_LETTER: Final = (ord("B"), ord("A"))


class State(NamedTuple):
    """A market's state: nothing but arrays. The first axis of books is the instrument."""

    orders: Int64s
    """(instruments, CAPACITY, ORDER_WIDTH): orders by row; beside them, in no order, the list of the rows that rest and
    the stack of those that are free."""
    levels: Int64s
    """(instruments, GRID, 2): first and last order of each price."""
    tops: Int64s
    """(instruments, TOP_WIDTH): best prices, counts, price of the grid's first row in ticks."""
    touched: Int64s
    """(MAX_LOTS, 3): order, lots filled and size before, of the event in hand."""
    clock: Int64s
    """(6,): time of the next event; time and number of the last packet; next order id and priority; ns in transit."""
    rates: Float64s
    """(4,): background rate, excitation and burst (all falling but the first), and mean rate of events, per second."""
    flows: Float64s
    """(instruments, 2): pressure, about −1 (sellers) to 1 (buyers), and cumulative share of the arrivals."""
    random: npt.NDArray[np.uint64]
    """(1,): state of the generator."""


# -- chance ----------------------------------------------------------------------------------------------------------

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@_compiled
def _chance(random: npt.NDArray[np.uint64]) -> float:
    """Return a number in (0, 1); SplitMix64 (Steele, Lea, Flood 2014), so that a seed means the same everywhere."""
    random[0] += _GOLDEN
    z = random[0]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z = z ^ (z >> np.uint64(31))
    return (float(z >> np.uint64(11)) + 0.5) * 2.0**-53


@_compiled
def _lots(random: npt.NDArray[np.uint64], mean: float) -> int:
    """Return a size of at least 1 and at most MAX_LOTS, most often 1, with a mean near `mean`."""
    return min(MAX_LOTS, 1 + int(-np.log(_chance(random)) * (mean - 0.6)))


@_compiled
def _distance(random: npt.NDArray[np.uint64]) -> int:
    """Return how many ticks behind the best possible price an order is placed: a power law, as in real books."""
    return min(MAX_DISTANCE, int(40.0 * (_chance(random) ** (-1.0 / 2.6) - 1.0)))


# -- the book --------------------------------------------------------------------------------------------------------


@_compiled
def _link(state: State, i: int, order: int) -> None:
    """Put `order` at the end of the queue of its price."""
    orders, levels, tops = state.orders, state.levels, state.tops
    side, price = orders[i, order, SIDE], orders[i, order, PRICE]
    last = levels[i, price, TAIL]
    orders[i, order, PREVIOUS] = last
    orders[i, order, NEXT] = NONE
    if last == NONE:
        levels[i, price, HEAD] = order
    else:
        orders[i, last, NEXT] = order
    levels[i, price, TAIL] = order
    orders[i, order, PRIORITY] = state.clock[NEXT_PRIORITY]
    state.clock[NEXT_PRIORITY] += 1
    if (side == BID and price > tops[i, BEST + BID]) or (side == ASK and price < tops[i, BEST + ASK]):
        tops[i, BEST + side] = price


@_compiled
def _unlink(state: State, i: int, order: int) -> None:
    """Take `order` out of its queue; the best price is not looked for anew."""
    orders, levels = state.orders, state.levels
    price, before, after = orders[i, order, PRICE], orders[i, order, PREVIOUS], orders[i, order, NEXT]
    if before == NONE:
        levels[i, price, HEAD] = after
    else:
        orders[i, before, NEXT] = after
    if after == NONE:
        levels[i, price, TAIL] = before
    else:
        orders[i, after, PREVIOUS] = before


@_compiled
def _find_best(state: State, i: int, side: int) -> None:
    """Move the best price of `side` away from the touch to the next one at which an order rests."""
    step = -1 if side == BID else 1
    price = state.tops[i, BEST + side]
    while state.levels[i, price, HEAD] == NONE:
        price += step
    state.tops[i, BEST + side] = price


@_compiled
def rest(state: State, i: int, side: int, price: int, size: int, ts: int) -> int:
    """Add a new order to the book; return its row."""
    orders, tops = state.orders, state.tops
    tops[i, FREE] -= 1
    order = orders[i, tops[i, FREE], FREE_ROW]
    orders[i, order, ID] = state.clock[NEXT_ID]
    state.clock[NEXT_ID] += 1 + int(3.0 * _chance(state.random))
    orders[i, order, PRICE], orders[i, order, SIZE], orders[i, order, SIDE] = price, size, side
    orders[i, order, HIDDEN], orders[i, order, PEAK], orders[i, order, TOUCH] = 0, 0, NONE
    orders[i, order, TS], orders[i, order, SEQUENCE] = ts, state.clock[PACKET]
    orders[i, order, PLACE] = tops[i, LIVE]
    orders[i, tops[i, LIVE], LIVE_ROW] = order
    tops[i, LIVE] += 1
    tops[i, COUNT + side] += 1
    _link(state, i, order)
    return int(order)


@_compiled
def _release(state: State, i: int, order: int) -> None:
    """Forget an order that is out of its queue."""
    orders, tops, place = state.orders, state.tops, state.orders[i, order, PLACE]
    tops[i, LIVE] -= 1
    moved = orders[i, tops[i, LIVE], LIVE_ROW]
    orders[i, place, LIVE_ROW] = moved
    orders[i, moved, PLACE] = place
    orders[i, tops[i, FREE], FREE_ROW] = order
    tops[i, FREE] += 1
    tops[i, COUNT + orders[i, order, SIDE]] -= 1


# -- what the venue reports ------------------------------------------------------------------------------------------


@_compiled
def _next_packet(state: State, jump: bool) -> None:
    """Begin a packet of the channel, which carries other instruments too: its numbers jump."""
    clock, random = state.clock, state.random
    clock[PACKET] += 1
    if jump and _chance(random) < 0.3:
        clock[PACKET] += 1 + int(-5.0 * np.log(_chance(random)))
    clock[IN_DELTA] = 11_000 + int(-2_500.0 * np.log(_chance(random)))
    received = clock[EVENT_TS] + 80_000 + clock[IN_DELTA] + int(-15_000.0 * np.log(_chance(random)))
    clock[RECV_TS] = max(clock[RECV_TS], min(received, clock[EVENT_TS] + MAX_LATENCY_NS))


@_compiled
def _report(
    state: State, i: int, out: Any, n: int, action: int, side: int, price: int, size: int, order_id: int
) -> int:
    record, clock = out[n], state.clock
    record.length = 14
    record.rtype = 0xA0
    record.publisher_id = 1
    record.instrument_id = state.tops[i, INSTRUMENT_ID]
    record.ts_event = clock[EVENT_TS]
    record.order_id = order_id
    record.price = (state.tops[i, FIRST_PRICE] + price) * 250_000_000
    record.size = size
    record.flags = 0
    record.channel_id = 0
    record.action = action
    record.side = _LETTER[side]
    record.ts_recv = clock[RECV_TS]
    record.ts_in_delta = clock[IN_DELTA]
    record.sequence = clock[PACKET]
    return n + 1


@_compiled
def _tell_top(state: State, i: int, told: Int64s) -> None:
    """Write the best prices (ticks), what rests at them, and how many orders that is."""
    for side in range(2):
        price = state.tops[i, BEST + side]
        order, size, count = state.levels[i, price, HEAD], 0, 0
        while order != NONE:
            size += state.orders[i, order, SIZE]
            count += 1
            order = state.orders[i, order, NEXT]
        told[TOP_PRICE + side] = state.tops[i, FIRST_PRICE] + price
        told[TOP_SIZE + side] = size
        told[TOP_COUNT + side] = count


# -- what traders do -------------------------------------------------------------------------------------------------


@_compiled
def _new_price(state: State, i: int, side: int) -> int:
    """Return where a passive order goes: at the best price that does not cross, or behind it."""
    distance = _distance(state.random)
    if side == BID:
        return int(max(1, state.tops[i, BEST + ASK] - 1 - distance))
    return int(min(GRID - 2, state.tops[i, BEST + BID] + 1 + distance))


@_compiled
def _pick(state: State, i: int) -> int:
    """Return the row of a resting order: of two at random, the one nearer to the touch."""
    tops, orders = state.tops, state.orders
    chosen, nearest = NONE, GRID
    for _ in range(2):
        order = orders[i, int(_chance(state.random) * tops[i, LIVE]), LIVE_ROW]
        distance = abs(orders[i, order, PRICE] - tops[i, BEST + orders[i, order, SIDE]])
        if distance < nearest:
            chosen, nearest = order, distance
    return int(chosen)


@_compiled
def _add(state: State, i: int, out: Any, n: int) -> int:
    random = state.random
    bids, asks = state.tops[i, COUNT + BID], state.tops[i, COUNT + ASK]
    lean = 0.1 * state.flows[i, PRESSURE] + 0.3 * (asks - bids) / (asks + bids)
    side = BID if _chance(random) < 0.5 + lean else ASK
    price, size = _new_price(state, i, side), _lots(random, 1.8)
    order = rest(state, i, side, price, size, state.clock[EVENT_TS])
    orders = state.orders
    if _chance(random) < 0.01:
        orders[i, order, PEAK] = size
        orders[i, order, HIDDEN] = size * (2 + int(8.0 * _chance(random)))
    return _report(state, i, out, n, _A, side, price, size, orders[i, order, ID])


@_compiled
def _cancel(state: State, i: int, out: Any, n: int, order: int) -> int:
    orders = state.orders
    side, price = orders[i, order, SIDE], orders[i, order, PRICE]
    _unlink(state, i, order)
    _find_best(state, i, side)
    n = _report(state, i, out, n, _C, side, price, orders[i, order, SIZE], orders[i, order, ID])
    _release(state, i, order)
    return n


@_compiled
def _modify(state: State, i: int, out: Any, n: int, order: int) -> int:
    orders, random, side = state.orders, state.random, state.orders[i, order, SIDE]
    choice = _chance(random)
    if choice < 0.35 and orders[i, order, SIZE] > 1:
        orders[i, order, SIZE] -= 1 + int(_chance(random) * (orders[i, order, SIZE] - 1))
    else:
        _unlink(state, i, order)
        price = _new_price(state, i, side) if choice > 0.5 else orders[i, order, PRICE]
        if price == orders[i, order, PRICE]:
            orders[i, order, SIZE] = min(MAX_LOTS, orders[i, order, SIZE] + _lots(random, 1.5))
        orders[i, order, PRICE], orders[i, order, TS], orders[i, order, SEQUENCE] = (
            price,
            state.clock[EVENT_TS],
            state.clock[PACKET],
        )
        _link(state, i, order)
        _find_best(state, i, side)
    return _report(state, i, out, n, _M, side, orders[i, order, PRICE], orders[i, order, SIZE], orders[i, order, ID])


@_compiled
def _trade(
    state: State, i: int, out: Any, n: int, side: int, lots: int, limit: int, order_id: int, prints_itself: bool
) -> tuple[int, int]:
    """Let an aggressor of `side` take up to `lots` not beyond the price `limit`; return (n, lots left).

    Reports per price a T, then an F per resting order, first in first out. Shown size that is used up comes again from
    what an iceberg hides, at the end of the queue.
    """
    tops, levels, orders, touched = state.tops, state.levels, state.orders, state.touched
    other = 1 - side
    touches = 0
    while lots > 0 and tops[i, COUNT + other] > SIDE_MINIMUM:
        price = tops[i, BEST + other]
        if (side == BID and price > limit) or (side == ASK and price < limit):
            break
        first, traded = touches, 0
        while lots > 0 and levels[i, price, HEAD] != NONE and tops[i, COUNT + other] > SIDE_MINIMUM:
            order = levels[i, price, HEAD]
            if orders[i, order, TOUCH] == NONE:
                orders[i, order, TOUCH] = touches
                touched[touches, 0], touched[touches, 1], touched[touches, 2] = order, 0, orders[i, order, SIZE]
                touches += 1
            take = min(lots, orders[i, order, SIZE])
            touched[orders[i, order, TOUCH], 1] += take
            lots -= take
            traded += take
            if take < orders[i, order, SIZE]:
                orders[i, order, SIZE] -= take
                continue
            _unlink(state, i, order)
            orders[i, order, SIZE] = min(orders[i, order, PEAK], orders[i, order, HIDDEN])
            orders[i, order, HIDDEN] -= orders[i, order, SIZE]
            if orders[i, order, SIZE]:
                orders[i, order, TS], orders[i, order, SEQUENCE] = state.clock[EVENT_TS], state.clock[PACKET]
                _link(state, i, order)
            else:
                tops[i, COUNT + other] -= 1
        if levels[i, price, HEAD] == NONE:
            _find_best(state, i, other)
        if first and _chance(state.random) < 0.3:
            _next_packet(state, False)
        n = _report(state, i, out, n, _T, side, price, traded, order_id)
        if prints_itself:
            n = _report(state, i, out, n, _F, side, price, traded, order_id)
        for touch in range(first, touches):
            n = _report(state, i, out, n, _F, other, price, touched[touch, 1], orders[i, touched[touch, 0], ID])
    if touches and _chance(state.random) < 0.5:
        _next_packet(state, False)
    return n, lots


@_compiled
def _settle(state: State, i: int, out: Any, n: int) -> int:
    """Report what became of the resting orders that the event's trades touched: first C, then M by priority."""
    orders, tops, touched = state.orders, state.tops, state.touched
    left, touch = 0, 0
    while touched[touch, 0] != NONE:
        order = touched[touch, 0]
        touched[touch, 0] = NONE
        orders[i, order, TOUCH] = NONE
        if orders[i, order, SIZE]:
            touched[left, 0] = order
            left += 1
        else:
            side, price = orders[i, order, SIDE], orders[i, order, PRICE]
            n = _report(state, i, out, n, _C, side, price, touched[touch, 2], orders[i, order, ID])
            tops[i, COUNT + side] += 1  # was taken out in _trade already
            _release(state, i, order)
        touch += 1
    # Icebergs shown anew stand in their queue in the order in which they were used up last.
    for done in range(left):
        for other in range(done + 1, left):
            if orders[i, touched[other, 0], PRIORITY] < orders[i, touched[done, 0], PRIORITY]:
                touched[done, 0], touched[other, 0] = touched[other, 0], touched[done, 0]
        order = touched[done, 0]
        touched[done, 0] = NONE
        n = _report(
            state,
            i,
            out,
            n,
            _M,
            orders[i, order, SIDE],
            orders[i, order, PRICE],
            orders[i, order, SIZE],
            orders[i, order, ID],
        )
    return n


@_compiled
def _aggress(state: State, i: int, out: Any, n: int) -> int:
    """Send an order that trades: a market order, or a limit order at the touch whose rest stays in the book."""
    random, tops = state.random, state.tops
    side = BID if _chance(random) < min(0.95, max(0.05, 0.5 + 0.3 * state.flows[i, PRESSURE])) else ASK
    lots = _lots(random, 3.0) if _chance(random) > 0.04 else _lots(random, 25.0)
    limited = _chance(random) < 0.7
    limit = tops[i, BEST + 1 - side] if limited else (GRID if side == BID else 0)
    order_id = state.clock[NEXT_ID]
    state.clock[NEXT_ID] += 1
    n, left = _trade(state, i, out, n, side, lots, limit, order_id, False)
    n = _settle(state, i, out, n)
    other = tops[i, BEST + 1 - side]
    if left and limited and ((side == BID and limit < other) or (side == ASK and limit > other)):
        state.clock[NEXT_ID] = order_id
        rest(state, i, side, limit, left, state.clock[EVENT_TS])
        n = _report(state, i, out, n, _A, side, limit, left, order_id)
    return n


@_compiled
def _amend_to_cross(state: State, i: int, out: Any, n: int, order: int) -> int:
    """Amend a resting order to the other side's price, where it trades and prints its own F; what is left rests."""
    orders, tops, order_id = state.orders, state.tops, state.orders[i, order, ID]
    side, before, size = orders[i, order, SIDE], orders[i, order, PRICE], orders[i, order, SIZE]
    limit = tops[i, BEST + 1 - side]
    lots = 1 + int(_chance(state.random) * size)
    _unlink(state, i, order)
    _find_best(state, i, side)
    n, left = _trade(state, i, out, n, side, lots, limit, order_id, True)
    other = tops[i, BEST + 1 - side]
    if left and ((side == BID and limit < other) or (side == ASK and limit > other)):
        orders[i, order, PRICE], orders[i, order, SIZE], orders[i, order, HIDDEN] = limit, left, 0
        orders[i, order, TS], orders[i, order, SEQUENCE] = state.clock[EVENT_TS], state.clock[PACKET]
        _link(state, i, order)
        n = _report(state, i, out, n, _M, side, limit, left, order_id)
    else:
        n = _report(state, i, out, n, _C, side, before, size, order_id)
        _release(state, i, order)
    return _settle(state, i, out, n)


@_entry
def fill_books(state: State, first_ns: int, age_ns: int) -> None:
    """Let STEADY_ORDERS passive orders per instrument arrive within `age_ns` from `first_ns`, without a report."""
    for i in range(len(state.tops)):
        for k in range(STEADY_ORDERS):
            side = k % 2
            distance = k // 2 if k < 40 else _distance(state.random)
            price = CENTRE - 1 - distance if side == BID else CENTRE + distance
            rest(state, i, side, price, _lots(state.random, 1.8), first_ns + age_ns // STEADY_ORDERS * k)


# -- the flow --------------------------------------------------------------------------------------------------------


@_compiled
def _act(state: State, i: int, out: Any, n: int) -> tuple[int, bool]:
    """Let one order arrive at instrument `i`; return (n, whether it traded)."""
    random, tops = state.random, state.tops
    cancels = _CANCELS * tops[i, LIVE] / STEADY_ORDERS
    choice = _chance(random) * (_ADDS + cancels + _MODIFIES + _AGGRESSORS)
    if choice < _AGGRESSORS and tops[i, COUNT + BID] > SIDE_MINIMUM + 1 and tops[i, COUNT + ASK] > SIDE_MINIMUM + 1:
        if choice < 0.03 * _AGGRESSORS:
            return _amend_to_cross(state, i, out, n, _pick(state, i)), True
        return _aggress(state, i, out, n), True
    if choice > _AGGRESSORS + _ADDS or tops[i, FREE] < 2:
        order = _pick(state, i)
        if tops[i, COUNT + state.orders[i, order, SIDE]] > SIDE_MINIMUM:
            if choice > _AGGRESSORS + _ADDS + _MODIFIES:
                return _cancel(state, i, out, n, order), False
            return _modify(state, i, out, n, order), False
    return _add(state, i, out, n), False


@_compiled
def _sway(state: State, i: int) -> None:
    """Move the pressure on instrument `i`: a noise that reverts within seconds, towards the first one's price."""
    tops, random = state.tops, state.random
    mid = 0.5 * (tops[i, BEST + BID] + tops[i, BEST + ASK])
    if i == 0:
        target = (CENTRE - mid) / 1_500.0
    else:
        target = (0.5 * (state.tops[0, BEST + BID] + state.tops[0, BEST + ASK]) - mid) / 20.0
    dt = min(1.0, (state.clock[EVENT_TS] - tops[i, PRESSURE_TS]) * 1e-9)
    tops[i, PRESSURE_TS] = state.clock[EVENT_TS]
    noise = (_chance(random) + _chance(random) + _chance(random) + _chance(random) - 2.0) * 1.7320508
    state.flows[i, PRESSURE] += 0.2 * (target - state.flows[i, PRESSURE]) * dt + 0.3 * np.sqrt(dt) * noise


@_compiled
def _wait(state: State, traded: bool) -> None:
    """Move the clock to the next event of a Hawkes process with exponential kernel (Dassios, Zhao 2013: exact)."""
    rates, random = state.rates, state.random
    excitation = _BRANCHING * _EXCITATION_DECAY
    rates[EXCITATION] += excitation * (_AGGRESSOR_EXCITATION if traded else _OTHER_EXCITATION)
    if _chance(random) < _BURSTS / rates[EVENTS]:
        rates[BURST] += _BURST_SHARE * _BURST_DECAY / _BURSTS * rates[EVENTS]
        kick = 1.6 * _chance(random) - 0.8
        for i in range(len(state.flows)):
            state.flows[i, PRESSURE] += kick
    seconds = -np.log(_chance(random)) / rates[BACKGROUND]
    for component, decay in ((EXCITATION, _EXCITATION_DECAY), (BURST, _BURST_DECAY)):
        draw = 1.0 + decay * np.log(_chance(random)) / max(rates[component], 1e-9)
        if draw > 0.0:
            seconds = min(seconds, -np.log(draw) / decay)
    rates[EXCITATION] *= np.exp(-_EXCITATION_DECAY * seconds)
    rates[BURST] *= np.exp(-_BURST_DECAY * seconds)
    state.clock[EVENT_TS] += int(seconds * 1e9)


@_entry
def advance(state: State, until_ns: int, out: Any, tops: Int64s) -> int:
    """Let the market live until `until_ns` or until `out` is nearly full; return how many records were written.

    `out` is a structured array of MBO records, longer than MAX_EVENT_RECORDS. Whole events only; what comes next does
    not depend on where a call ended. Stops for good at the last sequence that a packet may have. The row of `tops`
    (len(out), TOLD_WIDTH) beside an event's last record gets the top after it; an empty `tops` gets none.
    """
    n = int(np.int64(0))
    while (
        state.clock[EVENT_TS] <= until_ns and n + MAX_EVENT_RECORDS <= len(out) and state.clock[PACKET] < LAST_SEQUENCE
    ):
        choice = _chance(state.random)
        i = 0
        while state.flows[i, SHARE] < choice:
            i += 1
        _sway(state, i)
        sent_ns = state.clock[RECV_TS] - state.clock[IN_DELTA]
        if sent_ns < state.clock[EVENT_TS] or _chance(state.random) > 0.25:
            _next_packet(state, True)
        n, traded = _act(state, i, out, n)
        out[n - 1].flags = F_LAST
        if len(tops):
            _tell_top(state, i, tops[n - 1])
        _wait(state, traded)
    return n

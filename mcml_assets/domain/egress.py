"""What moving bytes out of a location costs. How many were moved, and from where, `snapshots/replication.py` counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

GIB = 2**30


@dataclass(frozen=True, slots=True)
class EgressPrice:
    """What one GiB costs that leaves a location, in a currency (ISO 4217)."""

    per_gib: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class EgressCost:
    """An amount of money; `currency` is None only where nothing was paid."""

    amount: Decimal
    currency: str | None


def egress_cost(sent: Mapping[EgressPrice | None, int]) -> EgressCost | None:
    """What it costs that these bytes left their locations, by the price of each.

    None when it cannot be told: bytes left at an unknown price, or in two currencies.
    """
    paid = {price: amount for price, amount in sent.items() if amount}
    prices = [price for price in paid if price is not None]
    currencies = {price.currency for price in prices}
    if len(prices) < len(paid) or len(currencies) > 1:
        return None
    total = sum((price.per_gib * paid[price] / GIB for price in prices), Decimal(0))
    return EgressCost(total, currencies.pop() if currencies else None)

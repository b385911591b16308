"""A check of the shop's own, beside those that every workload gets."""

import pandas as pd


def no_negative_baskets(feature_snapshot: dict[str, pd.DataFrame]) -> bool | str:
    """Whoever has bought something has bought at least one item per invoice."""
    negative = int((feature_snapshot["customer"]["basket_size"] <= 0).sum())
    return True if negative == 0 else f"{negative} customers have a basket of no item, or less"

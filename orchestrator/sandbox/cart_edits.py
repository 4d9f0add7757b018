"""What staff change of the goods of an order, and what it costs then: the same actions on every platform with carts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from orchestrator.sandbox.base import number_in
from orchestrator.sandbox.cart import Cart
from orchestrator.sandbox.checkout import good_of, row_of
from orchestrator.sandbox.platform import PanelError

Json: TypeAlias = Any

EDITS: Mapping[str, tuple[str, ...]] = {
    "edit_line": ("order", "quantity"),
    "add_line": ("order",),
    "remove_line": ("order",),
}
"""The actions and what they must have; `line` (the first one by default), `sku` and `quantity` of add_line (a desk
lamp) may be left out."""


def edit_cart(cart: Cart, action: str, request: Mapping[str, Json], next_id: Callable[[], int]) -> None:
    """Makes one of the changes. Raises PanelError and changes nothing for an invalid request."""
    line, quantity = request.get("line"), request.get("quantity", 1)
    row_id = None if line is None else number_in(str(line)) or 0
    try:
        match action:
            case "edit_line":
                cart.set_quantity(quantity, row_id)
            case "remove_line":
                cart.remove(row_id)
            case _:
                if type(quantity) is not int or quantity < 1:
                    raise ValueError(f"{quantity!r} is not a quantity")
                good = good_of(request.get("sku"))
                cart.put(row_of(good, next_id(), cart.currency, has_tax=cart.has_tax, quantity=quantity))
    except ValueError as error:
        raise PanelError(f"the order stays as it is: {error}") from None


SUMS = ("lines", "discount", "delivery", "tax", "total", "refunded")


def checked_sum(name: str) -> str:
    """The name of a sum of `money`. Raises PanelError."""
    if name not in SUMS:
        raise PanelError(f"there is no sum {name!r}; known are {', '.join(SUMS)}")
    return name


def money_of(cart: Cart, *, is_gross: bool) -> dict[str, Json]:
    """What an order costs by the simulation's own arithmetic, as the action `money` answers it: texts, and whether
    lines, discount and delivery are with tax."""
    sums = {name: str(amount) for name, amount in cart.sums(is_gross=is_gross).items()}
    return {"money": {"currency": cart.currency, "tax_included": is_gross, **sums}}

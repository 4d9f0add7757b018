"""Believable orders for a simulated Selldone shop, the same ones for the same seed (selldone.md §4, samples)."""

from __future__ import annotations

import random
from decimal import Decimal

from orchestrator.sandbox.cart import PEOPLE, Cart, Row
from orchestrator.sandbox.selldone.articles import Article, article_of, articles
from orchestrator.sandbox.selldone.baskets import Basket, Json, Line, timestamp

_BUYERS = (
    ("Jane Roe", "US", "New York", "NY", "New York", "350 5th Ave", "10118", "+12125550100"),
    ("Łukasz Żółty", "PL", "Mazowieckie", "MZ", "Warszawa", "ul. Świętokrzyska 12", "00-916", "+48225550101"),
    ("María-José Núñez", "ES", "Madrid", "MD", "Madrid", "Calle de Alcalá 50", "28014", "+34915550102"),
    ("Anna van der Berg", "NL", "Noord-Holland", "NH", "Amsterdam", "Damrak 1", "1012 LG", "+31205550103"),
    ("山田 太郎", "JP", "Tokyo", "13", "Chiyoda", "1-1 Chiyoda", "100-8111", "+81355550104"),
    ("Sinéad O'Connor", "IE", "Leinster", "L", "Dublin", "O'Connell Street 5", "D01 F5P2", "+35315550105"),
    ("Müller & Söhne GmbH", "DE", "Bayern", "BY", "München", "Leopoldstraße 7", "80802", "+49895550106"),
)
_DELIVERY = ("Cargo", "PostFast", "Motorbike", "Pickup")


class OrderPress:
    """Makes orders, the same ones for the same seed. Ids count up from `first_id`; item ids are theirs alone."""

    def __init__(self, shop_id: int, seed: int, first_id: int, currency: str = "USD") -> None:
        self._shop_id = shop_id
        self._currency = currency
        self._rng = random.Random(f"{seed}/{shop_id}")  # noqa: S311 - believable orders, not secrets
        self._next_id = first_id
        self._next_item_id = first_id + 8988
        self._articles = articles(shop_id)

    def next_item_id(self) -> int:
        """An id that no item had."""
        self._next_item_id += 1
        return self._next_item_id - 1

    def make(
        self, reserved_us: int, *, status: str | None = None, order_id: int | None = None, cart: Cart | None = None
    ) -> Basket:
        """A new order in CheckQueue; `status` None: Payed or COD as it comes, one in five a guest's. `cart`: what is
        ordered, None: as it comes. It is still to be priced."""
        rng = self._rng
        if order_id is None:
            order_id = self._next_id
            self._next_id += 1
        is_cod = rng.random() < 0.3 if status is None else status == "COD"
        is_guest = rng.random() < 0.2
        name, country, region, code, city, address, postal, phone = rng.choice(_BUYERS)
        drawn = () if cart is not None else [self._drawn() for _ in range(rng.choice((1, 1, 2, 2, 3, 5)))]
        user_id = None if is_guest else rng.randrange(2, 5000)
        status = status or ("COD" if is_cod else "Payed")
        is_unpaid = status in ("COD", "Open", "Reserved")
        fields: dict[str, Json] = {
            "id": order_id,
            "label": None,
            "shop_id": self._shop_id,
            "user_id": user_id,
            "customer_id": None if user_id is None else user_id + 7608,
            "code": rng.randrange(100_000, 1_000_000) if is_guest else None,
            "type": "PHYSICAL",
            "stack": 0,
            "status": status,
            "reject": None,
            "reject_at": None,
            "receiver_info": {
                "country": country,
                "state": region,
                "state_code": code,
                "city": city,
                "address": address,
                # An empty object where the buyer set no pin, as in the sample of a guest's order.
                "location": {} if is_guest else {"lat": 40.7484, "lng": -73.9857},
                "no": str(rng.randrange(1, 400)),
                "unit": None,
                "name": name,
                "phone": phone,
                "message": "Please ring twice" if rng.random() < 0.1 else None,
                "postal": postal,
                "pickup": cart is not None and cart.is_pickup,
                "business": None,
            },
            "delivery_info": delivery_info(rng.choice(_DELIVERY), None if is_guest else 11312.99),
            "delivery_price": Decimal(rng.choice((0, 500, 950, 1299))).scaleb(-2),
            "delivery_state": "CheckQueue",
            "delivery_at": None,
            "billing": None,
            "tax": None,
            "tax_shipping": None,
            "tax_included": None,
            "lottery_id": None,
            "link_id": None,
            "discount": Decimal(rng.choice((0, 0, 0, 250))).scaleb(-2),
            "affiliate_id": None,
            "email_id": None,
            "channel": None,
            "subscription_id": None,
            "meta": None,
            "chat": None,
            "price": 0,
            "currency": self._currency,
            "language": "en",
            "payment_id": None if is_unpaid else rng.randrange(1000, 90_000),
            "payment_type": "cod" if is_cod else rng.choice(("stripe", "paypal")),
            "reserved_at": None if status == "Open" else timestamp(reserved_us),
            "updated_at": timestamp(reserved_us),
            "withdraw": False,
            "withdraw_at": None,
        }
        person = None if is_guest else {"name": name, "email": f"buyer{user_id}@example.com", "phone": phone}
        if cart is None:
            delivery = Row(0, "shipping", "Delivery", fields["delivery_price"], Decimal(0))
            rows = [*(row for _, row in drawn), delivery]
            cart = Cart(PEOPLE[0], PEOPLE[0], self._currency, rows, ("minus", fields["discount"]))
        elif cart.is_pickup:
            fields["delivery_info"]["type"] = "Pickup"
        at = timestamp(reserved_us)
        lines = tuple(self._line(order_id, article, row.id, at) for article, row in drawn)
        lines = lines or tuple(self.line_of(order_id, row, at) for row in cart.of("goods"))
        return Basket(order_id, fields, lines, person, cart, reserved_us, reserved_us)

    def line_of(self, order_id: int, row: Row, at: str) -> Line:
        """A row of a cart as an item, still to be priced."""
        assert row.good is not None
        return self._line(order_id, article_of(self._shop_id, row.good, row.price, self._currency), row.id, at)

    def _drawn(self) -> tuple[Article, Row]:
        article, item_id = self._rng.choice(self._articles), self.next_item_id()
        count = self._rng.choice((1, 1, 1, 2, 3))
        return article, Row(item_id, "goods", "", article.price, Decimal(0), count)

    def _line(self, order_id: int, article: Article, item_id: int, at: str) -> Line:
        fields: dict[str, Json] = {
            "id": item_id,
            "basket_id": order_id,
            "product_id": article.product_id,
            "variant_id": article.variant_id,
            "connect_id": None,
            "message": None,
            "preferences": [],
            "count": 0,
            "price": 0,
            "currency": "",
            "dis": 0,
            "offer_id": None,
            "offer_count": 0,
            "offer_amount": 0,
            "cross_dis": 0,
            "tax": None,
            "check": True,
            "fulfillment_id": None,
            "subscription_price_id": None,
            "vendor_id": None,
            "vendor_product_id": None,
            "extra_pricing_id": None,
            "created_at": at,
            "updated_at": at,
        }
        return Line(fields, article.product, article.variant)


def delivery_info(kind: str, distance: float | None) -> dict[str, Json]:
    """The delivery as the buyer chose it, without tracking (selldone.md §4.1)."""
    return {
        "distance": distance,
        "volume": {"width": 0, "length": 0, "height": 0},
        "weight": 0,
        "days": ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Saturday"],
        "time_spans": ["Morning", "Evening"],
        "custom": False,
        "type": kind,
        "connect_delivery": 0,
        "inbound_delivery": 2,
        "outbound_delivery": 0,
        "vendor_delivery": 0,
        "date": None,
    }

"""What the first order of a simulated Shopify can go through (shopify.md §5)."""

from __future__ import annotations

from orchestrator.sandbox.platform import Move, Variant, Walk

WALK = Walk(
    moves=(
        Move("report_progress", "IN_PROGRESS", {"state": "preparing"}),
        Move("fulfill", "FULFILLED", {"state": "shipped", "tracking": {"code": "1Z-B", "carrier": "UPS"}}),
        Move(
            "update_tracking",
            "FULFILLED",
            {"state": "shipped", "items": ["487817672276298002"], "tracking": {"code": "1Z-C"}},
        ),
        Move("mark_delivered", "DELIVERED", {"state": "delivered"}),
    ),
    delivered=("fulfill", "mark_delivered"),
    is_by_place=True,
    beside=frozenset({"prepare_pickup", "set_erp_number"}),
    shop={"lost_answer_seconds": 0},  # what was given up takes no effect later, unless it is made to stall
    variants={"without customers' data": Variant(shop={"customer_data": False})},
)
"""Orders that are picked up, those in several parts and the ERP's number have tests of their own."""

"""Calls about shops, and what they sent that is no order."""

from __future__ import annotations

from typing import Final

from orchestrator.api.handlers import push, shops
from orchestrator.api.route import Answer, RequestBody, Route
from orchestrator.api.routes.problems import CHANGE, ORDER, STORE
from orchestrator.api.schema import bodies as requests
from orchestrator.api.schema import queries as parameters
from orchestrator.operations import documents

_SHOP_NOW = {200: Answer.json("The shop as it is now", documents.Shop)}


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/v1/shops",
        "listShops",
        "Shops",
        "Every configured shop",
        shops.list_shops,
        {200: Answer.json("The shops", documents.ShopList)},
        STORE,
    ),
    Route(
        "GET",
        "/v1/shops/{shop}",
        "readShop",
        "Shops",
        "One shop",
        shops.read_shop,
        {200: Answer.json("The shop", documents.Shop)},
        ("shop-not-found", *STORE),
    ),
    Route(
        "POST",
        "/v1/shops/{shop}/pause",
        "pauseShop",
        "Shops",
        "Stop the shop's steps and syncs; running calls finish",
        shops.pause_shop,
        _SHOP_NOW,
        ("shop-not-found", *CHANGE),
        body=RequestBody(requests.ReasonBody, {"reason": "stocktaking"}, is_required=False),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/shops/{shop}/resume",
        "resumeShop",
        "Shops",
        "End a pause, whoever caused it",
        shops.resume_shop,
        _SHOP_NOW,
        ("shop-not-found", *CHANGE),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/shops/{shop}/sync",
        "syncShop",
        "Shops",
        "Look for changed orders now",
        shops.sync_shop,
        {
            200: Answer.json("What the sync found, with `wait`", documents.SyncFound),
            202: Answer.json("The sync begins, or has not ended in time", documents.SyncStarted),
        },
        ("shop-not-found", "platform-unreachable", *CHANGE),
        query=parameters.SyncQuery,
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/products",
        "listProducts",
        "Products",
        "Products that webhooks brought, the latest version of each",
        push.list_products,
        {200: Answer.json("A page; `next` is null at the end", documents.ProductPage)},
        ("shop-not-found", *STORE),
        query=parameters.ProductsQuery,
    ),
    Route(
        "GET",
        "/v1/rejected",
        "listRejected",
        "Rejected",
        "Payloads that could not be read, oldest first",
        shops.list_rejected,
        {200: Answer.json("A page; `next` is null at the end", documents.RejectedPage)},
        ("shop-not-found", *STORE),
        query=parameters.RejectedQuery,
    ),
    Route(
        "POST",
        "/v1/rejected/{id}/retry",
        "retryRejected",
        "Rejected",
        "Read the payload's order again from its platform",
        shops.retry_rejected,
        {200: Answer.json("The order that could be read now", documents.Order)},
        ("rejected-not-found", *ORDER, "not-allowed", "platform-unreachable", *CHANGE),
        is_change=True,
    ),
)

"""Prints what the calls of the client answer, and the problems of those that are refused."""

import sys
from collections.abc import Callable
from typing import Any

from fulfilld import Client, Problem, Unreachable, path_of

erp, order = Client(url=sys.argv[1]), "a/ä 1"
submitted = erp.submit("acme", order, {"state": "preparing"}, "k-1")
print(erp.target(submitted["id"], wait_seconds=0.01)["status"])
print(*(each["id"] for each in erp.orders(shop="acme", limit=2)), sep=", ")
print(erp.order("acme", order, include=["timeline"])["timeline"][0]["type"])
page = erp.call("GET", "/v1/consumers/erp/events", {"limit": 1})
print(erp.ack("erp", page["next"], feed=page["feed"])["cursor"])
print(erp.seek("erp", 0)["cursor"])
attempts: list[Callable[[], Any]] = [
    lambda: erp.seek("erp", 10**6),
    lambda: erp.ack("erp", 1, feed="another"),
    lambda: erp.submit("acme", order, {"state": "shipped"}, "k-1"),
    lambda: erp.order("nobody", "1"),
]
for attempt in attempts:
    try:
        print(attempt())
    except Problem as problem:
        print(problem.status, problem.code, "detail" in problem.body and problem.is_final)
try:
    Client(socket="no.sock").call("GET", "/v1/health")
except Unreachable:
    print("unreachable")
print(erp.call("POST", "/v1/shops/acme/pause", body={})["name"])
planned = erp.call(
    "POST", path_of("shops", "acme", "orders", "1", "targets"), {"dry_run": True}, {"state": "preparing"}
)
print("planned", len(planned["plan"]) > 0)

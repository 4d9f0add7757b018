"""The smallest ERP: books what is ordered, ships it in one box, and prints what became of it.

    FULFILLD_SOCKET=fulfilld.sock python example.py [COUNT]

ends after so many orders, for 0 when no event is left; without a count it never does. What it has done before it may do
again: the keys are those of
its own documents, so nothing happens twice.
"""

import sys

from fulfilld import Client, Problem

most = float(sys.argv[1]) if len(sys.argv) > 1 else float("inf")
ended = 0
erp = Client()

types = ["order.imported", "target.reached", "target.failed"]
for event in erp.consume("erp", types=types, is_endless=most > 0):
    shop, order = event["shop"], event["order"]
    try:
        if event["type"] == "order.imported":
            erp.submit(shop, order, {"state": "accepted"}, key=f"sale-{shop}-{order}")
            parcel = {"number": f"B-{order}", "carrier": "DHL", "tracking": [f"3S{order}"]}
            erp.submit(shop, order, {"state": "shipped", "parcel": parcel}, key=f"box-{shop}-{order}")
            continue
        target = erp.target(event["target"])
        if target["milestone"] != "shipped":
            continue
        print(shop, order, target["status"], flush=True)
    except Problem as problem:
        if not problem.is_final:
            raise
        print(shop, order, "refused", problem.code, flush=True)
    ended += 1
    if 0 < most <= ended:
        break

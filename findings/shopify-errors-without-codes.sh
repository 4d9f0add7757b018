#!/usr/bin/env bash
# A good guess: mutations of Shopify's Admin API tell what they refuse by an enum (`userErrors { code }`), as three in four
# of them do and as the neighbours of the fulfilment mutations do (hold, release, split, merge, report progress).
#
# What happens (Shopify's own schemas in npm @shopify/dev-mcp 1.16.0): the mutations that ship, track, take back, refund and
# settle an order (`fulfillmentCreate`, `fulfillmentTrackingInfoUpdate`, `fulfillmentCancel`, `fulfillmentEventCreate`,
# `refundCreate`, `orderMarkAsPaid`, `orderClose`) answer with the bare `UserError`, which has a field and a
# message and no code, in each version from 2025-10 to 2026-10. Asking them for `code` makes the whole document invalid.
# Others change under the same name: `fulfillmentOrderMove` and `fulfillmentOrderCancel` have codes since 2026-04 and had
# none before; `orderCancel` has two lists of errors, and the one named `userErrors` is the one without codes.
#
# Why it matters to people who sync orders: "already fulfilled", "no such fulfilment order" and "nothing left to fulfil" are
# told apart by a message alone, so a program that wants to know whether its lost call took effect has to read the order
# again; and one document for several versions of the API may not share its selection of errors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent @shopify/dev-mcp@1.16.0 >/dev/null && tar xzf ./*.tgz)
python3 - "$folder/package/dist/data" <<'PY'
import gzip
import json
import sys

VERSIONS = ("2025-10", "2026-01", "2026-04", "2026-07", "2026-10")
BARE = (
    "fulfillmentCreate", "fulfillmentTrackingInfoUpdate", "fulfillmentCancel", "fulfillmentEventCreate",
    "refundCreate", "orderMarkAsPaid", "orderClose",
)
CODED = ("fulfillmentOrderHold", "fulfillmentOrderReleaseHold", "fulfillmentOrderSplit", "returnCreate")
CHANGED = ("fulfillmentOrderMove", "fulfillmentOrderCancel")


def named(kind):
    while kind.get("ofType"):
        kind = kind["ofType"]
    return kind["name"]


def errors(folder, version):
    """By mutation: the lists of errors and whether each has codes."""
    with gzip.open(f"{folder}/admin_{version}.json.gz") as file:
        schema = json.load(file)["data"]["__schema"]
    types = {each["name"]: each for each in schema["types"]}

    def lists(mutation):
        payload = types[named(mutation["type"])]
        return {
            field["name"]: "code" in [inner["name"] for inner in types[named(field["type"])]["fields"]]
            for field in payload.get("fields") or ()
            if field["name"].endswith("serErrors")
        }

    return {each["name"]: found for each in types["Mutation"]["fields"] if (found := lists(each))}


changed = False
print("@shopify/dev-mcp 1.16.0, its introspected schemas of the Admin API")
for version in VERSIONS:
    found = errors(sys.argv[1], version)
    coded = sum(any(each.values()) for each in found.values())
    print(f"{version}: {coded} of {len(found)} mutations with user errors have codes in one of their lists")
    bare = [name for name in BARE if not any(found[name].values())]
    print(f"  without: {', '.join(bare)}")
    moved = {name: any(found[name].values()) for name in CHANGED}
    print(f"  {moved}; orderCancel: {found['orderCancel']}")
    changed |= bare != list(BARE) or not all(any(found[name].values()) for name in CODED)
    changed |= any(each != (version >= "2026-04") for each in moved.values())
    changed |= found["orderCancel"] != {"orderCancelUserErrors": True, "userErrors": False}
    changed |= coded * 10 < len(found) * 7
sys.exit("this has changed" if changed else 0)
PY

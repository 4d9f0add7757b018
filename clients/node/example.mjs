// The smallest ERP: books what is ordered, ships it in one box, and prints what became of it.
//
//     FULFILLD_SOCKET=fulfilld.sock node example.mjs [COUNT]
//
// ends after so many orders, for 0 when no event is left; without a count it never does. What it has done before it may
// do again: the keys are those of its own documents, so nothing happens twice.

import { Client, Problem } from "./fulfilld.mjs";

const erp = new Client();
const types = ["order.imported", "target.reached", "target.failed"];

/** Does what an event calls for; whether that was the last of its order. */
async function handle({ type, shop, order, target: id }) {
  try {
    if (type === "order.imported") {
      await erp.submit(shop, order, { state: "accepted" }, `sale-${shop}-${order}`);
      const parcel = { number: `B-${order}`, carrier: "DHL", tracking: [`3S${order}`] };
      await erp.submit(shop, order, { state: "shipped", parcel }, `box-${shop}-${order}`);
      return false;
    }
    const target = await erp.target(id);
    if (target.milestone !== "shipped") return false;
    console.log(shop, order, target.status);
  } catch (error) {
    if (!(error instanceof Problem && error.isFinal)) throw error;
    console.log(shop, order, "refused", error.code);
  }
  return true;
}

const most = Number(process.argv[2] ?? Infinity);
let ended = 0;
for await (const event of erp.consume("erp", { types, isEndless: most > 0 })) {
  if (await handle(event)) ended += 1;
  if (most > 0 && ended >= most) break;
}

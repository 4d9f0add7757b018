// Prints what the calls of the client answer, and the problems of those that are refused.

import { Client, Problem, Unreachable, pathOf } from "../../../clients/node/fulfilld.mjs";

const erp = new Client({ url: process.argv[2] });
const order = "a/ä 1";
const submitted = await erp.submit("acme", order, { state: "preparing" }, "k-1");
console.log((await erp.target(submitted.id, { waitSeconds: 0.01 })).status);
const ids = [];
for await (const each of erp.orders({ shop: "acme", limit: 2 })) ids.push(each.id);
console.log(ids.join(", "));
console.log((await erp.order("acme", order, { include: ["timeline"] })).timeline[0].type);
const page = await erp.call("GET", "/v1/consumers/erp/events", { query: { limit: 1 } });
console.log((await erp.ack("erp", page.next, { feed: page.feed })).cursor);
console.log((await erp.seek("erp", 0)).cursor);
for (const attempt of [
  () => erp.seek("erp", 10 ** 6),
  () => erp.ack("erp", 1, { feed: "another" }),
  () => erp.submit("acme", order, { state: "shipped" }, "k-1"),
  () => erp.order("nobody", "1"),
]) {
  try {
    console.log(await attempt());
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    console.log(error.status, error.code, "detail" in error.body && error.isFinal ? "True" : "False");
  }
}
try {
  await new Client({ socket: "no.sock" }).call("GET", "/v1/health");
} catch (error) {
  console.log(error instanceof Unreachable ? "unreachable" : error);
}
console.log((await erp.call("POST", "/v1/shops/acme/pause", { body: {} })).name);
const path = pathOf("shops", "acme", "orders", "1", "targets");
const planned = await erp.call("POST", path, { query: { dry_run: true }, body: { state: "preparing" } });
console.log("planned", planned.plan.length > 0 ? "True" : "False");

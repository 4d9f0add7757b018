// The list of orders with its filter, and the search by id or reference.

const PAGE_SIZE = 50;

async function ordersPage(filter, status, isCurrent) {
  const chosen = Object.fromEntries(["shop", "state", "situation", "reference"].map((name) => [name, filter.get(name) ?? ""]));
  const body = el("tbody");
  const more = el("div", { class: "more" });
  const panel = el("div", { class: "panel" }, el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, ["Order", "Reference", "State", "Situation", "Payment", "Changed"].map((title) => el("th", { scope: "col" }, title)))),
    body)), more);
  const load = async (after) => {
    const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
    for (const [name, value] of Object.entries(chosen)) if (value) query.set(name, value);
    if (after) query.set("after", after);
    more.replaceChildren("Loading…");
    try {
      const found = await get(`/v1/orders?${query}`);
      if (!isCurrent()) return;
      body.append(...found.orders.map(orderRow));
      more.replaceChildren(found.next ? el("button", { type: "button", onclick: () => load(found.next) }, "More") : ending(body.children.length));
    } catch (failure) {
      more.replaceChildren(el("span", { class: "bad" }, failure.message));
    }
  };
  load(null);
  return [el("h1", { class: "head" }, "Orders"), filters(chosen, status), panel];
}

function ending(length) {
  return length ? el("span", { class: "soft" }, length === 1 ? "One order." : `All ${count(length)} orders.`)
    : el("span", { class: "soft" }, "No order matches. Orders come in by polling; one that is missing can be read with ", command("fulfilld refresh SHOP ID"));
}

function filters(chosen, status) {
  const form = el("form", { class: "filters" });
  const go = () => {
    const given = [...new FormData(form)].filter(([, value]) => value !== "");
    location.hash = `#/orders?${new URLSearchParams(given)}`;
  };
  const choice = (name, label, values) => el("label", {}, label, el("select", { name, onchange: go },
    el("option", { value: "" }, "any"), values.map((value) => el("option", { value, selected: value === chosen[name] }, value))));
  form.addEventListener("submit", (event) => { event.preventDefault(); go(); });
  const states = [...new Set([...MILESTONES, ...(status?.shops ?? []).flatMap((shop) => Object.keys(shop.by_state ?? {})), chosen.state])].filter(Boolean);
  form.append(choice("shop", "Shop", (status?.shops ?? []).map((shop) => shop.name)), choice("situation", "Situation", SITUATIONS),
    choice("state", "State or milestone", states),
    el("label", {}, "Reference", el("input", { name: "reference", value: chosen.reference, autocomplete: "off" })));
  return form;
}

function orderRow(order) {
  return el("tr", {}, el("td", {}, orderLink(order.shop, order.id)), el("td", { class: "wrap" }, order.reference ?? "–"),
    el("td", {}, order.state, order.milestone && order.milestone !== order.state ? el("span", { class: "soft" }, ` ${order.milestone}`) : null),
    el("td", {}, situation(order), order.withdrawn ? el("span", { class: "bad" }, " withdrawn") : null), el("td", {}, order.payment), el("td", {}, moment(order.updated_at)));
}

/** Finds an order by id or reference and goes there; answers words when there is none. */
async function search(text, shop, status) {
  const names = shop ? [shop] : (status?.shops ?? []).map((each) => each.name);
  const byId = names.map((name) => get(orderPath(name, text)).catch((failure) => {
    if (failure.status === 404 || failure.status === 422) return null;
    throw failure;
  }));
  const query = new URLSearchParams({ reference: text, limit: "2", ...(shop ? { shop } : {}) });
  const [referenced, ...identified] = await Promise.all([get(`/v1/orders?${query}`), ...byId]);
  const found = new Map([...identified.filter(Boolean), ...referenced.orders].map((order) => [`${order.shop}/${order.id}`, order]));
  if (found.size > 1) location.hash = `#/orders?${new URLSearchParams({ reference: text, ...(shop ? { shop } : {}) })}`;
  for (const order of found.size === 1 ? found.values() : []) location.hash = `#/order/${encodeURIComponent(order.shop)}/${encodeURIComponent(order.id)}`;
  return found.size ? "" : `No order has the id or reference ${text}${shop ? ` in ${shop}` : ""}. To read it from the platform: fulfilld refresh ${shell(shop || "SHOP")} ${shell(text)}`;
}

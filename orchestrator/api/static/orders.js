// The list of orders with its filter, kept up to date, and the search by id or reference.

const PAGE_SIZE = 100;
const MOST_ROWS = 1000;
const FILTERS = ["shop", "state", "situation", "problem", "step", "cause", "reference"];
const IN_BULK = ["retry", "skip", "hold", "release", "cancel"];
const PENDING = "pending"; // no situation, but a choice of this page alone: all orders with pending targets

const COLUMNS = [
  { title: "Order", key: "order", of: (order) => `${order.shop} ${order.id}` },
  { title: "Reference", key: "reference", of: (order) => order.reference ?? "" },
  { title: "State", key: "state", of: (order) => `${MILESTONES.indexOf(order.milestone)} ${order.state}` },
  { title: "Situation", key: "situation", of: (order) => order.situation },
  { title: "Payment", key: "payment", of: (order) => order.payment },
  { title: "Changed", key: "changed", of: (order) => order.updated_at, isNewestFirst: true },
];

/** The orders that a filter finds. `refresh` reads them again, `hears` says which events are about them. */
class OrdersPage {
  constructor(query, status) {
    this.chosen = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
    this.sort = { key: query.get("sort") ?? "changed", isDown: query.get("down") !== "0" };
    this.rows = [];
    this.answers = new Sequence();
    this.wanted = PAGE_SIZE;
    this.body = el("tbody", { role: "rowgroup" });
    this.head = el("tr", { role: "row" });
    this.more = el("div", { class: "more" }, "Loading…");
    this.page = [el("h1", { class: "head" }, "Orders"), orderFilters(this.chosen, status), this.bulkBar(),
      el("div", { class: "panel" }, el("table", { class: "orders", role: "table", "aria-label": "Orders" }, el("thead", { role: "rowgroup" }, this.head), this.body), this.more)];
    this.drawHead();
  }

  /** Buttons for all that match, where there is a filter that the daemon takes for that. */
  bulkBar() {
    const filter = Object.fromEntries(Object.entries(this.chosen).filter(([, value]) => value));
    if (!Object.keys(filter).length || filter.situation === PENDING) return null;
    return el("div", { class: "actions", role: "group", "aria-label": "All orders that match" }, el("span", { class: "soft" }, "All that match:"), bulkButtons(filter, IN_BULK, "small"));
  }

  /** Whether it is read again with each event; a long list is with the status. */
  get isLive() { return this.rows.length <= 2 * PAGE_SIZE; }

  async refresh() {
    const isCurrent = this.answers.begin();
    try {
      const { orders, isMore } = await this.read();
      if (!isCurrent()) return;
      [this.rows, this.isMore] = [orders, isMore];
      this.draw();
    } catch (failure) {
      this.more.replaceChildren(el("span", { class: "bad" }, failure.message));
    }
  }

  async read() {
    const { situation: doing, ...rest } = this.chosen;
    const wanted = Object.entries(rest).filter(([, value]) => value);
    const page = (name) => get(`/v1/orders?${new URLSearchParams([...wanted, ...(name ? [["situation", name]] : []), ["limit", String(this.wanted)]])}`);
    if (doing !== PENDING) {
      const found = await page(doing);
      return { orders: found.orders, isMore: found.next !== null };
    }
    const pages = await Promise.all(SITUATIONS.filter((name) => name !== "idle").map(page));
    return { orders: pages.flatMap((each) => each.orders).filter((order) => (order.targets ?? []).length), isMore: pages.some((each) => each.next !== null) };
  }

  draw() {
    const { of } = COLUMNS.find((column) => column.key === this.sort.key) ?? COLUMNS[0];
    const sorted = [...this.rows].sort((a, b) => collator.compare(of(a), of(b)) || collator.compare(a.id, b.id));
    if (this.sort.isDown) sorted.reverse();
    show(this.body, sorted, () => sorted.map(orderRow));
    show(this.more, [sorted.length, this.isMore, this.sort.key], () => this.ending(sorted.length));
  }

  drawHead() {
    show(this.head, this.sort, () => COLUMNS.map(({ title, key, isNewestFirst }) => {
      const isMine = key === this.sort.key;
      const sort = () => { this.sort = { key, isDown: isMine ? !this.sort.isDown : Boolean(isNewestFirst) }; this.drawHead(); this.draw(); };
      return el("th", { scope: "col", role: "columnheader", "aria-sort": isMine ? (this.sort.isDown ? "descending" : "ascending") : "none" },
        el("button", { type: "button", class: "sort", "data-key": `sort ${key}`, onclick: sort }, title));
    }));
  }

  ending(length) {
    if (!length) return el("span", { class: "soft" }, "No order matches. Orders come in by polling; one that is missing can be read with ", command("fulfilld refresh SHOP ID"));
    if (!this.isMore) return el("span", { class: "soft" }, length === 1 ? "One order." : `All ${count(length)} orders.`);
    const button = this.wanted < MOST_ROWS && el("button", { type: "button", "data-key": "more", onclick: () => { this.wanted = Math.min(this.wanted + 2 * PAGE_SIZE, MOST_ROWS); this.refresh(); } }, "More");
    return [el("span", { class: "soft" }, `${count(length)} are loaded, those imported first, and sorted. `), button || el("span", { class: "soft" }, "Narrow the filter to see others.")];
  }
}

const collator = new Intl.Collator("en", { numeric: true });

function orderFilters(chosen, status) {
  const form = el("form", { class: "filters", "aria-label": "Filter" });
  const go = () => {
    const given = [...new FormData(form)].filter(([, value]) => value !== "");
    location.hash = `#/orders?${new URLSearchParams(given)}`;
  };
  const choice = (name, label, values, more = []) => el("label", {}, label, el("select", { name, onchange: go },
    el("option", { value: "" }, "any"), values.map((value) => el("option", { value, selected: value === chosen[name] }, value)), more));
  form.addEventListener("submit", (event) => { event.preventDefault(); go(); });
  const states = [...new Set([...MILESTONES, ...(status?.shops ?? []).flatMap((shop) => Object.keys(shop.by_state ?? {})), chosen.state])].filter(Boolean);
  const problems = [...new Set([...Object.keys(ADVICE).filter((name) => name !== "attention"), chosen.problem])].filter(Boolean);
  form.append(choice("shop", "Shop", (status?.shops ?? []).map((shop) => shop.name)), choice("situation", "Situation", SITUATIONS, el("option", { value: PENDING, selected: chosen.situation === PENDING }, "any with pending targets")),
    choice("state", "State or milestone", states), choice("problem", "Problem", problems),
    el("label", {}, "Reference", el("input", { name: "reference", value: chosen.reference, autocomplete: "off" })));
  for (const name of ["step", "cause"]) {
    if (!chosen[name]) continue;
    const kept = el("input", { type: "hidden", name, value: chosen[name] });
    form.append(kept, el("button", { type: "button", class: "chip", title: `Without this ${name}`, onclick: () => { kept.remove(); go(); } }, `${name}: ${chosen[name]} ×`));
  }
  return form;
}

function orderRow(order) {
  const cell = (...children) => el("td", { role: "cell" }, ...children);
  return el("tr", { role: "row" }, cell(orderLink(order.shop, order.id)), el("td", { class: "wrap", role: "cell" }, order.reference ?? "–"),
    cell(order.state, order.milestone && order.milestone !== order.state ? el("span", { class: "soft" }, ` ${order.milestone}`) : null),
    cell(situation(order), order.withdrawn ? el("span", { class: "bad" }, " withdrawn") : null,
      order.problem && el("div", { class: "soft said" }, order.problem.detail || order.problem.title)),
    cell(order.payment), cell(moment(order.updated_at)));
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

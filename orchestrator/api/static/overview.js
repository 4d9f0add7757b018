// The overview: totals, what needs a person, the shops, the live feed.

/** `milestones`: milestone by native state name, by shop, for the colours. */
class Overview {
  constructor(feed) {
    this.notices = el("div");
    this.tiles = el("div", { class: "tiles" });
    this.attention = el("section", { "aria-label": "Needs a person" });
    this.shops = el("section", { "aria-label": "Shops" });
    this.deliveries = el("section", { "aria-label": "Deliveries" });
    this.nodes = el("section", { "aria-label": "Nodes" });
    const left = el("div", {}, this.attention, this.shops, this.deliveries, this.nodes);
    this.page = [el("h1", { class: "hidden" }, "Overview"), this.tiles, el("div", { class: "columns" }, left, feed.section)];
  }

  /** `causes`: why orders wait for a person, where they are many. */
  update(status, milestones, causes) {
    const totals = status.totals ?? {};
    show(this.tiles, [totals, needyCount(status)], () => tiles(totals, needyCount(status)));
    show(this.attention, [status.attention, pausedShops(status.shops), causes], () => attention(status, causes));
    // every second something in here grows older: only what is not a clock decides about drawing anew
    const steady = status.shops.map(({ oldest_pending_seconds: age, rate_limit: rate, as_of: _heartbeat, ...rest }) =>
      [rest, Math.floor((age ?? 0) / 10), rate && { ...rate, available: 0 }]);
    const nodes = status.nodes ?? [];
    const lost = status.lost_nodes ?? [];
    show(this.shops, [steady, milestones, nodes.length > 1], () => shops(status.shops, milestones, nodes));
    const seen = nodes.map(({ seen_seconds: _age, ...rest }) => rest); // grows older by itself
    show(this.nodes, [seen, lost, status.daemon?.node], () => nodesWords(nodes, lost, status.daemon?.node));
    const endpoints = (status.delivery ?? []).map(({ lag_seconds: age, ...rest }) => [rest, Math.floor((age ?? 0) / 10)]);
    show(this.deliveries, endpoints, () => deliveries(status.delivery ?? []));
  }
}

function tiles(totals, needy) {
  const by = totals.by_situation ?? {};
  const tile = (label, value, href, tone = "") =>
    el("a", { href, class: `panel tile ${tone} ${value ? "" : "none"}` }, el("b", {}, count(value)), el("span", {}, label));
  return [
    tile(plural(totals.orders, "order"), totals.orders, "#/orders"),
    tile(`${plural(totals.targets_pending, "target")} pending`, totals.targets_pending, `#/orders?situation=${PENDING}`),
    tile(needy === 1 ? "needs a person" : "need a person", needy, "#/needs", needy ? "bad" : ""),
    ...SITUATIONS.map((name) => tile(name, by[name] ?? 0, `#/orders?situation=${name}`, name === "blocked" && by.blocked ? "bad" : "")),
  ];
}

/** Shops that stand still until somebody does something. */
function pausedShops(all) {
  return (all ?? []).filter((shop) => shop.paused)
    .map((shop) => ({ name: shop.name, at: shop.paused_at, by: shop.paused_by, reason: shop.paused_reason }));
}

const MANY = 5; // so many orders that wait for a person are shown one by one, more by their causes

/** How many orders and shops wait for a person. */
function needyCount(status) {
  const wishes = (status.attention ?? []).filter(({ problem }) => problem?.type === "attention").length;
  return (status.totals?.by_situation?.blocked ?? 0) + wishes + pausedShops(status.shops).length;
}

function attention(status, causes) {
  const [orders, paused, needy] = [status.attention ?? [], pausedShops(status.shops), needyCount(status)];
  const heading = el("h2", { id: "needs" }, "Needs a person", " ", needy > 0 && badge(count(needy), "bad"));
  if (!orders.length && !paused.length) return [heading, el("p", { class: "panel empty" }, "Nothing. Every order goes its way or rests.")];
  const alone = causes ? orders.filter(({ problem }) => problem?.type === "attention") : orders;
  return [heading, el("ul", { class: "panel attention" }, paused.map(pausedShop), (causes?.causes ?? []).map(causeItem),
    alone.map((each) => needyOrder(each))),
  causes?.left_out > 0 && el("p", { class: "soft" }, `and ${several(causes.left_out, "cause")} more: `, ordersLink({ situation: "blocked" }, {}, "all blocked orders"))];
}

/** Orders that stand still for one cause, and what can be done with all of them. */
function causeItem({ cause, problem, title, step, detail, count: orders, shops, since, sample }) {
  const filter = { cause };
  return el("li", {},
    el("div", { class: "facts-line" }, el("strong", { class: "bad" }, `${several(orders, "order")}: ${title}`), step && el("span", {}, "step ", el("code", {}, step)),
      el("span", {}, Object.entries(shops).map(([name, n]) => `${name} ${count(n)}`).join(", ")), el("span", {}, "since ", moment(since))),
    detail && el("blockquote", {}, detail),
    ADVICE[problem] && el("p", { class: "soft" }, ADVICE[problem]),
    el("p", { class: "facts-line" }, "such as ", sample.map((each) => orderLink(each.shop, each.order))),
    el("div", { class: "commands" }, ordersLink(filter, { class: "button" }, `Show ${several(orders, "order")}`),
      bulkButtons(filter, remediesInBulk({ type: problem, step }), "",
        el("div", {}, el("strong", {}, title), ...(step ? [" (step ", el("code", {}, step), ")"] : []), detail && el("blockquote", {}, detail)))));
}

function pausedShop({ name, at, by, reason }) {
  const isDenied = by === "access_denied";
  const advice = isDenied
    ? "The platform does not accept the shop's credentials. Put new ones in place and send SIGHUP, or resume."
    : by === "restore"
    ? "The store took another one's place: what was cancelled or done since it was copied would be done again. Compare with the platform, cancel, then resume."
    : by === "another_account"
    ? "The orders kept under this name are of another account. Give the new one a name of its own in the config; resume only if it is the same shop."
    : "Somebody paused this shop: no step starts and nothing is polled until it is resumed.";
  return el("li", {},
    el("div", { class: "facts-line" }, el("strong", { class: isDenied ? "bad" : "warn" }, isDenied ? "Access denied" : "Paused"),
      el("span", { class: "id" }, name), at && moment(at)),
    reason && el("blockquote", {}, String(reason)), el("p", { class: "soft" }, advice),
    shopButtons({ name, paused: true, paused_by: by }),
    onTerminal([isDenied && "fulfilld doctor", `fulfilld resume ${shell(name)}`].filter(Boolean)));
}

function needyOrder({ shop, order, problem }, actions = true) {
  const p = problem ?? {};
  return el("li", {},
    el("div", { class: "facts-line" }, el("strong", { class: "bad" }, p.title ?? p.type ?? "Blocked"),
      order ? orderLink(shop, order) : el("span", { class: "id" }, shop), p.step && el("span", {}, "step ", el("code", {}, p.step)), p.since && moment(p.since)),
    p.detail && el("blockquote", {}, p.detail),
    ADVICE[p.type] && el("p", { class: "soft" }, ADVICE[p.type]),
    order && actions && el("div", { class: "commands" }, remediesOf(p).map((name) => actionButton({ shop, id: order, problem: p, attention: p.type === "attention" }, name))),
    order && onTerminal(remedies(shop, order, p)));
}

/** The daemons that share the shops, or did within the hour, where there are several: one alone is in the header. */
function nodesWords(nodes, lost, mine) {
  if (nodes.length + lost.length < 2) return [];
  const item = (node, badges, words) => el("li", { class: "pad" }, el("div", { class: "line" }, el("span", { class: "id wrap" }, node.name), badges,
    node.version && el("span", { class: "soft" }, `version ${node.version}`), el("span", { title: node.shops.join(", ") }, words),
    el("span", { class: node.silent ? "bad" : "soft" }, "seen ", moment(node.seen_at))));
  return [el("h2", {}, "Nodes"), el("ul", { class: "panel rows nodes" },
    nodes.map((node) => item(node, [node.name === mine && badge("this page's"), node.silent && badge("silent", "bad"), node.draining && badge("draining", "warn")],
      node.shops.length ? several(node.shops.length, "shop") : "no shop")),
    lost.map((node) => item(node, [badge("lost", "bad")], `worked for ${node.shops.length ? several(node.shops.length, "shop") : "no shop"}`)))];
}

const TAKEN_BECAUSE = { lease_ended: "its lease ended", handed_over: "handed over" };

/** The node that works for a shop, and whom it has the shop from. */
function holderWords({ holder, takeover }, areSeveral) {
  if (!holder || !(areSeveral || takeover?.why === "lease_ended")) return null;
  return [el("span", { class: "wrap" }, `held by ${holder}`),
    takeover?.from && el("span", { class: "wrap" }, `taken over from ${takeover.from} `, moment(takeover.at), ` (${TAKEN_BECAUSE[takeover.why] ?? takeover.why})`)];
}

function shops(all, milestones, nodes) {
  const heading = el("h2", {}, "Shops");
  if (!all.length) {
    return [heading, el("p", { class: "panel empty" }, "No shop yet. Add one to ", el("code", {}, "shops"), " in the config file (",
      command("fulfilld config example"), " shows how) and send the daemon SIGHUP.")];
  }
  return [heading, el("ul", { class: "shops" }, all.map((shop) => shopCard(shop, milestones[shop.name] ?? {}, nodes.length > 1)))];
}

function shopCard(shop, milestones, areSeveral) {
  const trouble = shop.circuit === "open" || shop.last_sync_error || shop.holder_silent;
  return el("li", { class: `panel pad shop ${trouble ? "trouble" : shop.paused ? "stands" : ""}` },
    el("div", { class: "head" }, el("h3", {}, shop.name), el("span", { class: "soft" }, shop.platform),
      el("span", { class: "badges" }, conditions(shop, areSeveral))),
    stateBar(shop, milestones),
    el("div", { class: "counts" }, SITUATIONS.filter((name) => name !== "idle").map((name) => {
      const orders = shop.by_situation?.[name] ?? 0; // the shop's own `held` says who works for it
      return ordersLink({ shop: shop.name, situation: name }, { class: `${orders ? "some" : ""} ${name === "blocked" && orders ? "bad" : ""}` },
        el("b", {}, count(orders)), ` ${name}`);
    })),
    shop.wait && !shop.paused && el("p", { class: "warn" }, `waits: ${String(shop.wait.reason).replaceAll("_", " ")}`,
      shop.wait.until ? [" until ", moment(shop.wait.until)] : null, shop.wait.detail ? el("span", { class: "soft wrap" }, ` ${shop.wait.detail}`) : null),
    shop.holder_silent && el("p", { class: "bad" }, "its node is silent: nothing goes on until it is back, or another node has taken over"),
    shop.last_sync_error && el("blockquote", { class: "bad" }, `last sync: ${shop.last_sync_error}`),
    webhookWords(shop),
    el("div", { class: "facts-line" }, holderWords(shop, areSeveral), el("span", {}, "synced ", moment(shop.last_sync_at)),
      shop.skipped ? el("span", { title: "orders from before, which polls and webhooks do not import" }, `${count(shop.skipped)} left out as history`) : null,
      shop.oldest_pending_seconds ? el("span", {}, `oldest target ${duration(shop.oldest_pending_seconds)}`) : null,
      rateWords(shop.rate_limit)),
    shopButtons(shop));
}

/** Receivers of the ERP, each with what it has to get yet. */
function deliveries(all) {
  if (!all.length) return [];
  return [el("h2", {}, "Deliveries"), el("ul", { class: "shops" }, all.map((one) => {
    const trouble = one.last_error && one.lag_events;
    return el("li", { class: `panel pad shop ${trouble ? "trouble" : one.paused ? "stands" : ""}` },
      el("div", { class: "head" }, el("h3", {}, el("a", { href: "#/pushes" }, one.name)),
        el("span", { class: "badges" }, one.paused ? badge("paused", "warn") : trouble ? badge("failing", "bad") : badge("ok", "good"))),
      el("div", { class: "facts-line" }, el("span", {}, one.lag_events
        ? `${several(one.lag_events, "event")} to deliver, the oldest waits for ${duration(one.lag_seconds)}` : "everything is delivered")),
      one.last_error && el("blockquote", { class: trouble ? "bad" : "" }, String(one.last_error)),
      el("div", { class: "commands" }, deliveryButton(one)));
  }))];
}

function webhookWords(shop) {
  const missing = Object.entries(shop.webhooks?.missing ?? {});
  if (!missing.length) return null;
  return el("p", { class: "warn" }, `webhooks not sent: ${missing.length} `,
    el("span", { class: "soft wrap", title: missing.map(([topic, why]) => `${topic}: ${why}`).join("\n") },
      missing.slice(0, 3).map(([topic]) => topic).join(", "), missing.length > 3 ? " …" : ""),
    el("div", { class: "commands" }, command(`fulfilld webhooks ${shell(shop.name)}`)));
}

/** `areSeveral`: nodes that share the shops, of which any may work for this one. */
function conditions(shop, areSeveral) {
  const found = [];
  if (areSeveral ? !shop.holder : shop.held === false) found.push(badge(areSeveral ? "held by no node" : "not held here", "warn"));
  if (shop.holder_silent) found.push(badge("node silent", "bad"));
  if (shop.paused) found.push(badge("paused", "warn"));
  if (shop.circuit === "open") found.push(badge("circuit open", "bad"));
  if (shop.circuit === "half_open") found.push(badge("circuit half open", "warn"));
  if (shop.last_sync_error) found.push(badge("sync failed", "bad"));
  if (Object.keys(shop.webhooks?.missing ?? {}).length) found.push(badge("webhooks missing", "warn"));
  return found.length ? found : [badge("ok", "good")];
}

function rateWords(rate) {
  if (!rate || !rate.rate_per_second) return null;
  return el("span", { title: `burst ${rate.burst}, ${rate.concurrency} calls at once` }, `at most ${rate.rate_per_second} calls/s`);
}

function stateBar(shop, milestones) {
  const order = Object.keys(milestones);
  const place = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  const states = Object.entries(shop.by_state ?? {}).filter(([, n]) => n > 0).sort(([a], [b]) => place(a) - place(b));
  if (!states.length) return el("p", { class: "soft" }, shop.last_sync_at ? "No open orders; those from before are history." : "No orders yet. The first sync has not ended.");
  const painted = (node, name) => { node.style.background = colour(milestones[name]); return node; };
  const bar = el("div", { class: "bar", "aria-hidden": "true" }, states.map(([name, n]) => {
    const part = painted(el("i", { title: `${name}: ${count(n)}` }), name);
    part.style.flex = `${n} 1 0`;
    return part;
  }));
  const legend = el("div", { class: "legend" }, states.map(([name, n]) =>
    ordersLink({ shop: shop.name, state: name }, { class: "wrap" }, painted(el("i"), name), `${name} `, el("b", {}, count(n)))));
  return [bar, legend];
}

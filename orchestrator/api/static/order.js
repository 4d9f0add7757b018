// One order: where it stands, its targets, what happened, where it is on the map.

/** Shows one order and keeps it fresh. `refresh` reads it again. */
class OrderPage {
  constructor(shop, id) {
    [this.shop, this.id] = [shop, id];
    [this.actions, this.facts, this.steps] = [el("div", { class: "actions" }), el("div"), el("section")];
    [this.targets, this.timeline, this.map] = [el("section"), el("section"), el("section")];
    this.payload = this.payloadPanel();
    this.page = [el("div", { class: "head" }, el("h1", { class: "wrap" }, `${shop} / ${id}`)), this.actions, this.facts, this.steps,
      el("div", { class: "columns" }, el("div", {}, this.targets, this.payload), this.timeline), this.map];
    this.here = undefined;
    this.answers = new Sequence();
  }

  async refresh() {
    const isCurrent = this.answers.begin();
    let order;
    try {
      order = await get(`${orderPath(this.shop, this.id)}?include=timeline`);
      if (!isCurrent()) return;
    } catch (failure) {
      if (failure.status === 404) show(this.facts, "missing", () => this.missing());
      else show(this.facts, failure.message, () => el("p", { class: "panel empty bad" }, failure.message));
      return;
    }
    const { timeline, ...rest } = order;
    show(this.actions, [order.situation, order.problem, order.attention, order.targets, order.state], () => [
      el("button", { type: "button", class: "main", "data-key": "submit", onclick: () => submitTarget(order, Object.keys(milestones[order.shop] ?? {})) }, "Submit a target…"),
      ...fitting(order).map((name) => actionButton(order, name))]);
    show(this.facts, rest, () => orderFacts(order));
    show(this.targets, order.targets, () => orderTargets(order.targets ?? []));
    show(this.steps, [order.situation, order.targets, timeline], () => stepper(order, timeline ?? []));
    show(this.timeline, timeline, () => story(timeline ?? []));
    if (this.here !== order.state) {
      this.here = order.state;
      // a shop that left the config has no machine of its own any more
      const drawn = await picture(order.platform, order.state, order.shop) ?? await picture(order.platform, order.state);
      this.map.replaceChildren(el("h2", {}, "Where it is"), drawn ? picturePanel(drawn, `The states of ${order.platform}`)
        : el("p", { class: "panel empty" }, "The machine's picture could not be read."));
    }
  }

  missing() {
    return el("div", { class: "panel pad" }, el("p", {}, "This order is not known here. If the platform has it, it can be read now:"),
      el("div", { class: "commands" }, actionButton({ shop: this.shop, id: this.id }, "refresh")));
  }

  payloadPanel() {
    const text = el("pre", { tabindex: "0", "aria-label": "Payload" });
    const panel = el("details", { class: "panel" }, el("summary", {}, "Payload as the platform sent it"), text);
    panel.addEventListener("toggle", async () => {
      if (!panel.open) return;
      text.textContent = "Loading…";
      try {
        const { payload } = await get(`${orderPath(this.shop, this.id)}?include=payload`, exactly);
        text.textContent = payload === undefined || payload === null ? "Nothing is kept."
          : typeof payload === "string" ? payload : JSON.stringify(payload, null, 2);
      } catch (failure) {
        text.textContent = failure.message;
      }
    });
    return panel;
  }
}

function orderFacts(order) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
  const problem = order.problem;
  return [
    el("dl", { class: "panel pad facts" },
      fact("State", el("strong", {}, order.state), order.milestone ? el("span", { class: "soft" }, ` ${order.milestone}`) : ""),
      fact("Situation", situation(order), order.attempts && !problem ? ` after ${order.attempts === 1 ? "1 attempt" : `${order.attempts} attempts`}` : ""),
      fact("Platform", order.platform, order.platform_state && order.platform_state !== order.state ? el("div", { class: "soft" }, `shows ${order.platform_state}`) : ""), fact("Reference", order.reference ?? "–"), fact("Payment", order.payment),
      order.withdrawn && fact("Withdrawn", el("strong", { class: "bad" }, "by the buyer"), order.withdrawn_at ? [" ", moment(order.withdrawn_at)] : ""),
      order.next_attempt_at && fact("Next attempt", moment(order.next_attempt_at)),
      order.wait && fact("Waits for", String(order.wait.reason).replaceAll("_", " "), order.wait.until ? [" until ", moment(order.wait.until)] : "",
        order.wait.detail ? el("div", { class: "soft" }, order.wait.detail) : ""),
      ...(order.returns ?? []).map((each, n) => fact(n ? "" : "Returns", el("strong", {}, each.state), ` ${each.id}`,
        el("div", { class: "soft" }, each.lines.map((row) => `${row.id} ×${row.quantity}`).join(", ")))),
      fact("One step away", (order.allowed ?? []).join(", ") || "nothing"),
      fact("Imported", moment(order.imported_at)), fact("Changed", moment(order.updated_at))),
    problem && el("ul", { class: "panel attention" }, needyOrder({ shop: order.shop, order: order.id, problem }, false)),
    order.attention && el("ul", { class: "panel attention" }, needyOrder({ shop: order.shop, order: order.id,
      problem: { type: "attention", title: "The ERP asks for a person", detail: order.attention.reason, since: order.attention.since } }, false)),
    order.situation === "held" && el("p", { class: "warn" }, `Held${order.held_reason ? ` (${order.held_reason})` : ""}: no step begins.`,
      isBlockedToo(order) && " It is blocked as well: a release ends the hold alone, and what helps with the problem may be done before."),
    el("br"),
  ];
}

function orderTargets(targets) {
  const heading = el("h2", {}, "Targets");
  if (!targets.length) return [heading, el("p", { class: "panel empty" }, "No pending targets.")];
  return [heading, el("ol", { class: "panel rows targets" }, targets.map((target) => el("li", {},
    el("div", { class: "facts-line" }, el("strong", {}, target.state), badge(target.status, TARGET_TONES[target.status]), moment(target.submitted_at),
      el("span", { class: "id wrap" }, target.id)),
    (target.plan ?? []).length > 0 && planList(target.plan),
    (target.unused ?? []).length > 0 && el("p", { class: "soft" }, `No use on this platform for: ${target.unused.join(", ")}`))))];
}

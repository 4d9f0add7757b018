// A new target: what is wanted, then the plan that leads there, and only then the submission.

/** Asks for a target of an order. `states` are the names that its shop's machine has. */
function submitTarget(order, states) {
  const where = `${order.shop}/${order.id}`;
  const path = `${orderPath(order.shop, order.id)}/targets`;
  const options = (label, names) => el("optgroup", { label }, names.map((name) => el("option", { value: name }, name)));
  const own = states.filter((name) => name !== order.state);
  const choice = el("select", { name: "state", required: true }, el("option", { value: "" }, "choose"),
    options("Milestones, the same on every platform", MILESTONES), options("The platform's own", own));
  const plan = el("div", { "aria-live": "polite" });
  const key = freshKey();
  let shown = null; // the target whose plan is on the screen
  const { form, go } = ask({
    title: `Submit a target: ${where}`, button: "Show the plan",
    say: [
      el("label", { class: "field" }, el("span", {}, "Where the order is to be"), choice, el("small", { class: "soft" }, `It is ${order.state} now.`)),
      el("fieldset", {}, el("legend", {}, "Tracking (optional)"), field("Code", "code"), field("Link", "url", { type: "url", placeholder: "https://" }), field("Carrier", "carrier")),
      el("details", {}, el("summary", {}, "More"),
        field("Only these lines", "items", {}, "Ids with commas. Empty: all of the order."), field("ERP order number", "erp_order_number"), field("Reason", "reason", { maxlength: 2000 })),
      plan,
    ],
    act: async () => {
      const target = wanted(filled(form));
      if (shown !== JSON.stringify(target)) {
        const preview = await send("POST", `${path}?dry_run=true`, target);
        plan.replaceChildren(...previewWords(preview));
        [shown, go.textContent] = [JSON.stringify(target), `Submit ${target.state}`];
        plan.scrollIntoView({ block: "nearest" });
        return false;
      }
      const made = await send("POST", path, target, { "Idempotency-Key": `${key}-${target.state}` });
      report(made.status === "reached" ? `${where}: ${made.state} is reached already.` : `${where}: ${made.state} is submitted.`);
      return true;
    },
  });
  form.addEventListener("input", () => {
    if (shown === null) return;
    [shown, go.textContent] = [null, "Show the plan"];
    plan.replaceChildren();
  });
}

function wanted({ code, url, carrier, items, ...rest }) {
  const tracking = Object.fromEntries(Object.entries({ code, url, carrier }).filter(([, value]) => value));
  return { ...rest, ...(Object.keys(tracking).length ? { tracking } : {}),
    ...(items ? { items: items.split(",").map((id) => id.trim()).filter(Boolean) } : {}) };
}

function previewWords({ state, plan, unused }) {
  return [el("h3", {}, "The plan"),
    plan.length ? planList(plan) : el("p", {}, `Nothing is left to do for it: ${state} is reached, or the targets before it lead there.`),
    unused.length > 0 && el("p", { class: "warn" }, `No use on this platform for: ${unused.join(", ")}`)].filter(Boolean);
}

function planList(plan) {
  const tones = { done: "good", now: "busy", next: "" };
  return el("ol", { class: "plan" }, el("li", { class: "soft" }, plan[0].from), plan.map((step) =>
    el("li", {}, badge(`${step.step} ${step.status === "next" ? "" : step.status}`.trim(), tones[step.status]), step.to !== step.from && el("span", { class: "soft" }, step.to))));
}

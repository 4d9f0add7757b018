// What the contract's words mean to a person: tones, sentences about events, advice.

const SITUATIONS = ["idle", "queued", "running", "retrying", "waiting", "blocked", "held"];
const SITUATION_TONES = { running: "busy", retrying: "warn", waiting: "warn", blocked: "bad", held: "warn" };
const TARGET_TONES = { running: "busy", blocked: "bad", reached: "good", failed: "bad" };
const EVENT_TONES = {
  "order.blocked": "bad", "import.rejected": "bad", "target.failed": "bad", "step.failed": "warn", "sync.failed": "warn",
  "shop.access_denied": "bad", "shop.paused": "warn", "order.drifted": "warn", "store.failed_over": "warn", "order.held": "warn",
  "target.reached": "good", "step.done": "good", "shop.resumed": "good",
};
const MILESTONES = ["new", "accepted", "preparing", "shipped", "delivered", "returned", "cancelled", "attention"];

const ADVICE = {
  "rejected": "The platform refused this step. Fix the order there, then retry; if the step was done by hand, skip it.",
  "attempts-exhausted": "The platform kept failing. When it works again, retry.",
  "not-allowed": "The order must not be shipped any more. Cancel it, here and on the platform; if that is undone on the platform, it goes on by itself.",
  "unknown-state": "Move the order to a state that the machine knows in the shop's own panel, then refresh.",
  "attention": "The ERP asks for a person. Nothing of the order is held back; when it is dealt with, release it, or let the ERP submit its next target.",
  "quarantined": "The daemon died again and again in this step. Read its log first; then retry, or do the step by hand and skip it.",
};

/** The actions that help with a blocked order, the likeliest first. */
function remediesOf(problem) {
  if (problem?.type === "attention") return ["release"];
  if (problem?.type === "unknown-state") return ["refresh", "cancel"];
  if (problem?.type === "not-allowed") return ["cancel", "refresh"];
  return ["retry", ...(problem?.step ? ["skip"] : []), "cancel"];
}

/** The same as commands. */
function remedies(shop, order, problem) {
  return remediesOf(problem).map((name) => `fulfilld ${name} ${shell(shop)} ${shell(order)}${name === "skip" ? " --reason 'done by hand'" : ""}`);
}

/** What an order is doing; one that is held may be blocked as well, which a release does not end. */
function situation(order) {
  const held = badge(order.situation, SITUATION_TONES[order.situation]);
  return isBlockedToo(order) ? el("span", {}, held, " ", badge("blocked", SITUATION_TONES.blocked)) : held;
}

/** Whether a held order would be blocked if it were not: that its platform has it no more blocks nothing. */
function isBlockedToo(order) { return order.situation === "held" && Boolean(order.problem) && order.problem.type !== "order-not-found"; }

/** The colour of a state: that of its milestone. */
function colour(milestone) { return `var(--m-${MILESTONES.includes(milestone) ? milestone : "other"})`; }

/** What an event says beside its type, in brief. */
function said(event) {
  const data = event.data ?? {};
  const parts = [];
  if (data.step) parts.push(data.from && data.from !== data.to ? `${data.step}: ${data.from} → ${data.to}` : data.step);
  else if (data.from && data.to) parts.push(`${data.from} → ${data.to}`);
  else if (data.state) parts.push(data.state);
  if (data.how && data.how !== "called") parts.push(data.how.replaceAll("_", " "));
  if (data.kind) parts.push(data.kind.replaceAll("_", " "));
  if (data.attempt > 1 || (data.attempt && data.kind)) parts.push(`attempt ${data.attempt}`);
  if (data.problem) parts.push([data.problem.title, data.problem.detail].filter(Boolean).join(": "));
  for (const word of [data.detail, data.reason, data.error, data.reference]) if (word) parts.push(String(word));
  if (data.by) parts.push(`by ${data.by}`);
  if (typeof data.seen === "number") {
    const found = ["imported", "updated", "drifted", "rejected"].filter((name) => data[name]).map((name) => `${data[name]} ${name}`);
    parts.push([`${data.seen} seen`, ...found].join(", "));
  }
  return parts.join(" · ");
}

// What a person can have done: to an order, to a shop, to a receiver of events. Each is one call of the API.

/** Every action on an order: what it does, when it is offered, and what is asked before. */
const ORDER_ACTIONS = {
  retry: { label: "Retry", done: "is tried again" },
  skip: {
    label: "Skip…", done: "the step counts as done by hand", button: "Skip the step", tone: "bad",
    say: (order) => [el("p", {}, "The step ", el("code", {}, order.problem?.step ?? ""), " will not be called. It counts as done by hand, which cannot be undone."),
      reasonField(true, "How it was done by hand. It is kept with the order.")],
  },
  hold: {
    label: "Hold…", done: "is held", button: "Hold the order",
    say: () => [el("p", {}, "No further step of the order begins until it is released. A call that is out ends."), reasonField(false)],
  },
  release: { label: "Release", done: "is released" },
  refresh: { label: "Refresh", done: "was read from its platform" },
  announce: {
    label: "Announce…", done: "was announced", button: "Announce the order",
    say: () => [el("p", {}, "Every reader of the feed gets the order once more. What is in the feed stays there.")],
  },
  cancel: {
    label: "Cancel…", done: "has no targets any more", button: "Drop its targets", tone: "bad",
    say: (order) => [el("p", {}, (order.targets ?? []).length ? `Its ${several(order.targets.length, "pending target")} will be dropped` : "Its pending targets will be dropped",
      ", which cannot be undone. What was done on the platform stays; a call that is out ends.")],
  },
};

/** Which actions help an order where it is, the likeliest first. */
function fitting(order) {
  const { situation: doing, problem, attention: wish } = order;
  const helps = [];
  if (doing === "blocked" || isBlockedToo(order)) helps.push(...remediesOf(problem).filter((name) => name !== "cancel"));
  if (doing === "retrying" || doing === "waiting") helps.push("retry");
  if (doing === "held" || wish) helps.push("release");
  if (doing !== "held") helps.push("hold");
  helps.push("refresh", "announce");
  if ((order.targets ?? []).length) helps.push("cancel");
  return [...new Set(helps)];
}

/** A listener of a button that acts at once: who clicks it twice, as icons are opened, means it once. */
function once(act) { return (event) => { if (event.detail < 2) act(); }; }

function actionButton(order, name) {
  const { label } = ORDER_ACTIONS[name];
  const words = name === "release" && order.attention && order.situation !== "held" ? "Clear attention" : label;
  return el("button", { type: "button", "data-key": `${name} ${order.shop}/${order.id}`, onclick: once(() => operate(order, name)) }, words);
}

/** Does one action on an order, after asking where it has to be. */
function operate(order, name) {
  const { done, say, button, tone } = ORDER_ACTIONS[name];
  const where = `${order.shop}/${order.id}`;
  const act = async (body) => {
    await send("POST", `${orderPath(order.shop, order.id)}/${name}`, body);
    report(`${where}: ${done}.`);
  };
  if (!say) return attempt(where, () => act());
  return ask({ title: `${button}: ${where}`, say: say(order), button, tone, act: ({ form }) => {
    const given = filled(form);
    return act(Object.keys(given).length ? given : undefined);
  } });
}

const RESUME_WARNINGS = {
  restore: "The store is a copy: what was cancelled or done since it was made would be done again. Compare with the platform first.",
  another_account: "The orders kept under this name are of another account. Resume only if it is the same shop.",
};

function shopButtons(shop) {
  const button = (name, label, onclick) => el("button", { type: "button", class: "small", "data-key": `${name} ${shop.name}`, onclick: once(onclick) }, label);
  const path = `/v1/shops/${encodeURIComponent(shop.name)}`;
  const act = async (name, done, body) => { await send("POST", `${path}/${name}`, body); report(`${shop.name}: ${done}.`); };
  const pause = () => ask({ title: `Pause ${shop.name}`, button: "Pause the shop", say: [
    el("p", {}, "No step of its orders starts and nothing is polled until it is resumed. Calls that are out end."), reasonField(false)],
  act: ({ form }) => { const given = filled(form); return act("pause", "is paused", Object.keys(given).length ? given : undefined); } });
  const warning = RESUME_WARNINGS[shop.paused_by];
  const resume = () => (warning ? ask({ title: `Resume ${shop.name}`, button: "Resume the shop", tone: "bad", say: [el("p", {}, warning)], act: () => act("resume", "goes on") })
    : attempt(shop.name, () => act("resume", "goes on")));
  return el("div", { class: "commands" },
    shop.paused ? button("resume", warning ? "Resume…" : "Resume", resume) : button("pause", "Pause…", pause),
    button("sync", "Sync", () => attempt(shop.name, () => act("sync", "a sync begins; the feed shows what it finds"))));
}

function deliveryButton(one) {
  const name = one.paused ? "resume" : "pause";
  const act = async () => { await send("POST", `/v1/delivery/${encodeURIComponent(one.name)}/${name}`); report(`${one.name}: ${one.paused ? "goes on" : "is paused"}.`); };
  const pause = () => ask({ title: `Pause ${one.name}`, button: "Pause the deliveries", say: [el("p", {}, "Nothing is sent to this receiver until it is resumed. Its events wait and are not lost.")], act });
  return el("button", { type: "button", class: "small", "data-key": `${name} ${one.name}`, onclick: once(() => (one.paused ? attempt(one.name, act) : pause())) }, one.paused ? "Resume" : "Pause…");
}

/** Does what needs no asking back; a refusal is shown at the top. */
async function attempt(where, act) {
  try {
    await act();
  } catch (failure) {
    notify([`${where}: `, ...problemWords(failure)], "bad", "action");
  }
}

/** Says what was done, and has the page show what came of it. */
function report(words) {
  notify([words], "good", "action");
  renew();
}

/** The commands for a terminal, for who would rather have those. */
function onTerminal(commands) {
  return commands.length ? el("details", { class: "terminal", "data-key": `terminal ${commands[0]}` }, el("summary", {}, "On a terminal"), el("div", { class: "commands" }, commands.map(command))) : null;
}

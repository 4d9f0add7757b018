// Pushes and consumers: each receiver with its attempts, what a person can send it, and the consumers that pull.

const ATTEMPTS_LENGTH = 20;
const ATTEMPT_KINDS = { again: "sent again by hand", test: "test" };

function deliveryPath(name) { return `/v1/delivery/${encodeURIComponent(name)}`; }
function consumerPath(name) { return `/v1/consumers/${encodeURIComponent(name)}`; }

/** Shows receivers and consumers; `refresh` reads them again. */
class PushesPage {
  constructor() {
    this.receivers = el("div");
    this.consumers = el("section");
    this.panels = new Map();
    this.page = [el("h1", { class: "head" }, "Pushes and consumers"), this.receivers, this.consumers];
  }

  async refresh() {
    try {
      const [{ delivery }, { consumers }] = await Promise.all([get("/v1/delivery"), get("/v1/consumers")]);
      const names = delivery.map((each) => each.name);
      show(this.receivers, names, () => {
        this.panels = new Map(names.map((name) => [name, new ReceiverPanel(name)]));
        return names.length ? [...this.panels.values()].map((panel) => panel.section)
          : el("p", { class: "panel empty" }, "Nothing is pushed: the config has no ", el("code", {}, "delivery"), ". Whoever wants events asks for them as a consumer.");
      });
      for (const each of delivery) this.panels.get(each.name).update(each);
      // every second a lag grows older: it alone is no reason to draw anew
      show(this.consumers, consumers.map(({ lag_seconds: age, ...rest }) => [rest, Math.floor(age / 10)]), () => consumerTable(consumers));
    } catch (failure) {
      this.consumers.shown = null;
      this.consumers.replaceChildren(el("p", { class: "panel empty bad" }, failure.message));
    }
  }
}

/** One receiver: where it is, what can be done with it, and the newest attempts. */
class ReceiverPanel {
  constructor(name) {
    this.name = name;
    this.onlyFailed = false;
    this.answers = new Sequence();
    this.facts = el("div", { class: "panel pad shop" });
    this.rows = el("tbody");
    this.more = el("p", { class: "more" });
    this.shown = ATTEMPTS_LENGTH;
    const filter = el("input", { type: "checkbox", onchange: () => { this.onlyFailed = filter.checked; this.shown = ATTEMPTS_LENGTH; this.load(); } });
    const heads = ["At", "Event", "Order", "Attempt", "Took", "Answer", ""];
    this.section = el("section", { "aria-label": name }, el("h2", {}, name), this.facts, el("br"),
      el("div", { class: "panel" }, el("div", { class: "pad head" }, el("h3", {}, "Attempts"), el("label", { class: "check" }, filter, "only failed")),
        el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Attempts to push to ${name}` },
          el("table", { class: "attempts" }, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head || el("span", { class: "hidden" }, "Action"))))), this.rows)), this.more));
  }

  update(receiver) {
    const { lag_seconds: age, ...rest } = receiver;
    show(this.facts, [rest, Math.floor((age ?? 0) / 10)], () => receiverFacts(receiver));
    this.load();
  }

  async load() {
    const isCurrent = this.answers.begin();
    const attempts = [];
    let after = null;
    try {
      do {
        const query = new URLSearchParams({ limit: String(ATTEMPTS_LENGTH), ...(this.onlyFailed ? { failed: "true" } : {}), ...(after ? { after } : {}) });
        const found = await get(`${deliveryPath(this.name)}/attempts?${query}`);
        attempts.push(...found.attempts);
        after = found.next;
      } while (after && attempts.length < this.shown);
    } catch (failure) {
      this.more.replaceChildren(el("span", { class: "bad" }, failure.message));
      return;
    }
    if (!isCurrent()) return;
    show(this.rows, attempts, () => attempts.map((each) => attemptRow(this.name, each)));
    show(this.more, [attempts.length, Boolean(after)], () => (after
      ? el("button", { type: "button", "data-key": `older ${this.name}`, onclick: () => { this.shown += ATTEMPTS_LENGTH; this.load(); } }, "Older")
      : el("span", { class: "soft" }, attempts.length ? "These are all that are kept." : this.onlyFailed ? "No attempt that is kept failed." : "Nothing was sent yet.")));
  }
}

function receiverFacts(receiver) {
  const { name, paused, last_error: error, lag_events: lag, lag_seconds: age, parked, cursor } = receiver;
  const isFailing = error && lag;
  const button = (label, key, onclick) => el("button", { type: "button", class: "small", "data-key": `${key} ${name}`, onclick: once(onclick) }, label);
  return [
    el("div", { class: "facts-line" }, paused ? badge("paused", "warn") : isFailing ? badge("failing", "bad") : badge("ok", "good"),
      el("span", {}, lag ? `${several(lag, "event")} to deliver, the oldest waits for ${duration(age)}` : "everything is delivered"),
      parked ? el("span", {}, `${several(parked, "event")} parked`) : null,
      el("span", {}, `at cursor ${cursor}`), el("span", {}, ...(receiver.delivered_at ? ["took one ", moment(receiver.delivered_at)] : ["took none yet"]))),
    error && el("blockquote", { class: isFailing ? "bad" : "" }, String(error), receiver.last_error_at ? [" (", moment(receiver.last_error_at), ")"] : ""),
    el("div", { class: "commands" }, deliveryButton(receiver), button("Test", "test", () => attempt(name, () => sendTest(name))), button("Replay…", "replay", () => askReplay(receiver))),
  ];
}

function attemptRow(name, made) {
  const taken = made.error === null;
  const again = el("button", { type: "button", class: "small", "data-key": `again ${name} ${made.id}`, onclick: once(() => attempt(name, () => sendAgain(name, made.cursor))) }, "Send again");
  return el("tr", {}, el("td", {}, moment(made.at)),
    el("td", {}, made.cursor === null ? "" : el("span", { class: "id" }, `${made.cursor} `), made.type ?? "forgotten", ATTEMPT_KINDS[made.kind] && made.kind !== "test" ? el("span", { class: "soft" }, ` ${ATTEMPT_KINDS[made.kind]}`) : null),
    el("td", {}, made.order ? orderLink(made.shop, made.order) : el("span", { class: "soft" }, made.shop ?? "–")),
    el("td", { "data-label": "attempt " }, made.attempt), el("td", {}, made.seconds < 1 ? `${Math.round(made.seconds * 1000)} ms` : duration(made.seconds)),
    el("td", { class: taken ? "good" : "bad" }, taken ? `taken (${made.http_status})` : made.error),
    el("td", {}, made.cursor === null || made.type === null ? null : again));
}

async function sendAgain(name, cursor) {
  const { attempt: made } = await send("POST", `${deliveryPath(name)}/send`, { cursor });
  if (made === null) report(`Event ${cursor} has yet to arrive at ${name}: it is sent now, in its turn.`);
  else sayAttempt(`Event ${cursor} to ${name}`, made);
}

async function sendTest(name) {
  sayAttempt(`Test to ${name}`, await send("POST", `${deliveryPath(name)}/test`));
}

function sayAttempt(what, made) {
  report(`${what}: ${made.error ?? `taken (${made.http_status})`}.`);
  if (made.error !== null) notify([`${what}: ${made.error}.`], "bad", "action");
}

function askReplay({ name, cursor }) {
  ask({
    title: `Replay the feed to ${name}`, button: "Send again", tone: "bad",
    say: [el("p", {}, "Everything behind this cursor is sent again, in order, under the ids that it had. What a receiver made of it twice, nothing undoes: it has to know the ids."),
      field("Behind cursor", "cursor", { type: "number", min: "0", max: String(cursor), step: "1", required: true, inputmode: "numeric" }, `0 is the beginning of what is kept; it is at ${cursor} now.`)],
    act: async ({ form }) => {
      const receiver = await send("POST", `${deliveryPath(name)}/replay`, { cursor: Number(filled(form).cursor) });
      report(`${name} gets ${several(receiver.lag_events, "event")}.`);
    },
  });
}

function consumerTable(consumers) {
  const heading = el("h2", {}, "Consumers");
  if (!consumers.length) return [heading, el("p", { class: "panel empty" }, "Nobody reads the feed with a cursor that is kept here.")];
  const heads = ["Consumer", "Cursor", "Behind", "Last seen", ""];
  return [heading, el("div", { class: "panel scroll", tabindex: "0", role: "group", "aria-label": "Consumers" },
    el("table", { class: "consumers" }, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head || el("span", { class: "hidden" }, "Action"))))),
      el("tbody", {}, consumers.map(consumerRow))))];
}

function consumerRow({ name, cursor, lag_events: lag, lag_seconds: age, last_seen_at: seen }) {
  const button = (label, key, onclick) => el("button", { type: "button", class: "small", "data-key": `${key} consumer ${name}`, onclick }, label);
  const seek = () => ask({
    title: `Where ${name} goes on`, button: "Set the cursor", tone: "bad",
    say: [el("p", {}, "It gets next what is behind this cursor: again what it had, or nothing of what is skipped."),
      field("Behind cursor", "cursor", { type: "number", min: "0", step: "1", value: String(cursor), required: true, inputmode: "numeric" }, "0 is the beginning of what is kept.")],
    act: async ({ form }) => { const { cursor: now } = await send("POST", `${consumerPath(name)}/seek`, { cursor: Number(filled(form).cursor) }); report(`${name} goes on behind cursor ${now}.`); },
  });
  const forget = () => ask({
    title: `Forget ${name}`, button: "Forget the consumer", tone: "bad", say: [el("p", {}, "Should it come again, it begins at the first event that is kept.")],
    act: async () => { const was = await send("DELETE", consumerPath(name)); report(`${name} is forgotten; it was at cursor ${was.cursor}.`); },
  });
  return el("tr", {}, el("td", { class: "id wrap" }, name), el("td", { "data-label": "at " }, cursor),
    el("td", { "data-label": "behind by " }, lag ? `${several(lag, "event")}, ${duration(age)}` : "nothing"), el("td", {}, moment(seen)), el("td", {}, button("Seek…", "seek", seek), " ", button("Forget…", "forget", forget)));
}

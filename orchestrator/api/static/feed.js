// The live feed: the newest events first, as they are committed.

const FEED_LENGTH = 200;

/** Keeps the newest events and shows those that the filter lets through. One instance for the life of the page. */
class Feed {
  constructor() {
    this.events = [];
    this.wanted = "";
    this.paused = false;
    this.list = el("ol", { class: "feed rows", "aria-label": "Events, newest first" });
    this.state = badge("connecting");
    const names = ["", "order.", "target.", "step.", "parcel.", "read.", "fulfillment.", "product.", "shop.", "sync.", "import.", "store."];
    const choice = el("select", { "aria-label": "Which events", onchange: () => { this.wanted = choice.value; this.draw(); } },
      names.map((name) => el("option", { value: name }, name ? `${name}*` : "all events")));
    const hold = el("button", { type: "button", class: "small", "aria-pressed": "false", onclick: () => {
      this.paused = !this.paused;
      hold.setAttribute("aria-pressed", String(this.paused));
      hold.textContent = this.paused ? "Go on" : "Hold still";
      if (!this.paused) this.draw();
    } }, "Hold still");
    this.section = el("section", { "aria-labelledby": "feed-title" },
      el("div", { class: "head" }, el("h2", { id: "feed-title" }, "Events"), this.state, el("span", {}, choice, " ", hold)),
      el("div", { class: "panel" }, this.list));
    this.draw();
  }

  live(how) {
    const [words, tone] = { live: ["live", "good"], polling: ["polling", "busy"], lost: ["reconnecting", "warn"] }[how];
    this.state.textContent = words;
    this.state.className = `badge ${tone}`;
  }

  add(event) {
    this.events.unshift(event);
    this.events.length = Math.min(this.events.length, FEED_LENGTH);
    if (this.paused || !event.type.startsWith(this.wanted)) return;
    if (this.list.firstChild?.classList.contains("empty")) this.list.replaceChildren();
    this.list.prepend(feedLine(event));
    while (this.list.children.length > FEED_LENGTH) this.list.lastChild.remove();
  }

  draw() {
    const lines = this.events.filter((event) => event.type.startsWith(this.wanted)).map(feedLine);
    this.list.replaceChildren(...(lines.length ? lines : [el("li", { class: "empty" },
      this.wanted ? "No such events lately." : "No events yet. The first poll of each shop begins when the daemon starts.")]));
  }
}

function feedLine(event) {
  return eventLine(event, event.order ? orderLink(event.shop, event.order) : el("span", { class: "id" }, event.shop ?? ""));
}

function eventLine(event, where) {
  const words = said(event);
  return el("li", {},
    el("div", { class: "line" }, el("span", { class: `type ${EVENT_TONES[event.type] ?? ""}` }, event.type), where, moment(event.at)),
    words && el("div", { class: "said" }, words));
}

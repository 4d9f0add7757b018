// Building the page. Data only ever becomes text nodes and attribute values: nothing here, and nothing anywhere in this
// page, turns a string into markup (the content security policy would refuse it, too).

/** Makes an element. Properties are attributes, `on…` ones listeners; null, false and undefined children are left out. */
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replaces what is in `node`, but only when `data` is not what was shown last. The focus stays where it was, or at
 *  what took its place, and what was unfolded stays so. */
function show(node, data, build) {
  const json = JSON.stringify(data);
  if (node.shown === json) return;
  node.shown = json;
  keepingFocus(node, () => node.replaceChildren(...[build()].flat().filter(Boolean)));
}

/** Lets answers through in the order in which they were asked for: a late one must not show what was before. */
class Sequence {
  constructor() { [this.asked, this.shown] = [0, 0]; }

  /** Answers a function that says once, when the answer is there, whether it is still to be shown. */
  begin() {
    const mine = ++this.asked;
    return () => {
      if (mine < this.shown) return false;
      this.shown = mine;
      return true;
    };
  }
}

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

/** What an element is to a person, whatever draws it anew. */
function focusKey(node) {
  return node.dataset.key ?? [node.localName, node.id, node.getAttribute("href"), node.getAttribute("name"), node.textContent].join(" ");
}

function keepingFocus(node, redraw) {
  const focused = node !== document.activeElement && node.contains(document.activeElement) ? document.activeElement : null;
  const [key, all] = focused ? [focusKey(focused), [...node.querySelectorAll(FOCUSABLE)]] : [];
  const place = focused && all.filter((each) => focusKey(each) === key).indexOf(focused);
  const unfolded = new Set([...node.querySelectorAll("details[open][data-key]")].map(focusKey));
  redraw();
  for (const each of node.querySelectorAll("details[data-key]")) if (unfolded.has(focusKey(each))) each.open = true;
  if (!focused || focused.isConnected) return;
  const alike = [...node.querySelectorAll(FOCUSABLE)].filter((each) => focusKey(each) === key);
  const next = alike[Math.min(place, alike.length - 1)] ?? [...node.querySelectorAll(FOCUSABLE)][all.indexOf(focused)];
  if (!next) node.tabIndex = -1;
  (next ?? node).focus({ preventScroll: true });
}

/** A moment: how long ago, kept up to date, with the exact time as its title. */
function moment(at) {
  if (!at) return el("span", { class: "soft" }, "never");
  const node = el("time", { datetime: at, title: at });
  node.textContent = distance(at);
  return node;
}

/** How far away a moment is, in words. */
function distance(at) {
  const seconds = (Date.now() - Date.parse(at)) / 1000;
  if (Number.isNaN(seconds)) return String(at);
  if (Math.abs(seconds) < 1.5) return "now";
  return seconds >= 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
}

/** Seconds in words, with one or two units. */
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole < 600 && whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function keepMomentsFresh() {
  for (const node of document.querySelectorAll("time[datetime]")) {
    const words = distance(node.getAttribute("datetime"));
    if (node.textContent !== words) node.textContent = words;
  }
}

const number = new Intl.NumberFormat("en");
function count(value) { return number.format(value ?? 0); }

/** A number and its noun: "1 event", "2 events". */
function several(value, noun) { return `${count(value)} ${plural(value, noun)}`; }
function plural(value, noun) { return value === 1 ? noun : `${noun}s`; }

function badge(text, tone = "") { return el("span", { class: `badge ${tone}` }, text); }

/** A command to copy; a click copies it. */
function command(text) {
  const button = el("button", { type: "button", class: "command", title: "Copy this command" }, el("code", {}, text));
  button.addEventListener("click", async () => {
    button.classList.toggle("copied", await copy(text, button));
    setTimeout(() => button.classList.remove("copied"), 1600);
  });
  return button;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // without a secure context there is no clipboard: select the words, so that a person can copy them
    getSelection().selectAllChildren(button.firstChild);
    return false;
  }
}

/** A word of a shell command: quoted where the shell would read something into it. */
function shell(word) {
  return /^[\w.@%+=:,/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function orderPath(shop, order) { return `/v1/shops/${encodeURIComponent(shop)}/orders/${encodeURIComponent(order)}`; }

function orderLink(shop, order, ...more) {
  const href = `#/order/${encodeURIComponent(shop)}/${encodeURIComponent(order)}`;
  return el("a", { href, class: "id wrap" }, `${shop}/${order}`, ...more);
}

function ordersLink(filter, properties, ...children) {
  return el("a", { ...properties, href: `#/orders?${new URLSearchParams(filter)}` }, ...children);
}

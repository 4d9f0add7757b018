// Talking to the daemon: JSON calls, and the live feed by server-sent events with long polling where those do not work.

class CallFailed extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || (status ? `HTTP ${status}` : "the daemon does not answer"));
    this.status = status;
    this.problem = problem;
  }
}

/** The address of a path here, without a name and password that the page's own address may have: fetch refuses those. */
function address(path) { return location.origin + path; }

/** A reviver that keeps numbers as they were written, where the browser can: ids and amounts may exceed a double. */
function exactly(_key, value, context) {
  return typeof value === "number" && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
}

let session = null; // how this page was let in: `{access, csrf, expires_at}`

/** GETs JSON. Throws CallFailed; status 0 means that nobody answered. */
function get(path, reviver) { return call("GET", path, {}, undefined, reviver); }

/** Has the daemon change something: the one way in which this page does. Throws CallFailed. */
function send(method, path, body, headers = {}) {
  const said = { ...headers, ...(session?.csrf ? { "X-CSRF-Token": session.csrf } : {}), ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  return call(method, path, said, body === undefined ? undefined : JSON.stringify(body));
}

async function call(method, path, headers, body, reviver) {
  let response;
  try {
    response = await fetch(address(path), { method, body, headers: { Accept: "application/json", ...headers }, cache: "no-store" });
  } catch {
    throw new CallFailed(0, null);
  }
  const answer = parsed(await response.text().catch(() => ""), reviver);
  if (!response.ok || answer === null) throw new CallFailed(response.status, answer);
  return answer;
}

function parsed(text, reviver) {
  try {
    return JSON.parse(text, reviver);
  } catch {
    return null;
  }
}

const EVENT_TYPES = [
  "order.imported", "order.updated", "order.refreshed", "order.payment_settled", "order.drifted", "order.blocked",
  "order.released", "order.held", "order.cancelled", "order.returned", "order.announced", "order.attention",
  "order.attention_ended", "order.operated", "import.rejected", "target.submitted", "target.reached", "target.failed", "target.cancelled",
  "step.started", "step.done", "step.failed", "parcel.recorded", "read.failed", "shop.paused",
  "shop.resumed", "shop.access_denied", "shop.left", "shop.returned",
  "shop.webhooks_missing", "shop.webhooks_registered", "sync.completed", "sync.failed", "product.created",
  "product.updated", "fulfillment.created", "fulfillment.updated", "store.failed_over",
];

const POLL_PAUSE_SECONDS = 2;
function pause(seconds) { return new Promise((resolve) => setTimeout(resolve, seconds * 1000)); }

/**
 * Follows the feed from `cursor` on. `onEvent(event)` hears each event once, in order; `onLive(how)` hears `live`,
 * `polling` or `lost`. A stream that ends is opened again by the browser from the last event id; one that never opens
 * (a proxy that holds answers back) is replaced by long polling.
 */
function follow(cursor, onEvent, onLive) {
  let failures = 0;
  const take = (event) => {
    if (event.cursor <= cursor) return;
    cursor = event.cursor;
    onEvent(event);
  };
  const listen = () => {
    const source = new EventSource(address(`/v1/events?after=${cursor}`));
    const hear = (message) => { failures = 0; take(JSON.parse(message.data)); };
    source.addEventListener("message", hear);
    for (const type of EVENT_TYPES) source.addEventListener(type, hear);
    source.addEventListener("open", () => { failures = 0; onLive("live"); });
    source.addEventListener("error", () => {
      failures += 1;
      onLive("lost");
      if (source.readyState === EventSource.CLOSED || failures >= 3) {
        source.close();
        poll();
      }
    });
  };
  const poll = async () => {
    for (let rounds = 0; rounds < 20; rounds += 1) {
      try {
        const page = await get(`/v1/events?after=${cursor}&limit=200&wait=20`);
        onLive("polling");
        page.events.forEach(take);
      } catch (failed) {
        if (failed.problem?.type === "cursor-ahead") cursor = failed.problem.newest; // a restored store has another feed
        onLive("lost");
      }
      await pause(POLL_PAUSE_SECONDS); // whatever answers at once is not asked without end
    }
    failures = 0;
    listen(); // now and then the better way is tried again
  };
  listen();
}

/** The picture of a machine (a shop's own, if one is named) as an SVG element of this page, `here` pointed out; null
 *  when there is none. */
async function picture(platform, here, shop = null) {
  const whose = shop === null ? "" : `&shop=${encodeURIComponent(shop)}`;
  const root = await new Promise((resolve) => {
    const request = new XMLHttpRequest(); // unlike fetch it hands over a parsed document
    request.open("GET", address(`/v1/machines/${encodeURIComponent(platform)}?format=svg${whose}`));
    request.responseType = "document";
    request.overrideMimeType("image/svg+xml");
    request.onload = () => resolve(request.status === 200 ? request.response?.documentElement : null);
    request.onerror = () => resolve(null);
    request.send();
  });
  if (!root || root.localName !== "svg") return null;
  const drawn = drawnLike(root);
  for (const state of drawn.querySelectorAll("[data-state]")) {
    if (state.getAttribute("data-state") === here) state.classList.add("is-here");
  }
  return drawn;
}

/** A picture that may be wider than the page: it is moved by keyboard, too. */
function picturePanel(drawn, label) { return el("div", { class: "panel picture", tabindex: "0", role: "region", "aria-label": label }, drawn); }

const DRAWN = new Set(["svg", "title", "desc", "defs", "marker", "g", "path", "rect", "circle", "text"]);

/** A copy with nothing but shapes and words; colours come from this page's style. */
function drawnLike(node) {
  const copied = document.createElementNS("http://www.w3.org/2000/svg", node.localName);
  for (const { name, value } of node.attributes) if (!/^(on|xmlns|style|href)/.test(name)) copied.setAttribute(name, value);
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) copied.append(child.data);
    else if (DRAWN.has(child.localName)) copied.append(drawnLike(child));
  }
  return copied;
}

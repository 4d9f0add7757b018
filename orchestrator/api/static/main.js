// The page's life: which page is shown, the status every few seconds, the feed as it comes.

const STATUS_SECONDS = 5;
const [CAUSES_SECONDS, CHANGED_CAUSES_SECONDS] = [60, 2];
const FEED_BACKLOG = 60;
const PAGE_OF = { order: "orders", job: "jobs", needs: "overview" }; // which entry of the header a page belongs to

const view = document.getElementById("view");
const notice = document.getElementById("notice");
const feed = new Feed();
const overview = new Overview(feed);

let status = null;
let milestones = {};
let orderPage = null;
let fresh = null; // a page that keeps itself fresh: `update` takes each status, `refresh` reads what it shows (with each event where `isLive`)
let turn = 0; // grows with every navigation, so that a late answer does not draw over another page

function route() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { name: parts[0] ?? "overview", parts: parts.slice(1), query: new URLSearchParams(query ?? "") };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray percent sign: what was typed is no page, or no order
  }
}

async function navigate() {
  turn += 1;
  const [mine, { name, parts, query }] = [turn, route()];
  [orderPage, fresh] = [null, null];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === (PAGE_OF[name] ?? name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let page = noSuchPage();
  if (name === "order" && parts.length === 2) {
    orderPage = new OrderPage(parts[0], parts[1]);
    page = orderPage.page;
    orderPage.refresh();
  } else if ((name === "overview" && !parts.length) || (name === "needs" && !parts.length)) {
    page = overview.page;
  } else if (name === "orders" && !parts.length) {
    fresh = new OrdersPage(query, status);
    page = fresh.page;
  } else if (name === "machines" && !parts.length) {
    fresh = new MachinesPage(status, milestones);
    page = fresh.page;
  } else if (name === "history" && !parts.length) {
    fresh = new HistoryPage(query, status);
    page = fresh.page;
  } else if (name === "jobs" && !parts.length) {
    fresh = new JobsPage();
    page = fresh.page;
  } else if (name === "job" && parts.length === 1) {
    fresh = new JobPage(parts[0]);
    page = fresh.page;
  } else if (name === "pushes" && !parts.length) {
    fresh = new PushesPage();
    page = fresh.page;
  }
  if (mine !== turn) return;
  fresh?.refresh?.();
  document.title = name === "overview" ? "fulfilld" : `${parts.length ? parts.join(" / ") : name} – fulfilld`;
  view.replaceChildren(...page.filter(Boolean));
  if (name === "needs") overview.attention.scrollIntoView();
}

function noSuchPage() {
  return [el("h1", { class: "head" }, "No such page"),
    el("p", { class: "panel empty" }, "There is nothing at ", el("code", { class: "wrap" }, location.hash), ". ", el("a", { href: "#/" }, "To the overview"))];
}

const statusAnswers = new Sequence();

async function refreshStatus() {
  const isCurrent = statusAnswers.begin();
  try {
    const read = await get("/v1/status");
    if (!isCurrent()) return;
    status = read;
    if (notice.dataset.of === "status") notify("", "", "status");
  } catch (failure) {
    const isOut = failure.status === 401 && await get("/v1/session").then(() => false, (again) => again.status === 401);
    if (isOut) location.reload(); // the session has ended: the page begins with the form
    const words = failure.status === 0 ? "The daemon does not answer; what is shown may be old. Is it running?"
      : `The status could not be read: ${failure.message}`;
    notify(words, "bad", "status");
    return;
  }
  if (status.daemon?.draining) notify("The daemon is shutting down: running calls end, no new step begins.", "", "status");
  await learnMachines();
  showDaemon(status.daemon ?? {});
  showShopChoice(status.shops ?? []);
  overview.update(status, milestones, await readCauses());
  fresh?.update?.(status);
}

const causes = { of: "", at: 0, found: null };

/** Why orders wait for a person, where they are too many to be shown one by one; null where they are not. All of them
 *  are looked through for that, so it is asked for when they changed, and not more often than people read. */
async function readCauses() {
  const blocked = status.totals?.by_situation?.blocked ?? 0;
  if (blocked <= MANY) return null;
  const [of, age] = [JSON.stringify([blocked, status.attention]), (Date.now() - causes.at) / 1000];
  if (age > (of === causes.of ? CAUSES_SECONDS : CHANGED_CAUSES_SECONDS)) {
    causes.at = Date.now();
    const found = await get("/v1/orders/causes").catch(() => null);
    if (found) Object.assign(causes, { of, found });
  }
  return causes.found;
}

/** Says something at the top. What the status says goes with the next status, an answer to a person stays longer. */
function notify(words, tone, of) {
  notice.className = tone;
  notice.dataset.of = of;
  if (!Array.isArray(words) && notice.textContent === words) return;
  notice.replaceChildren(...[words].flat().filter(Boolean));
  if (of === "action") notice.append(el("button", { type: "button", class: "small", onclick: () => notify("", "", "") }, "Dismiss"));
}

/** Shows what a person's action changed at once; the feed will do the same a moment later. */
function renew() {
  refreshStatus();
  orderPage?.refresh();
  fresh?.refresh?.();
}

function showDaemon(daemon) {
  const place = document.getElementById("daemon");
  show(place, daemon, () => [
    el("span", {}, `version ${daemon.version}`), el("span", { title: `process ${daemon.pid}` }, daemon.node),
    el("span", {}, "started ", moment(daemon.started_at)), daemon.draining && badge("draining", "warn")]);
  place.title = typeof daemon.storage === "string" ? daemon.storage : "";
}

function showShopChoice(all) {
  const choice = document.getElementById("search-shop");
  const names = all.map((shop) => shop.name);
  if (choice.dataset.names === names.join("\n")) return;
  choice.dataset.names = names.join("\n");
  choice.replaceChildren(el("option", { value: "" }, "All shops"), ...names.map((name) => el("option", { value: name }, name)));
}

/** Milestones by state, in the order of the shop's own machine, of every shop; each is asked for once. */
async function learnMachines() {
  for (const { name, platform } of status.shops.filter((shop) => !Object.hasOwn(milestones, shop.name))) {
    const machine = await get(`/v1/machines/${encodeURIComponent(platform)}?format=json&shop=${encodeURIComponent(name)}`).catch(() => null);
    if (machine) milestones = { ...milestones, [name]: Object.fromEntries(machine.states.map((state) => [state.name, state.milestone])) };
  }
}

let isRefreshDue = false;
function refreshSoon(event) {
  feed.add(event);
  if (orderPage && event.shop === orderPage.shop && event.order === orderPage.id) orderPage.refresh();
  if (isRefreshDue) return;
  isRefreshDue = true;
  setTimeout(async () => { await Promise.all([refreshStatus(), fresh?.isLive && fresh.refresh()]); isRefreshDue = false; }, 1000);
}

document.getElementById("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = document.getElementById("search-text").value.trim();
  if (!text) return;
  try {
    notify(await search(text, document.getElementById("search-shop").value, status), "", "search");
  } catch (failure) {
    notify(`The search failed: ${failure.message}`, "bad", "search");
  }
});

// the address says which page is shown, so this link may not change it
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); view.focus(); });
let isIn = false; // before that the form is shown, or the first page is about to be
addEventListener("hashchange", async () => { if (!isIn) return; if (["search", "action"].includes(notice.dataset.of)) notify("", "", ""); await navigate(); view.focus({ preventScroll: true }); scrollTo(0, 0); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshStatus(); });

await letIn().catch((failure) => notify(failure.status ? failure.message : "The daemon does not answer. Is it running?", "bad", "status"));
await refreshStatus();
isIn = true;
await navigate();
follow(Math.max(0, (status?.totals?.events_last_cursor ?? 0) - FEED_BACKLOG), refreshSoon, (how) => feed.live(how));
setInterval(keepMomentsFresh, 1000);
setInterval(() => { if (!document.hidden) renew(); }, STATUS_SECONDS * 1000);

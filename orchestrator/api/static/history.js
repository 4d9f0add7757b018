// What was done over time: four plots of the minutes or hours that the daemon keeps, each with its numbers as a table.

const SPANS = {
  "hour": { label: "Last hour", step: "minute", points: 60 },
  "day": { label: "Last 24 hours", step: "minute", points: 24 * 60 },
  "week": { label: "Last 7 days", step: "hour", points: 7 * 24 },
  "quarter": { label: "Last 90 days", step: "hour", points: 90 * 24 },
};
const STEP_MS = { minute: 60000, hour: 3600000 };
const PLOT_HEIGHT = 170;
const HISTORY_AGAIN_MS = 30000;

/** A plot: its lines by member of a point, and how its values read. */
const PLOTS = [
  { title: "Steps", lines: [["steps_done", "done", "--good"], ["steps_failed", "failed", "--bad"]], words: count },
  { title: "Calls to platforms", lines: [["calls", "calls", "--busy"]], words: count },
  { title: "Orders imported", lines: [["orders_imported", "imported", "--m-shipped"]], words: count },
  { title: "Oldest pending target", lines: [["oldest_pending_seconds", "oldest", "--warn"]], words: (value) => (value === null ? "–" : duration(value)), isHighest: true },
];

/** Shows the history of one shop, or of all, over one span; `refresh` reads what has come since. */
class HistoryPage {
  constructor(query, status) {
    this.shop = query.get("shop") ?? "";
    this.span = Object.hasOwn(SPANS, query.get("span") ?? "") ? query.get("span") : "day";
    this.readAt = 0;
    this.body = el("div", { class: "plots" }, el("p", { class: "empty" }, "Loading…"));
    this.page = [el("h1", { class: "head" }, "History"), this.filters(status), this.body];
  }

  filters(status) {
    const choice = (name, label, chosen, values) => el("label", {}, label, el("select", { name, "data-key": `history ${name}` },
      values.map(([value, words]) => el("option", { value, selected: value === chosen }, words))));
    const form = el("form", { class: "filters" },
      choice("shop", "Shop", this.shop, [["", "all together"], ...(status?.shops ?? []).map((shop) => [shop.name, shop.name])]),
      choice("span", "Time", this.span, Object.entries(SPANS).map(([name, { label }]) => [name, label])));
    form.addEventListener("change", () => { location.hash = `#/history?${new URLSearchParams(new FormData(form))}`; });
    form.addEventListener("submit", (event) => event.preventDefault());
    return form;
  }

  async refresh() {
    if (Date.now() - this.readAt < HISTORY_AGAIN_MS) return; // a point comes once a minute
    this.readAt = Date.now();
    const { step, points } = SPANS[this.span];
    const until = Math.ceil(Date.now() / STEP_MS[step]) * STEP_MS[step];
    const since = until - points * STEP_MS[step];
    const query = new URLSearchParams({ step, from: new Date(since).toISOString(), ...(this.shop ? { shop: this.shop } : {}) });
    try {
      const found = await get(`/v1/history?${query}`);
      show(this.body, [this.span, this.shop, found.points], () => plots(found.points, since, until, step));
    } catch (failure) {
      this.readAt = 0;
      this.body.shown = null;
      this.body.replaceChildren(el("p", { class: "panel empty bad" }, failure.message));
    }
  }
}

function plots(points, since, until, step) {
  if (!points.length) {
    return el("p", { class: "panel empty" }, step === "minute" ? "Nothing is kept of this time yet. A minute is there once it is over." : "Nothing is kept of this time yet.");
  }
  const times = [];
  for (let at = since; at < until; at += STEP_MS[step]) times.push(at);
  const byTime = new Map(points.map((point) => [Date.parse(point.at), point]));
  return PLOTS.map((plot) => plotPanel(plot, times, byTime, points, step));
}

function plotPanel(plot, times, byTime, points, step) {
  const said = plot.lines.map(([member, label]) => {
    const values = points.map((point) => point[member]);
    const most = Math.max(...values);
    return plot.isHighest ? `at most ${plot.words(most)}` : `${count(values.reduce((sum, value) => sum + value, 0))} ${label}, at most ${count(most)} in ${step === "hour" ? "an hour" : "a minute"}`;
  }).join("; ");
  const canvas = el("div", { class: "plot", role: "img", "aria-label": `${plot.title} over time: ${said}. The numbers are in the table below.` });
  draw(canvas, plot, times, byTime);
  return el("section", { class: "panel pad" }, el("h2", {}, plot.title), el("p", { class: "soft" }, said), canvas, plotTable(plot, points));
}

/** Draws when there is a width to draw in, again when that or the colours change, and no more once it is off the page. */
function draw(box, plot, times, byTime) {
  const data = [times.map((at) => at / 1000), ...plot.lines.map(([member]) => times.map((at) => byTime.get(at)?.[member] ?? null))];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let drawn = null;
  let width = 0;
  const paint = () => {
    drawn?.destroy();
    drawn = new uPlot(plotOptions(plot, width), data, box);
  };
  const watch = new ResizeObserver(() => {
    if (!box.isConnected) { watch.disconnect(); dark.removeEventListener("change", paint); drawn?.destroy(); return; }
    const wide = Math.floor(box.clientWidth);
    if (wide === width || wide === 0) return;
    width = wide;
    if (drawn) drawn.setSize({ width, height: PLOT_HEIGHT });
    else paint();
  });
  watch.observe(box);
  dark.addEventListener("change", paint);
}

function plotOptions(plot, width) {
  const style = getComputedStyle(document.documentElement);
  const paint = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: paint("--soft"), grid: { stroke: paint("--edge"), width: 1 }, ticks: { stroke: paint("--edge"), width: 1 }, font: "12px system-ui, sans-serif" };
  return {
    width, height: PLOT_HEIGHT,
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high)] } },
    cursor: { y: false, drag: { x: true, y: false } },
    axes: [{ ...axis, space: 56, size: 32, values: (_plot, ticks, _axis, _space, apart) => ticks.map((tick) => timeWords(tick * 1000, apart)) }, { ...axis, size: labelRoom, values: (_plot, ticks) => ticks.map((tick) => (plot.isHighest ? plot.words(tick) : Number.isInteger(tick) ? count(tick) : "")) }],
    series: [{ value: (_plot, at) => (at === null ? "–" : new Date(at * 1000).toLocaleString()) },
      ...plot.lines.map(([, label, name]) => ({ label, stroke: paint(name), width: 1.5, fill: `${paint(name)}22`, points: { show: false }, spanGaps: false,
        value: (_plot, value) => (value === null ? "–" : plot.words(value)) }))],
  };
}

/** As much room as the widest label of an axis takes; what uPlot found in its first round stays, so that it ends. */
function labelRoom(drawn, labels, index, round) {
  const axis = drawn.axes[index];
  if (round > 1) return axis._size;
  drawn.ctx.font = axis.font[0];
  const widest = Math.max(0, ...(labels ?? []).map((label) => drawn.ctx.measureText(label).width));
  return Math.ceil(axis.ticks.size + axis.gap + widest / devicePixelRatio) + 2;
}

/** A time on the axis: the hour where that is asked for, the day at its beginning and where ticks are days. */
function timeWords(at, apartSeconds) {
  const time = new Date(at);
  const isDay = apartSeconds >= 86400 || (time.getHours() === 0 && time.getMinutes() === 0);
  return time.toLocaleString(undefined, isDay ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/** The plot's numbers: for readers of the screen, and for whoever wants to copy them. Built when it is opened. */
function plotTable(plot, points) {
  const box = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${plot.title}, as a table` });
  const table = el("details", { "data-key": `table ${plot.title}` }, el("summary", {}, "As a table"), box);
  table.addEventListener("toggle", () => {
    if (!table.open || box.firstChild) return;
    const heads = ["From", ...plot.lines.map(([, label]) => label)];
    box.append(el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, [...points].reverse().map((point) => el("tr", {}, el("td", {}, el("time", {}, new Date(point.at).toLocaleString())),
        plot.lines.map(([member]) => el("td", {}, plot.words(point[member]))))))));
  });
  return table;
}

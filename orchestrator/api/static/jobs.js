// Jobs: what was asked for in bulk, by whom and why, how far each is and what came of it.

const JOBS_LENGTH = 20;
const [ENDED_LATELY_SECONDS, ENDED_JOB_SECONDS] = [120, 30]; // until so long after its end a job is looked at often, and how often then
const JOB_TONES = { running: "busy", done: "good", failed: "bad", cancelled: "warn" };
const JOB_ENDS = { done: "Done: ", failed: "It could not go on: ", cancelled: "It was ended: " };

function jobPath(id) { return `/v1/jobs/${encodeURIComponent(id)}`; }
function jobLink(id, ...children) { return el("a", { href: `#/job/${encodeURIComponent(id)}`, class: "wrap" }, ...children); }

/** Shows the jobs, newest first; `refresh` reads them again, as often as an event comes where one of them runs. */
class JobsPage {
  constructor() {
    this.answers = new Sequence();
    this.wanted = JOBS_LENGTH;
    this.isLive = false;
    this.rows = el("tbody");
    this.more = el("p", { class: "more" }, "Loading…");
    const heads = ["Job", "Orders", "Status", "Done", "Left", "By", "Begun", ""];
    this.page = [el("h1", { class: "head" }, "Jobs"), el("div", { class: "panel" }, el("table", { class: "jobs" }, el("thead", {},
      el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head || el("span", { class: "hidden" }, "Action"))))), this.rows), this.more)];
  }

  async refresh() {
    const isCurrent = this.answers.begin();
    const jobs = [];
    let after = null;
    try {
      do {
        const found = await get(`/v1/jobs?${new URLSearchParams({ limit: String(JOBS_LENGTH), ...(after ? { after } : {}) })}`);
        jobs.push(...found.jobs);
        after = found.next;
      } while (after && jobs.length < this.wanted);
    } catch (failure) {
      if (!isCurrent()) return;
      this.more.shown = null;
      this.more.replaceChildren(el("span", { class: "bad" }, failure.message));
      return;
    }
    if (!isCurrent()) return;
    this.isLive = jobs.some((job) => job.status === "running");
    show(this.rows, jobs, () => jobs.map(jobRow));
    show(this.more, [jobs.length, Boolean(after)], () => (after
      ? el("button", { type: "button", "data-key": "older jobs", onclick: () => { this.wanted += JOBS_LENGTH; this.refresh(); } }, "Older")
      : el("span", { class: "soft" }, jobs.length ? "These are all that are kept."
        : "Nothing was asked for in bulk. It is where a cause or a filter of the orders finds more than one.")));
  }
}

function jobRow(job) {
  const cell = (label, ...children) => el("td", { "data-label": label }, ...children);
  return el("tr", {}, el("td", {}, jobLink(job.id, `${BULK[job.action].label} ${several(job.count, "order")}`)), el("td", { class: "wrap" }, filterText(job.filter)),
    el("td", {}, badge(job.status, JOB_TONES[job.status])), cell("done ", count(job.done)), cell("left ", count(job.refused)),
    el("td", { class: "wrap" }, job.by, job.reason && el("div", { class: "soft" }, job.reason)), el("td", {}, moment(job.started_at)),
    el("td", {}, job.status === "running" && endJobButton(job)));
}

function filterText(filter) { return Object.entries(filter).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", "); }

function endJobButton(job) {
  return el("button", { type: "button", class: "small", "data-key": `end ${job.id}`, onclick: () => ask({
    title: `End: ${BULK[job.action].label} ${several(job.count, "order")}`, button: "End the job", tone: "bad",
    say: [el("p", {}, "What it did stays. The orders that it has not come to are left as they are.")],
    act: async () => { await send("DELETE", jobPath(job.id)); report("The job was ended."); },
  }) }, "End…");
}

/** One job; `refresh` reads it again, as often as an event comes while it runs. What it had go on may be blocked again long
 *  after its end: that is counted for every answer, so a job that ended a while ago is read every half minute. */
class JobPage {
  constructor(id) {
    this.id = id;
    this.isLive = true;
    [this.readAt, this.pauseMs] = [0, 0];
    this.answers = new Sequence();
    [this.head, this.actions, this.facts] = [el("div", { class: "head" }, el("h1", {}, "Job")), el("div", { class: "actions" }), el("div")];
    this.progress = null;
    this.place = el("div", { class: "panel pad" }, "Loading…");
    this.page = [this.head, this.actions, this.facts, this.place];
  }

  async refresh() {
    if (Date.now() - this.readAt < this.pauseMs) return;
    this.readAt = Date.now();
    const isCurrent = this.answers.begin();
    let job;
    try {
      job = await get(jobPath(this.id));
    } catch (failure) {
      if (isCurrent()) this.place.replaceChildren(el("p", { class: "bad" }, failure.status === 404 ? "There is no such job. Jobs are kept as long as events are." : failure.message));
      this.progress = null;
      return;
    }
    if (!isCurrent()) return;
    this.isLive = job.status === "running";
    this.pauseMs = job.ended_at && Date.now() - Date.parse(job.ended_at) > ENDED_LATELY_SECONDS * 1000 ? ENDED_JOB_SECONDS * 1000 : 0;
    show(this.head, [job.action, job.count], () => el("h1", {}, `${BULK[job.action].label} ${several(job.count, "order")}`));
    show(this.actions, job.status, () => job.status === "running" && endJobButton(job));
    show(this.facts, [job.status, job.ended_at], () => jobFacts(job));
    if (!this.progress) {
      this.progress = new JobProgress(job.count);
      this.place.replaceChildren(this.progress.node);
    }
    this.progress.draw(job);
  }
}

function jobFacts(job) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
  return [el("dl", { class: "panel pad facts" }, fact("Status", badge(job.status, JOB_TONES[job.status])), fact("Asked by", job.by),
    job.reason && fact("Reason", job.reason), ...Object.entries(job.filter).map(([name, value]) => fact(`With ${name.replaceAll("_", " ")}`, value)),
    fact("Begun", moment(job.started_at)), job.ended_at && fact("Ended", moment(job.ended_at)), fact("Id", el("span", { class: "id wrap" }, job.id))), el("br")];
}

/** How far a job is and what came of it, kept where it is drawn. */
class JobProgress {
  constructor(orders) {
    this.bar = el("progress", { max: orders || 1, value: 0, "aria-label": "Progress" });
    this.words = el("p", { role: "status" }, `0 of ${several(orders, "order")}`);
    [this.again, this.left] = [el("div", { "aria-live": "polite" }), el("ul", {})];
    this.node = el("div", {}, this.bar, this.words, this.again, this.left);
  }

  draw(job) {
    this.bar.value = job.status === "done" ? this.bar.max : job.done + job.refused;
    const words = `${JOB_ENDS[job.status] ?? ""}${count(job.done)} of ${several(job.count, "order")} ${BULK[job.action].verb}${job.refused ? `, ${count(job.refused)} left as they are` : ""}.`;
    if (this.words.textContent !== words) this.words.textContent = words;
    show(this.again, [job.blocked_again, job.status, job.done], () => blockedAgain(job));
    show(this.left, job.refusals, () => (job.refusals ?? []).map((each) => el("li", { class: "wrap" }, `${count(each.count)}: ${each.detail} `,
      each.order && orderLink(each.shop, each.order))));
  }
}

/** What became of those that went on, where the action has them go on. */
function blockedAgain({ blocked_again: again, done, filter }) {
  if (again === null || again === undefined || !done) return null;
  if (!again) return el("p", { class: "soft" }, "None of them is blocked again so far.");
  const shop = filter.shop ? { shop: filter.shop } : {};
  return el("p", { class: "bad" }, `${several(again, "order")} of them ${again === 1 ? "is" : "are"} blocked again. `, ordersLink({ ...shop, situation: "blocked" }, {}, "Show blocked orders"));
}

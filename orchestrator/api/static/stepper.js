// How an order got where it is: its steps one after another, done and to come, and its story grouped by step.

const STEP_WORDS = { done: "done", running: "running", failed: "failed", next: "to come", skipped: "done by hand", unused: "had no use here", dropped: "given up" };
const STEP_TONES = { done: "good", running: "busy", failed: "bad", skipped: "warn", unused: "", dropped: "bad" };
const HOW_STATUS = { by_hand: "skipped", not_taken: "unused" };
const ACTORS = { called: "by the daemon", found_done: "found done on the platform", by_hand: "by a person", not_taken: "had no use on this platform" };
const STORY_LENGTH = 60;

/** The order's events, oldest first, as chapters: each step of a target is one, with all of its attempts; whatever is about no step is one alone. */
function chapters(events) {
  const found = [];
  const targets = new Map();
  for (const event of [...events].sort((a, b) => a.cursor - b.cursor)) {
    const data = event.data ?? {};
    if (event.type === "target.submitted") targets.set(event.target, event);
    if (!event.type.startsWith("step.")) {
      found.push({ event });
      continue;
    }
    let chapter = found.findLast((each) => each.step && each.target === event.target);
    if (!chapter || chapter.step !== data.step || chapter.endedAt) {
      chapter = { step: data.step, target: event.target, from: data.from, to: data.to, status: "running", attempts: 0, startedAt: event.at, events: [] };
      chapter.asked = targets.get(event.target)?.data ?? {};
      found.push(chapter);
    }
    chapter.events.push(event);
    Object.assign(chapter, shownBy(chapter, event));
  }
  return found;
}

function shownBy(chapter, { type, at, data }) {
  if (type === "step.started") return { status: "running", attempts: Math.max(chapter.attempts + 1, data.attempt ?? 1), from: data.from, to: data.to };
  if (type === "step.failed") return { status: "failed", attempts: Math.max(chapter.attempts, data.attempt ?? 1), failure: data };
  return { status: HOW_STATUS[data.how] ?? "done", how: data.how, from: data.from ?? chapter.from, to: data.to ?? chapter.to, endedAt: at, reason: data.reason };
}

/** The steps in a row: those that were made, where it stands, those that are to come. It stays when the order has ended. */
function stepper(order, timeline) {
  const made = chapters(timeline).filter((chapter) => chapter.step);
  const left = (order.targets ?? []).flatMap((target) => (target.plan ?? []).filter((entry) => entry.status !== "done").map((entry) => ({ ...entry, target: target.id })));
  const last = made.at(-1);
  const isOpen = last && !last.endedAt && left.length > 0 && left[0].target === last.target && left[0].step === last.step;
  const done = made.map((chapter) => (chapter.endedAt || (isOpen && chapter === last) ? chapter : { ...chapter, status: "dropped" }));
  const coming = left.slice(isOpen ? 1 : 0).map((entry) => ({ step: entry.step, from: entry.from, to: entry.to, status: "next" }));
  const all = [...done, ...coming];
  const heading = el("h2", {}, "Steps");
  if (!all.length) return [heading, el("p", { class: "panel empty" }, "No step was made, and none is to come.")];
  const current = coming.length ? done.length - (isOpen ? 1 : 0) : all.length - 1;
  return [heading, el("ol", { class: "panel stepper", "aria-label": "Steps of this order" }, all[0].from ? beginning(all[0]) : null, all.map((chapter, index) => stepItem(chapter, index === current, order)))];
}

/** Where it began: the state that the first step led away from. */
function beginning(chapter) {
  return el("li", { class: "done" }, el("span", { class: "mark", "aria-hidden": "true" }), el("strong", { class: "wrap" }, chapter.from), el("span", { class: "soft" }, "it began here"));
}

function stepItem(chapter, isCurrent, order) {
  const isBlocked = isCurrent && chapter.status !== "done" && order.situation === "blocked";
  const status = isBlocked ? "failed" : chapter.status;
  const words = isBlocked ? "blocked" : status === "failed" ? "tried again" : STEP_WORDS[status];
  return el("li", { class: `${status} ${isCurrent ? "is-current" : ""}`, "aria-current": isCurrent ? "step" : null },
    el("span", { class: "mark", "aria-hidden": "true" }),
    el("strong", {}, chapter.step), chapter.to && chapter.to !== chapter.from ? el("span", { class: "soft wrap" }, chapter.to) : null,
    el("span", { class: STEP_TONES[status] ?? "soft" }, words), chapter.endedAt && el("span", { class: "soft" }, took(chapter)));
}

function took(chapter) {
  const seconds = (Date.parse(chapter.endedAt ?? chapter.events.at(-1).at) - Date.parse(chapter.startedAt)) / 1000;
  return seconds < 1 ? `${Math.max(0, Math.round(seconds * 1000))} ms` : duration(seconds);
}

/** What happened, newest first: a line for each step, with its events inside, and for whatever else there was. */
function story(timeline) {
  const newest = chapters(timeline).reverse();
  const line = (chapter) => (chapter.step ? stepChapter(chapter) : eventLine(chapter.event, null));
  const list = el("ol", { class: "panel rows timeline" }, newest.length ? newest.slice(0, STORY_LENGTH).map(line)
    : el("li", { class: "empty" }, "Nothing is kept of this order's past."));
  const rest = newest.slice(STORY_LENGTH);
  const all = rest.length > 0 && el("button", { type: "button", onclick: () => { list.append(...rest.map(line)); all.remove(); } }, `${count(rest.length)} older`);
  return [el("h2", {}, "Story"), list, all];
}

function stepChapter(chapter) {
  const { step, from, to, status, attempts, how, reason, asked, failure } = chapter;
  const codes = [asked.tracking ?? []].flat();
  const facts = [
    from && to && from !== to ? `${from} → ${to}` : null,
    took(chapter),
    attempts > 1 ? several(attempts, "attempt") : null,
    ACTORS[how],
    asked.state ? `for the target ${asked.state}` : null,
    codes.length ? `tracking ${codes.join(", ")}` : null,
    status === "failed" && failure ? [String(failure.kind ?? "").replaceAll("_", " "), failure.detail].filter(Boolean).join(": ") : null,
    reason,
  ].filter(Boolean);
  return el("li", {}, el("details", { "data-key": `step ${chapter.events[0].cursor}` },
    el("summary", { class: "line" }, el("span", { class: "type" }, step), badge(STEP_WORDS[status], STEP_TONES[status]), moment(chapter.endedAt ?? chapter.startedAt),
      el("span", { class: "said" }, facts.join(" · "))),
    el("ol", { class: "rows" }, chapter.events.map((event) => eventLine(event, null)))));
}

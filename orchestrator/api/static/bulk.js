// Acting on all orders that a filter finds: how many they are and some of them first, then a job with its progress.

const BULK = {
  retry: { label: "Retry", verb: "retried", warning: null },
  skip: { label: "Skip", verb: "skipped", warning: "Their blocked steps count as done by hand, which cannot be undone." },
  hold: { label: "Hold", verb: "held", warning: null },
  release: { label: "Release", verb: "released", warning: null },
  cancel: { label: "Cancel", verb: "without pending targets now", warning: "Their pending targets are dropped, which cannot be undone. What was done on the platforms stays." },
};
const JOB_SECONDS = 0.5;
const MOST_OF_A_JOB = 100000;

/** The actions that help with all orders of a cause: in bulk a retry reads anew those that only a read can help. */
function remediesInBulk(problem) {
  return [...new Set(remediesOf(problem).map((name) => (name === "refresh" ? "retry" : name)))].filter((name) => BULK[name]);
}

/** Buttons for a filter; `names` are the actions offered, `words` what the filter means to a person. */
function bulkButtons(filter, names, className = "", words = filterWords(filter)) {
  return names.map((name) => el("button", { type: "button", class: className, "data-key": `all ${name} ${JSON.stringify(filter)}`,
    onclick: () => inBulk(name, filter, words) }, `${BULK[name].label} all…`));
}

/** Counts and shows what an action would be done to, and does it when that is confirmed. */
function inBulk(name, filter, words) {
  const { label, warning } = BULK[name];
  const counted = el("div", { "aria-live": "polite" }, el("p", {}, "Counting…"));
  const reason = reasonField(name === "skip", name === "skip" ? "How the steps were done by hand. It is kept with each order." : null);
  let agreed = {}; // to so many and no more, whatever else fits when it is confirmed
  const { go, box, trouble } = ask({
    title: `${label} all orders`, button: label, tone: warning ? "bad" : "",
    say: [words, counted, warning && el("p", { class: "warn" }, warning), reason].filter(Boolean),
    act: async ({ form, leave }) => {
      const { job, count: orders } = await send("POST", `/v1/orders/${name}`, { filter, ...agreed, ...filled(form) });
      go.hidden = true;
      reason.remove();
      const progress = jobProgress(job, orders, name, leave);
      counted.replaceChildren(progress.node);
      leave.focus();
      renew();
      await progress.follow(() => box.isConnected);
      renew();
      return false;
    },
  });
  go.disabled = true;
  send("POST", `/v1/orders/${name}`, { filter, dry_run: true }).then((found) => {
    counted.replaceChildren(...bulkSample(found));
    if (found.count <= MOST_OF_A_JOB) agreed = { limit: found.count }; // else the daemon says what to do
    go.textContent = found.count ? `${label} ${several(found.count, "order")}` : label;
    go.disabled = !found.count;
  }, (failure) => { counted.replaceChildren(); trouble.replaceChildren(...problemWords(failure)); });
}

function filterWords(filter) {
  return el("p", { class: "facts-line" }, Object.entries(filter).map(([name, value]) => el("span", {}, `${name} `, el("strong", { class: "wrap" }, value))));
}

function bulkSample({ count: orders, refused = 0, sample }) {
  if (!orders) return [el("p", {}, "No order matches now.")];
  const more = orders - sample.length;
  return [el("p", {}, el("strong", {}, several(orders, "order")), ". ", more > 0 ? "The first of them:" : null),
    refused > 0 && el("p", { class: "warn" }, `${refused === orders ? "None of them can" : `${count(refused)} of them cannot`} be operated as they are now: that is refused.`),
    el("ul", { class: "sample" }, sample.map((each) => el("li", { class: "id wrap" }, `${each.shop}/${each.order ?? each.id}`))),
    more > 0 && el("p", { class: "soft" }, `and ${count(more)} more`)].filter(Boolean);
}

/** What is shown of a job while it runs. `follow` reads it until it has ended, or nobody looks any more; `leave` gets the
 *  focus when there is nothing to end any more. */
function jobProgress(id, orders, name, leave) {
  const bar = el("progress", { max: orders, value: 0, "aria-label": "Progress" });
  const words = el("p", { role: "status" }, `0 of ${several(orders, "order")}`);
  const left = el("ul", {});
  const path = `/v1/jobs/${encodeURIComponent(id)}`;
  // one that has ended meanwhile is drawn as it is by the next look
  const end = el("button", { type: "button", class: "small", onclick: () => send("DELETE", path).then((job) => draw(job), () => null) }, "End it here");
  const node = el("div", {}, bar, words, left, end);
  const draw = (job) => {
    bar.value = job.done + job.refused;
    if (job.status !== "running" && document.activeElement === end) leave.focus();
    end.hidden = job.status !== "running";
    const ended = { done: "Done: ", failed: "It could not go on: ", cancelled: "It was ended: " }[job.status] ?? "";
    words.textContent = `${ended}${count(job.done)} of ${several(job.count, "order")} ${BULK[name].verb}${job.refused ? `, ${count(job.refused)} left as they are` : ""}.`;
    left.replaceChildren(...(job.refusals ?? []).map((each) => el("li", { class: "wrap" }, `${count(each.count)}: ${each.detail}`)));
  };
  const follow = async (isLooked) => {
    while (isLooked()) {
      const job = await get(path);
      draw(job);
      if (job.status !== "running") return;
      await pause(JOB_SECONDS);
    }
  };
  return { node, follow };
}

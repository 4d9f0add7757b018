// Acting on all orders that a filter finds: how many they are and some of them first, then a job with its progress.

const BULK = {
  retry: { label: "Retry", verb: "retried", warning: null },
  skip: { label: "Skip", verb: "skipped", warning: "Their blocked steps count as done by hand, which cannot be undone." },
  hold: { label: "Hold", verb: "held", warning: null },
  release: { label: "Release", verb: "released", warning: null },
  cancel: { label: "Cancel", verb: "without pending targets now", warning: "Their pending targets are dropped, which cannot be undone. What was done on the platforms stays." },
};
const [JOB_SECONDS, AFTER_JOB_SECONDS] = [0.5, 3]; // what a job had go on may be blocked again a while later
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
      const followed = followedJob(job, orders, leave);
      counted.replaceChildren(followed.node);
      leave.focus();
      renew();
      await followed.follow(() => box.isConnected, renew);
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

/** What is shown of a job while it runs. `follow` reads it until nobody looks any more, and calls `onEnd` when it has ended;
 *  `leave` gets the focus when there is nothing to end any more. */
function followedJob(id, orders, leave) {
  const progress = new JobProgress(orders);
  // one that has ended meanwhile is drawn as it is by the next look
  const end = el("button", { type: "button", class: "small", onclick: () => send("DELETE", jobPath(id)).then((job) => draw(job), () => null) }, "End it here");
  const node = el("div", {}, progress.node, el("div", { class: "commands" }, end, jobLink(id, "The page of this job")));
  const draw = (job) => {
    if (job.status !== "running" && document.activeElement === end) leave.focus();
    end.hidden = job.status !== "running";
    progress.draw(job);
  };
  const follow = async (isLooked, onEnd) => {
    let [job, after] = [{ status: "running" }, AFTER_JOB_SECONDS];
    while (isLooked() && (job.status === "running" || job.blocked_again !== null)) {
      const was = job.status;
      job = await get(jobPath(id));
      draw(job);
      if (job.status !== "running" && was === "running") onEnd();
      await pause(job.status === "running" ? JOB_SECONDS : after);
      if (job.status !== "running") after = Math.min(after * 1.5, ENDED_JOB_SECONDS); // each look has the orders counted
    }
  };
  return { node, follow };
}

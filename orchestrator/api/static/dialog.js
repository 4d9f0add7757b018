// Asking a person back: what is to be done, with which words, and what came of it. One dialog at a time.

/**
 * Opens a dialog. `say` are its contents, `button` what its button is called (`tone` bad where nothing undoes it), and
 * `act` what it does; what `act` throws is shown in the dialog, which then stays. `act` may answer false to stay open.
 * The focus goes back to where it was when the dialog ends.
 */
function ask({ title, say = [], button, tone = "", act }) {
  const opener = document.activeElement;
  const key = opener && focusKey(opener);
  const heading = el("h2", { id: "dialog-title" }, title);
  const trouble = el("div", { class: "trouble", role: "alert" });
  const go = el("button", { type: "submit", class: `main ${tone}` }, button);
  const leave = el("button", { type: "button", onclick: () => box.close() }, "Close");
  const form = el("form", {}, heading, ...say, trouble, el("div", { class: "choices" }, leave, go));
  const box = el("dialog", { "aria-labelledby": "dialog-title" }, form);
  let isBusy = false;
  // who clicks twice, or keeps the key down, has not read what the first time brought
  go.addEventListener("click", (event) => { if (event.detail > 1) event.preventDefault(); });
  form.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.repeat) event.preventDefault(); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled || isBusy) return;
    isBusy = true; // not disabled: a button that is loses the focus
    trouble.replaceChildren();
    try {
      if (await act({ box, form, go, leave }) !== false) box.close();
    } catch (failure) {
      trouble.replaceChildren(...problemWords(failure));
    }
    isBusy = false;
  });
  box.addEventListener("close", () => {
    box.remove();
    focusOn(opener?.isConnected ? opener : [...document.querySelectorAll(FOCUSABLE)].find((each) => focusKey(each) === key));
  });
  document.body.append(box);
  box.showModal();
  (form.querySelector("input, select, textarea") ?? (tone === "bad" ? leave : go)).focus();
  return { box, form, go, trouble };
}

function focusOn(node) { (node ?? document.getElementById("view")).focus({ preventScroll: true }); }

/** What the daemon said when it refused, in its own words. */
function problemWords(failure) {
  const problem = failure.problem ?? {};
  const line = (name, value) => (value ? el("p", {}, `${name}: `, el("span", { class: "wrap" }, value)) : null);
  return [
    el("strong", {}, problem.kept ? "Kept, and not confirmed yet" : problem.title ?? (failure.status ? `HTTP ${failure.status}` : "The daemon does not answer")),
    problem.detail && el("p", { class: "wrap" }, problem.detail),
    problem.reason && problem.reason !== problem.detail ? line("Reason", problem.reason) : null,
    line("Allowed", (problem.allowed ?? []).join(", ")),
    (problem.errors ?? []).length > 1 && el("ul", {}, problem.errors.map((each) => el("li", {}, el("code", {}, each.path), ` ${each.message}`))),
  ].filter(Boolean);
}

/** A labelled field; `properties` are the input's. */
function field(label, name, properties = {}, hint = null) {
  const made = properties.rows ? el("textarea", { name, ...properties }) : el("input", { name, autocomplete: "off", ...properties });
  return el("label", { class: "field" }, el("span", {}, label), made, hint && el("small", { class: "soft" }, hint));
}

function reasonField(isRequired, hint) {
  return field(isRequired ? "Reason" : "Reason (optional)", "reason", { required: isRequired, maxlength: 2000, pattern: isRequired ? ".*\\S.*" : null }, hint);
}

/** What was filled in, without what was left empty. */
function filled(form) {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== ""));
}

/** A word that no other submission has: the daemon takes what comes twice once. */
function freshKey() {
  return `page-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

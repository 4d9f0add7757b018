// Who has no session yet: over TCP a browser logs in by the token, which goes out once and is kept nowhere in here.

/** Resolves when the page is let in: at once on the socket and with a session, else after the form. Throws CallFailed. */
async function letIn() {
  try {
    session = await get("/v1/session");
  } catch (failure) {
    if (failure.status !== 401) throw failure;
    await loggedIn(failure);
  }
  showLogout();
}

/** Shows the form in place of the page until a login is taken. */
function loggedIn({ problem }) {
  const isByLink = problem?.reason === "link";
  return new Promise((resolve) => {
    const field = el("input", { type: "password", id: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
    const said = el("p", { class: "bad", role: "alert" });
    const form = el("form", { class: "login" }, el("label", { for: "token" }, "The token of api.tcp"), field, el("button", { type: "submit" }, "Log in"), said);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const token = field.value;
      field.value = "";
      try {
        session = await send("POST", "/v1/session", { token });
        document.body.classList.remove("outside");
        resolve();
      } catch (failure) {
        said.textContent = `${failure.message}.`;
        field.focus();
      }
    });
    document.body.classList.add("outside");
    document.title = "Log in – fulfilld";
    document.getElementById("view").replaceChildren(el("section", { class: "panel pad", "aria-labelledby": "login-title" },
      el("h1", { id: "login-title" }, isByLink ? "This link was used, or its session has ended" : "Log in"),
      ...(isByLink ? [el("p", {}, "A link opens the page once. Another one:"), el("div", { class: "commands" }, command("fulfilld dashboard --open"))]
        : [el("p", { class: "soft" }, "A login lasts 12 hours."), form])));
    field.focus();
  });
}

function showLogout() {
  const button = document.getElementById("logout");
  button.hidden = session?.access !== "session";
  button.onclick = async () => {
    await send("DELETE", "/v1/session").catch(() => null);
    location.reload(); // nothing of what was shown stays
  };
}

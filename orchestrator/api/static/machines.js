// The machines: each platform's picture, with how many orders of its shops are in each state right now.

/** Shows the pictures; `update` puts the counts of a status into them. Shops of a platform that have states of their own have a picture of their own. */
class MachinesPage {
  constructor(status, milestones) {
    this.drawn = [...machinesOf(status, milestones).values()].map((shops) => ({ shops, box: el("div", { class: "panel picture", tabindex: "0", role: "group", "aria-label": `The states and steps of ${shops[0].platform}` }), legend: el("div", { class: "legend" }) }));
    const sections = this.drawn.map(({ shops, box, legend }) => el("section", {},
      el("h2", {}, shops[0].platform, el("span", { class: "soft wrap" }, shops.map((shop) => shop.name).join(", "))), box, legend));
    const hint = el("p", { class: "soft" }, "Solid boxes can be asked for; dashed ones are seen and never set; dotted ones are our record only. The numbers are the orders that are there now.");
    this.page = [el("h1", { class: "head" }, "Machines"), hint, el("br"), ...(sections.length ? sections : [el("p", { class: "panel empty" }, "No shop, so no machine to show.")])];
    this.status = status;
    for (const each of this.drawn) this.load(each);
  }

  async load({ shops, box }) {
    const [{ name, platform }] = shops;
    const drawn = await picture(platform, null, name) ?? await picture(platform, null);
    box.replaceChildren(drawn ?? el("p", { class: "empty" }, "This picture could not be read."));
    this.update(this.status);
  }

  update(status) {
    this.status = status;
    for (const { shops, box, legend } of this.drawn) {
      const orders = {};
      const names = shops.map((shop) => shop.name);
      for (const shop of (status?.shops ?? []).filter((each) => names.includes(each.name))) {
        for (const [state, n] of Object.entries(shop.by_state ?? {})) orders[state] = (orders[state] ?? 0) + n;
      }
      countStates(box, orders);
      const shop = names.length === 1 ? { shop: names[0] } : {};
      show(legend, orders, () => Object.entries(orders).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a)
        .map(([state, n]) => ordersLink({ ...shop, state }, { class: "wrap" }, `${state} `, el("b", {}, count(n)))));
    }
  }
}

/** The shops that share a machine: of one platform, with the same states. */
function machinesOf(status, milestones) {
  const found = new Map();
  for (const shop of status?.shops ?? []) {
    const key = JSON.stringify([shop.platform, Object.keys(milestones[shop.name] ?? {})]);
    found.set(key, [...(found.get(key) ?? []), shop]);
  }
  return found;
}

/** Puts numbers on the states of a picture, at the upper right corner of each box. */
function countStates(picture, orders) {
  for (const state of picture.querySelectorAll("[data-state]")) {
    const n = orders[state.getAttribute("data-state")] ?? 0;
    let mark = state.querySelector(".count");
    if (!mark && n) state.append(mark = countMark(state.querySelector(".box")));
    if (!mark) continue;
    mark.classList.toggle("none", !n);
    if (mark.textContent !== count(n)) mark.textContent = count(n);
  }
}

function countMark(box) {
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "text");
  const [x, y, width] = ["x", "y", "width"].map((name) => Number(box?.getAttribute(name) ?? 0));
  mark.setAttribute("class", "count");
  mark.setAttribute("x", String(x + width - 6));
  mark.setAttribute("y", String(y - 4));
  return mark;
}

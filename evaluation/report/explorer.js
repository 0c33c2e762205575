"use strict";
// What models wrote is only ever set as textContent. Without this script the page shows a few items.
(function () {
  const place = document.getElementById("explorer");
  const found = JSON.parse(document.getElementById("explorer-data").textContent);
  const anyArm = found.any, changes = found.changes, perPage = 10;
  const words = { r: "right", w: "wrong", u: "unscorable" };

  function make(tag, className, text) {
    const one = document.createElement(tag);
    if (className) one.className = className;
    if (text !== undefined) one.textContent = text;
    return one;
  }

  function choice(label, options, className) {
    const box = make("label", className), select = make("select");
    box.append(make("span", "", label), select);
    for (const [value, text] of options) {
      const one = make("option", "", text);
      one.value = value;
      select.append(one);
    }
    select.addEventListener("change", restart);
    return [box, select];
  }

  function changeOf(letters, arm) {
    return found.change_names[letters[0] + letters[arm]] || found.other;
  }

  function fits(what, letters, arm) {
    const own = changeOf(letters, arm);
    return what === "all" || (what === "changed" ? letters[0] !== letters[arm] : own === what);
  }

  const arms = found.models.slice(1);
  const benchmarks = Array.from(new Set(found.items.map((one) => one.benchmark)));
  const [benchmarkBox, benchmark] = choice("Benchmark", [["", "all"], ...benchmarks.map((n) => [n, n])]);
  const [armBox, arm] = choice("Arm", [["", anyArm], ...arms.map((n) => [n, n])]);
  const kinds = [["changed", found.changed], ...changes.map((n) => [n, n]), ["all", "changed or not"]];
  const [changeBox, what] = choice("What changed", kinds);
  const searchBox = make("label"), search = make("input");
  search.type = "search";
  searchBox.append(make("span", "", "Text"), search);
  const controls = make("form", "controls"), status = make("p", "small status"), list = make("div");
  const pager = make("div", "pager"), back = make("button", "", "Previous"), next = make("button", "", "Next");
  status.setAttribute("role", "status");
  back.type = next.type = "button";
  controls.append(benchmarkBox, armBox, changeBox, searchBox);
  controls.addEventListener("submit", (event) => event.preventDefault());
  pager.append(back, next);
  place.append(controls, status, list, pager);

  let page = 0;

  function matching() {
    const needle = search.value.toLowerCase();
    const places = arm.value ? [found.models.indexOf(arm.value)] : arms.map((_, number) => number + 1);
    return found.items.filter(
      (one) =>
        (!benchmark.value || one.benchmark === benchmark.value) &&
        places.some((number) => fits(what.value, one.outcomes, number)) &&
        (!needle ||
          [one.prompt, one.reference, one.item, ...one.responses].some((text) => text.toLowerCase().includes(needle)))
    );
  }

  function inAll() {
    const key = { changed: found.changed, all: found.all }[what.value] || what.value;
    let sum = 0;
    for (const [name, own] of Object.entries(found.counts)) {
      if (!benchmark.value || name === benchmark.value) sum += ((own[arm.value || anyArm] || {})[key] || [0])[0];
    }
    return sum;
  }

  function column(one, number) {
    const label = found.models[number], outcome = words[one.outcomes[number]];
    const box = make("div", "col"), who = make("div", "who"), name = make("span");
    const mark = make("span", "glyph");
    mark.dataset.glyph = found.glyphs[number];
    mark.style.color = found.colors[number];
    name.append(mark, document.createTextNode(label));
    who.append(name, make("span", outcome, outcome));
    box.append(who, make("pre", "", one.responses[number] || "(empty)"));
    return box;
  }

  function card(one) {
    const box = make("div", "sample"), head = make("div", "head"), columns = make("div", "cols");
    const named = make("span");
    named.append(make("strong", "", one.benchmark), document.createTextNode(" " + one.item));
    head.append(named);
    for (const [title, text] of [["prompt: ", one.prompt], ["reference: ", one.reference]]) {
      const part = make("span", "", title);
      part.append(make("span", "mono", text));
      head.append(part);
    }
    const shown = arm.value ? [0, found.models.indexOf(arm.value)] : found.models.map((_, number) => number);
    for (const number of shown) columns.append(column(one, number));
    box.append(head, columns);
    return box;
  }

  function show() {
    const own = matching(), pages = Math.max(1, Math.ceil(own.length / perPage));
    page = Math.min(page, pages - 1);
    const first = page * perPage, last = Math.min(own.length, first + perPage), all = inAll();
    let text = own.length ? `Items ${first + 1} to ${last} of ${own.length} on this page that match` : "No item matches";
    if (!search.value) text += `; in the whole suite ${all} do`;
    status.textContent = text + ".";
    status.dataset.count = String(own.length);
    list.replaceChildren(...own.slice(first, last).map(card));
    back.disabled = page === 0;
    next.disabled = page >= pages - 1;
  }

  function restart() {
    page = 0;
    show();
  }

  function turn(by) {
    page = Math.max(0, page + by);
    show();
    controls.scrollIntoView({ block: "nearest" });
  }

  search.addEventListener("input", restart);
  back.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  place.hidden = false;
  show();
})();

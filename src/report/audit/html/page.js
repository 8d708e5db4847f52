"use strict";
// Adds filters; all else works without. Nothing is made of text here: rows are
// shown or hidden, and a count is written as text.
(() => {
  const all = document.getElementById("all");
  const filter = document.getElementById("filter");
  const find = document.getElementById("find");
  const texts = new WeakMap();
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };

  // The section that the address names; the fleet without one.
  const page = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* as it is */ }
    const target = document.getElementById(id);
    return (target && target.closest(".page")) || (target === all ? all : document.getElementById("fleet"));
  };

  const show = (form, rows, noun, matches) => {
    let shown = 0;
    for (const row of rows) {
      const hidden = !matches(row);
      if (row.hidden !== hidden) row.hidden = hidden;
      if (!hidden) shown += 1;
    }
    form.elements.shown.textContent = `${shown} of ${rows.length} ${noun} shown`;
  };

  const filterControls = () => {
    const statuses = new Set(new FormData(filter).getAll("status"));
    const { severity, group, text } = filter.elements;
    const words = text.value.trim().toLowerCase();
    const rows = page().querySelectorAll("tr[data-s]");
    show(filter, rows, "controls", (row) => statuses.has(row.dataset.s)
      && (!severity.value || row.dataset.v === severity.value)
      && (!group.value || row.dataset.g === group.value)
      && (!words || textOf(row).includes(words)));
  };

  const filterHosts = () => {
    const words = find.elements.text.value.trim().toLowerCase();
    show(find, all.querySelectorAll("tr[data-host]"), "hosts", (row) => !words || textOf(row).includes(words));
  };

  // The filter stands in the section that is shown.
  const place = () => {
    const section = page();
    const table = section.querySelector("tr[data-s]");
    filter.hidden = !table;
    if (!table) return;
    table.closest(".scroll").before(filter);
    filterControls();
  };

  for (const [form, run] of [[filter, filterControls], [find, filterHosts]]) {
    form.addEventListener("input", run);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(run));
  }
  addEventListener("hashchange", () => {
    place();
    const head = page().querySelector("h2");
    if (head && page().id === location.hash.slice(1)) head.focus({ preventScroll: true });
  });
  // A link to #main would show the fleet instead of the section that is shown.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    page().querySelector("h2").focus();
  });
  // Browsers that cannot show folded content by style alone.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...page().querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
  });
  find.hidden = false;
  filterHosts();
  place();
})();

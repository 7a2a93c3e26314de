// The form of a subscription: event types are picked from the catalogue by ticking. What counts is
// the field with a name in each line; ticks follow it, and change it.
"use strict";

(() => {
  const picker = document.querySelector("[data-picker]");
  if (!picker) return;
  const field = document.getElementById(picker.dataset.picker);
  const search = picker.querySelector("input[type=search]");
  const none = picker.querySelector("[data-picker-none]");
  const boxes = [...picker.querySelectorAll("input[type=checkbox]")];

  const lines = () => field.value.split("\n").map((line) => line.trim()).filter(Boolean);

  function wants(filters, name) {
    return filters.some((filter) => filter.endsWith("*") && filter !== name && name.startsWith(filter.slice(0, -1)));
  }

  function follow() {
    const filters = lines();
    for (const box of boxes) {
      const isWanted = wants(filters, box.value);
      box.checked = isWanted || filters.includes(box.value);
      box.disabled = isWanted;
    }
  }

  function find() {
    const text = search.value.trim().toLowerCase();
    let found = 0;
    for (const box of boxes) {
      const label = box.closest("label");
      label.hidden = !label.textContent.toLowerCase().includes(text);
      if (!label.hidden) found += 1;
    }
    none.hidden = found > 0;
  }

  picker.addEventListener("change", (event) => {
    const box = event.target.closest("input[type=checkbox]");
    if (!box) return;
    const others = lines().filter((line) => line !== box.value);
    field.value = (box.checked ? [...others, box.value] : others).join("\n");
    follow();
  });
  field.addEventListener("input", follow);
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // looks for something, and does not save
  });

  picker.hidden = false;
  follow();
})();

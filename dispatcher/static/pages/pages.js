// What pages can do beyond links and forms. Without this file everything works but live updates.
"use strict";

(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  // ---- Times: in the reader's zone; the title keeps UTC ------------------------------------------

  const zoned = new Intl.DateTimeFormat(root.lang, {
    year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });

  function showLocalTimes(part) {
    for (const time of part.querySelectorAll("time[datetime]:not([data-local])")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.title = `${time.textContent.trim()} UTC`;
      time.textContent = zoned.format(moment);
      time.dataset.local = "";
    }
  }

  // ---- Copying: <button data-copy="#id">; what it copies is the element's text or value ----------

  async function copy(button) {
    const source = document.querySelector(button.dataset.copy);
    if (!source) return;
    const before = button.textContent;
    await navigator.clipboard.writeText("value" in source ? source.value : source.textContent);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });

  // ---- Filters: a choice in a form with data-submit takes effect at once --------------------------

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit]");
    if (form && event.target.matches("select, input[type=checkbox], input[type=radio]")) form.requestSubmit();
  });

  // ---- htmx: the token that Django asks of every POST ---------------------------------------------

  document.addEventListener("htmx:configRequest", (event) => {
    const token = document.querySelector("input[name=csrfmiddlewaretoken]");
    if (token) event.detail.headers["X-CSRFToken"] = token.value;
  });
  // A form that was refused comes back with its errors: shown like any other answer.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (![422, 429].includes(event.detail.xhr.status)) return;
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  });
  document.addEventListener("htmx:load", (event) => showLocalTimes(event.detail.elt.parentNode || document));

  showLocalTimes(document);
})();

// What htmx does not do. No globals, no style attributes written, no HTML strings.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const tip = $("#tip"), live = $("#live");
  let quiet;
  const say = (text) => { live.textContent = text; clearTimeout(quiet); quiet = setTimeout(() => { live.textContent = ""; }, 6000); };

  // Theme: the server reads the cookie, so the first paint is right without an inline script.
  const flip = () => {
    const root = document.documentElement;
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    const secure = location.protocol === "https:" ? ";secure" : "";
    document.cookie = `theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax${secure}`;
  };

  // Tooltips: data-tip holds lines "label\tvalue". The policy allows element.style.x = …, not a style attribute in markup.
  const show = (target, x, y) => {
    const table = document.createElement("table");
    for (const line of target.dataset.tip.split("\n")) {
      const row = table.insertRow();
      for (const cell of line.split("\t")) row.insertCell().textContent = cell;
      if (row.cells.length === 1) row.cells[0].colSpan = 2;
    }
    tip.replaceChildren(table);
    if (!tip.matches(":popover-open")) tip.showPopover();
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(innerWidth - box.width - 8, x + 14))}px`;
    tip.style.top = `${Math.max(8, y - box.height - 10)}px`;
  };
  const hide = () => { if (tip.matches(":popover-open")) tip.hidePopover(); };
  const point = (event) => {
    const target = event.target.closest?.("[data-tip]");
    if (target) show(target, event.clientX, event.clientY);
    else hide();
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("scroll", hide, { passive: true });

  const actions = {
    theme: flip,
    close: (button) => button.closest("dialog").close(),
    dismiss: (button) => button.closest(".notice").remove(),
    print: () => print(),
  };
  document.addEventListener("click", async (event) => {
    const target = event.target.closest?.("[data-act],[data-open],[data-copy]");
    if (!target) return;
    if (target.dataset.act) actions[target.dataset.act]?.(target);
    if (target.dataset.open) { const dialog = $(`#${CSS.escape(target.dataset.open)}`); if (!dialog.open) dialog.showModal(); }
    if (target.dataset.copy) {
      try { await navigator.clipboard.writeText(target.dataset.copy); say("Copied"); } catch { say(target.dataset.copy); }
    }
  });

  // Keyboard: / search, j and k rows, Enter opens (it is a link), Esc closes. Never while typing.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input,textarea,select") || $("dialog[open]")) return;
    if (event.key === "/") { event.preventDefault(); $("#q")?.focus(); }
    if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("[data-keys] a.row")];
      const at = rows.indexOf(document.activeElement);
      rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)))]?.focus();
    }
  });

  // A chosen or dropped file is named below the zone, with its size. The input is the zone: dropping works without a script.
  const size = (n) => (n < 1e3 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`);
  document.addEventListener("change", (event) => {
    const list = event.target.matches?.(".drop input") && event.target.closest(".field").querySelector(".chosen");
    if (!list) return;
    list.replaceChildren(...[...event.target.files].map((file) => {
      const item = document.createElement("li"), bytes = document.createElement("span");
      bytes.textContent = size(file.size);
      item.append(file.name, bytes);
      return item;
    }));
  });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => event.target.closest?.(".drop")?.classList.toggle("over", kind === "dragenter" || kind === "dragover"));
  }
  document.addEventListener("htmx:xhr:progress", (event) => {
    const bar = $(".sending", event.target);
    if (!bar || !event.detail.lengthComputable) return;
    bar.hidden = false;
    bar.max = event.detail.total;
    bar.value = event.detail.loaded;
  });

  // A form that leaves the page is sent once: its button dims until the answer is there.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post") || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    event.submitter?.classList.add("busy");
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) { delete form.dataset.sent; $(".busy", form)?.classList.remove("busy"); }
  });

  // After a swap keep the reader's place: the first bad field, or the link that was pressed.
  document.addEventListener("htmx:afterSwap", (event) => { $("[aria-invalid]", event.target.nodeType === 1 ? event.target : document)?.focus(); });
  document.addEventListener("htmx:beforeRequest", (event) => {
    // A filter such as "every 3s [!document.hidden]" would need eval, so hidden tabs are quieted here.
    if (document.hidden && event.target.getAttribute("hx-trigger")?.startsWith("every ")) { event.preventDefault(); return; }
    const path = event.target.getAttribute("hx-get");
    if (event.target.matches(".tabs a, .seg a")) document.addEventListener("htmx:afterSettle", () => $(`[hx-get="${CSS.escape(path)}"]`)?.focus(), { once: true });
  });
  document.addEventListener("htmx:sendError", () => say("No connection. Nothing was changed."));
  document.addEventListener("htmx:timeout", () => say("The server took too long to answer. Look again before you repeat it."));
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr } = event.detail;
    const plain = xhr?.getResponseHeader?.("Content-Type")?.startsWith("text/plain") && xhr.responseText;
    say(plain || `The server answered ${xhr?.status ?? "with an error"}. Nothing was changed.`);
  });

  // Where the server sent the page back with errors, start at the first one.
  $("main [aria-invalid]")?.focus();
})();

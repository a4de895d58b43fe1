// The part of htmx's attributes that the console uses, in our own words. Served where htmx is absent.
"use strict";
(() => {
  const timers = new WeakMap();
  const send = (element, name, detail = {}) => element.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable: true, detail }));
  // Like htmx, hx-target and hx-swap may stand on an ancestor.
  const near = (element, name) => element.closest(`[${name}]`)?.getAttribute(name);

  async function run(element, method, url, body) {
    const name = near(element, "hx-target") ?? "this";
    const target = name === "this" ? element.closest("[hx-target]") ?? element : document.querySelector(name);
    if (!target || element.classList.contains("htmx-request")) return;
    if (!send(element, "htmx:beforeRequest")) return;
    element.classList.add("htmx-request");
    const hold = element.hasAttribute("hx-disabled-elt") ? element : null;
    if (hold) hold.disabled = true;
    try {
      // An upload may take minutes; anything else that takes ten seconds has failed.
      const signal = body instanceof FormData ? undefined : AbortSignal.timeout(10000);
      const answer = await fetch(url, { method, body, headers: { "HX-Request": "true" }, credentials: "same-origin", signal });
      const elsewhere = answer.headers.get("HX-Redirect");
      if (elsewhere) { location.assign(elsewhere); return; }
      if (answer.headers.get("HX-Refresh") === "true") { location.reload(); return; }
      if (answer.status === 286) clearInterval(timers.get(element));
      if (answer.status === 204) return;
      const text = await answer.text();
      if (!answer.ok && answer.status !== 422) {
        const xhr = { status: answer.status, responseText: text, getResponseHeader: (header) => answer.headers.get(header) };
        send(element, "htmx:responseError", { xhr });
        return;
      }
      // DOMParser runs no script and loads nothing before the nodes are adopted.
      const parsed = new DOMParser().parseFromString(text, "text/html");
      const outer = near(element, "hx-swap") === "outerHTML";
      const root = outer ? target.parentElement : target;
      if (outer) target.replaceWith(...parsed.body.childNodes);
      else target.replaceChildren(...parsed.body.childNodes);
      if (near(element, "hx-push-url") === "true") history.pushState({ swapped: true }, "", url);
      start(root);
      send(root, "htmx:afterSwap", { target: root });
      send(document, "htmx:afterSettle");
    } catch (problem) {
      send(element.isConnected ? element : document, "htmx:sendError", { problem });
    } finally {
      element.classList.remove("htmx-request");
      if (hold) hold.disabled = false;
    }
  }

  function start(root) {
    for (const element of root.querySelectorAll("[hx-get][hx-trigger]")) {
      const trigger = element.getAttribute("hx-trigger");
      if (timers.has(element) || element.closest("[hx-disable]")) continue;
      if (trigger === "load") {
        timers.set(element, 0);
        run(element, "GET", element.getAttribute("hx-get"));
      } else if (trigger.startsWith("every ")) {
        const timer = setInterval(() => {
          if (!element.isConnected) clearInterval(timer);
          else run(element, "GET", element.getAttribute("hx-get"));
        }, parseFloat(trigger.slice(6)) * 1000);
        timers.set(element, timer);
      }
    }
  }

  document.addEventListener("click", (event) => {
    const element = event.target.closest?.("a[hx-get],button[hx-get],button[hx-post]");
    if (!element || event.ctrlKey || event.metaKey || event.shiftKey || element.closest("[hx-disable]")) return;
    event.preventDefault();
    const post = element.getAttribute("hx-post");
    run(element, post ? "POST" : "GET", post ?? element.getAttribute("hx-get"));
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[hx-post],form[hx-get]");
    if (!form || form.closest("[hx-disable]")) return;
    event.preventDefault();
    const data = new FormData(form, event.submitter);
    if (form.hasAttribute("hx-get")) run(form, "GET", `${form.getAttribute("hx-get")}?${new URLSearchParams(data)}`);
    else run(form, "POST", form.getAttribute("hx-post"), form.getAttribute("hx-encoding") ? data : new URLSearchParams(data));
  });
  // The page behind a pushed address is asked for anew: nothing of an earlier page is kept in the browser.
  addEventListener("popstate", () => location.reload());
  start(document);
})();

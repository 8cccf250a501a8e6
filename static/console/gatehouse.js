// What every console page does beside HTML: theme, menus, keyboard, copying, times and tabs.
// Pages work without it, but for copying and the conveniences. Texts come from the page, so that they are translated.
(() => {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const on = (type, selector, handle) =>
    document.addEventListener(type, (event) => {
      const element = event.target instanceof Element ? event.target.closest(selector) : null;
      if (element) handle(element, event);
    });

  // --- theme ---

  const markTheme = () => {
    const choice = document.documentElement.dataset.themeChoice;
    all("[data-theme-set]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.themeSet === choice)));
  };
  on("click", "[data-theme-set]", (button) => {
    document.dispatchEvent(new CustomEvent("gatehouse:theme", { detail: button.dataset.themeSet }));
    markTheme();
  });

  // --- menus, the sidebar on narrow screens, toasts ---

  const closeMenus = (except) => all("details.gh-menu[open]").forEach((menu) => menu !== except && menu.removeAttribute("open"));
  document.addEventListener("click", (event) => closeMenus(event.target.closest?.("details.gh-menu")));
  document.addEventListener("focusin", (event) => closeMenus(event.target.closest?.("details.gh-menu")));

  const toggleSidebar = (open) => {
    const sidebar = $(".gh-sidebar");
    const isOpen = sidebar?.classList.toggle("gh-open", open);
    $("[data-sidebar]")?.setAttribute("aria-expanded", String(isOpen));
  };
  on("click", "[data-sidebar]", () => toggleSidebar());

  on("click", "[data-close-toast]", (button) => button.closest(".gh-toast").remove());
  const fadeToasts = () =>
    all(".gh-toast-success").forEach((toast) =>
      setTimeout(() => toast.matches(":hover, :focus-within") || toast.remove(), 8000),
    );

  // --- copying ---

  const copied = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Plain HTTP in a private network has no clipboard API.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("the browser refused to copy");
    return undefined;
  };
  on("click", "[data-copy]", async (button) => {
    const label = $("[data-copy-label]", button) ?? button;
    const before = label.textContent;
    try {
      await copied($(button.dataset.copy).textContent.trim());
      label.textContent = button.dataset.copied;
    } catch {
      label.textContent = button.dataset.failed;
    }
    setTimeout(() => (label.textContent = before), 2000);
  });

  // --- times ---

  const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto", style: "short" });
  const relative = (moment) => {
    let amount = (moment - Date.now()) / 1000;
    for (const [unit, size] of STEPS) {
      if (Math.abs(amount) < size) return words.format(Math.round(amount), unit);
      amount /= size;
    }
    return "";
  };
  const showTimes = () =>
    all("time[data-relative]").forEach((time) => {
      time.textContent = relative(Date.parse(time.dateTime));
    });

  // --- keyboard ---

  const typing = (element) => element.matches("input, textarea, select, [contenteditable]");
  let afterG = 0;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      closeMenus();
      toggleSidebar(false);
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "/") {
      const search = $("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    } else if (event.key === "?") {
      event.preventDefault();
      $("#help")?.showModal();
    } else if (event.key === "g") {
      afterG = Date.now();
    } else if (Date.now() - afterG < 1500) {
      afterG = 0;
      $(`[data-go="${CSS.escape(event.key)}"]`)?.click();
    }
  });
  on("click", "[data-open-dialog]", (button) => {
    closeMenus();
    $(button.dataset.openDialog).showModal();
  });
  on("click", "dialog", (dialog, event) => event.target === dialog && dialog.close());

  // --- tabs (WAI-ARIA pattern) ---

  const choose = (tab) => {
    all('[role="tab"]', tab.parentElement).forEach((other) => {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    });
  };
  on("click", '[role="tab"]', choose);
  on("keydown", '[role="tab"]', (tab, event) => {
    const tabs = all('[role="tab"]', tab.parentElement);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    choose(next);
    next.focus();
  });

  // --- start ---

  const ready = () => {
    markTheme();
    showTimes();
  };
  document.addEventListener("DOMContentLoaded", () => {
    ready();
    fadeToasts();
    setInterval(showTimes, 15000);
    // After a form was answered without a redirect, reloading must not send it again.
    const place = $("[data-replace-url]");
    if (place) history.replaceState(null, "", place.dataset.replaceUrl);
  });
  document.addEventListener("htmx:after:swap", ready);
})();

// The editor of configs: line numbers, the line of a fault, indenting, templates, import and format.
// Without it the text area works as any other, and saving says what is wrong.
(() => {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const on = (type, selector, handle) =>
    document.addEventListener(type, (event) => {
      const element = event.target instanceof Element ? event.target.closest(selector) : null;
      if (element) handle(element, event);
    });

  // --- line numbers ---

  const gutterOf = (area) => {
    const box = area.closest("[data-editor]");
    return box ? $(".gh-gutter", box) : null;
  };
  const number = (area) => {
    const gutter = gutterOf(area);
    if (!gutter) return;
    const count = area.value.split("\n").length;
    if (gutter.childElementCount !== count) {
      gutter.replaceChildren(
        ...Array.from({ length: count }, (_, index) => {
          const line = document.createElement("span");
          line.textContent = String(index + 1);
          return line;
        }),
      );
    }
    gutter.scrollTop = area.scrollTop;
  };
  const markFault = () => {
    const area = $("[data-editor] textarea");
    if (!area) return;
    const line = Number($("#config-check [data-line]")?.dataset.line ?? 0);
    [...gutterOf(area).children].forEach((child, index) => child.classList.toggle("gh-gutter-bad", index + 1 === line));
    area.setAttribute("aria-invalid", String(Boolean($("#config-check .gh-check-bad"))));
  };
  // As if typed, so that the browser's undo brings back what was there; it also sends the event `input`.
  const insert = (area, text) => {
    if (document.execCommand("insertText", false, text)) return;
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const write = (area, text) => {
    area.focus();
    area.select();
    insert(area, text);
    area.setSelectionRange(0, 0);
    area.scrollTop = 0;
  };
  on("input", "textarea.gh-editor", number);
  document.addEventListener("scroll", (event) => event.target.matches?.("textarea.gh-editor") && number(event.target), true);

  // --- typing: Tab indents; Escape first lets Tab leave the field ---

  let leaving = false;
  on("keydown", "textarea.gh-editor", (area, event) => {
    if (event.isComposing) return;
    if (event.key === "Tab" && !event.shiftKey && !leaving) {
      event.preventDefault();
      insert(area, "  ");
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const line = area.value.slice(0, area.selectionStart).split("\n").pop();
      insert(area, `\n${line.match(/^\s*/)[0]}${/[[{]\s*$/.test(line) ? "  " : ""}`);
    } else if (event.key === "Enter") {
      area.form.requestSubmit();
    }
    leaving = event.key === "Escape";
  });

  // --- templates, format and import ---

  on("click", "[data-fill]", (button) => {
    button.closest("details")?.removeAttribute("open");
    write($(button.dataset.into), $(button.dataset.fill).content.textContent.trim());
  });
  // The gateway reads the text, so JSON and YAML mean here what they mean when they are saved.
  const convert = async (area, url, text) => {
    const body = new URLSearchParams({ body: text, csrfmiddlewaretoken: area.form.elements.csrfmiddlewaretoken.value });
    const answer = await fetch(url, { method: "POST", body, redirect: "error" });
    write(area, answer.ok ? await answer.text() : text);
  };
  on("click", "[data-format]", (button) => {
    const area = $(button.dataset.format);
    convert(area, button.dataset.convert, area.value);
  });
  on("change", "[data-import]", async (field) => {
    const [file] = field.files;
    if (!file) return;
    await convert($(field.dataset.import), field.dataset.convert, await file.text());
    field.value = "";
  });

  document.addEventListener("DOMContentLoaded", () => {
    const area = $("[data-editor] textarea");
    if (area) number(area);
    markFault();
  });
  document.addEventListener("htmx:after:swap", markFault);
})();

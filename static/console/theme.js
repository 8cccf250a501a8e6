// Runs before the first paint, from the head and without `defer`, so that a page never flashes in the other theme.
(() => {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  const stored = () => {
    try {
      return localStorage.getItem("gatehouse-theme") ?? "auto";
    } catch {
      return "auto"; // storage is switched off: the system's theme then
    }
  };
  const apply = () => {
    const choice = stored();
    root.dataset.themeChoice = choice;
    root.dataset.bsTheme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  };

  dark.addEventListener("change", apply);
  document.addEventListener("gatehouse:theme", (event) => {
    try {
      localStorage.setItem("gatehouse-theme", event.detail);
    } catch {
      root.dataset.themeChoice = event.detail;
    }
    apply();
  });
  apply();
})();

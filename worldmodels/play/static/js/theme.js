// Dark or light. Not a module: it runs before the first paint, so that the page never flashes in the other one.

(() => {
  const KEY = "worldmodels-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");

  // Storage can be forbidden; then the switch holds until the page is closed.
  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      /* nothing to do */
    }
  }

  function show(theme) {
    root.dataset.theme = theme;
    dispatchEvent(new Event("themechange")); // canvases draw in the theme's colours
  }

  const ofSystem = () => (system.matches ? "light" : "dark");
  show(remembered() ?? ofSystem());
  system.addEventListener("change", () => remembered() ?? show(ofSystem()));
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      remember(theme);
      show(theme);
    });
  });
})();

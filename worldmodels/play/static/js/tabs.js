// The screens as tabs. Arrow keys move between the tabs, Enter opens one: opening starts a game, so moving must not.

import { byId, show } from "./elements.js";

export class Tabs {
  /** onchoose(name) when a person opens a screen. */
  constructor(names, onchoose) {
    this.names = names;
    this.onchoose = onchoose;
    this.tabs = [...document.querySelectorAll('[role="tab"]')];
    for (const tab of this.tabs) show(tab, names.includes(tab.dataset.screen));
    this.tabs = this.tabs.filter((tab) => !tab.hidden);
    show(byId("tabs"), names.length > 1);
    for (const tab of this.tabs) tab.addEventListener("click", () => onchoose(tab.dataset.screen));
    byId("tabs").addEventListener("keydown", (event) => this.#move(event));
  }

  select(name) {
    for (const tab of this.tabs) {
      const chosen = tab.dataset.screen === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      show(byId(tab.getAttribute("aria-controls")), chosen);
    }
  }

  #move(event) {
    const at = this.tabs.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    this.tabs.at(to % this.tabs.length).focus();
  }
}

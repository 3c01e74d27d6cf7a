// The list of all keys.

import { byId, make } from "./elements.js";
import { SHORTCUTS } from "./keyboard.js";
import { keySign } from "./wording.js";

export function buildHelp({ keys, screens, words: game }) {
  const rows = keys.map(({ key, label }) => [[key], label, ""]);
  for (const { key, also, name, words } of SHORTCUTS) {
    if (name === "branch" && !screens.includes("compare")) continue;
    if (name === "screen" && screens.length < 2) continue;
    const said = name === "drive" ? game.hand_over : words;
    rows.push([[key, also].filter(Boolean), said, name === "screen" ? " to " : " or "]);
  }
  byId("help-keys").replaceChildren(
    ...rows.flatMap(([signs, words, between]) => [
      make("dt", {}, ...signs.flatMap((sign, index) => [index > 0 ? between : "", make("kbd", {}, keySign(sign))])),
      make("dd", {}, words),
    ]),
  );
  byId("help-button").addEventListener("click", openHelp);
}

export function openHelp() {
  byId("help").showModal();
}

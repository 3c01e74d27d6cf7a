// A moment of a dream as a link: seed, temperature and every action until then.

import { byId, show, toast } from "./elements.js";

const NAME = "#moment=";

/** The code in the page's address, if there is one. */
export const codeInAddress = () => (location.hash.startsWith(NAME) ? location.hash.slice(NAME.length) : null);

/** Puts the code into the address and onto the clipboard. */
export async function keepMoment(code) {
  history.replaceState(null, "", NAME + code);
  const field = byId("moment-link");
  field.value = location.href;
  show(byId("moment"), true);
  let copied = true;
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    copied = false; // not allowed, or the page came over plain http from another machine
    field.focus();
    field.select();
  }
  byId("moment-words").textContent = copied ? "Copied:" : "Copy it from here:";
  toast(copied ? "Link copied. It restores the seed, τ and every action until now." : "The link stands below its button.");
}

// Large pads under the thumbs, for fingers. A thumb may slide from one to the next without being lifted.

import { make } from "./elements.js";
import { keySign } from "./wording.js";

/** Left hand: the first action (the wheel). Right hand: the others. A game of one action has two halves. */
export function buildPads(place, { keys, actions }, steering) {
  const fingers = new Map(); // pointer → index of the key it holds
  const pads = keys.map(({ key, label }, index) =>
    make("div", { class: "pad", role: "button", "aria-label": label, "data-index": index }, keySign(key), make("small", {}, label)),
  );
  const first = keys.map((key, index) => (key.action === keys[0].action ? index : -1)).filter((index) => index >= 0);
  const rest = keys.map((_, index) => index).filter((index) => !first.includes(index));
  // Gas lies outside, under the right thumb, where a hand expects it.
  const hands = actions.length === 1 ? [first] : [first, rest.reverse()];
  place.replaceChildren(...hands.map((hand) => make("div", {}, ...hand.map((index) => pads[index]))));
  place.classList.toggle("halves", actions.length === 1);

  function hold(pointer, index) {
    const before = fingers.get(pointer) ?? -1;
    if (before === index) return;
    if (index >= 0) fingers.set(pointer, index);
    else fingers.delete(pointer);
    const held = new Set(fingers.values());
    if (before >= 0 && !held.has(before)) steering.release(before);
    if (index >= 0) steering.press(index, "pad");
    pads.forEach((pad, number) => pad.classList.toggle("held", held.has(number)));
  }

  const under = (event) => {
    const pad = document.elementFromPoint(event.clientX, event.clientY)?.closest(".pad");
    return pad && place.contains(pad) ? Number(pad.dataset.index) : -1;
  };
  place.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    place.setPointerCapture(event.pointerId); // the finger stays ours wherever it slides
    hold(event.pointerId, under(event));
  });
  place.addEventListener("pointermove", (event) => fingers.has(event.pointerId) && hold(event.pointerId, under(event)));
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    place.addEventListener(end, (event) => hold(event.pointerId, -1));
  }
  place.addEventListener("contextmenu", (event) => event.preventDefault());
}

/** Shows the pads where fingers are all there is, and on machines with a mouse too once a finger is used. */
export function noticeFingers() {
  const { classList } = document.documentElement;
  const fine = matchMedia("(any-pointer: fine)").matches;
  classList.toggle("touched", matchMedia("(pointer: coarse)").matches || (navigator.maxTouchPoints > 0 && !fine));
  addEventListener("pointerdown", ({ pointerType }) => pointerType === "touch" && classList.add("touched"));
}

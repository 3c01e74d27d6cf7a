// Elements of the page. Data comes in through textContent and attributes only, never as markup.

export const byId = (id) => document.getElementById(id);

/** An element: attributes by name, listeners as functions under "onclick" and the like, then its children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Text of an element; touches the page only where it differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

export function press(button, pressed) {
  const value = String(pressed);
  if (button.getAttribute("aria-pressed") !== value) button.setAttribute("aria-pressed", value);
}

/** A pause button's two faces. */
export function showPaused(button, paused) {
  if (button.getAttribute("aria-pressed") === String(paused)) return;
  press(button, paused);
  setText(button.querySelector(".word"), paused ? "Go on" : "Pause");
  button.querySelector("use").setAttribute("href", paused ? "#i-play" : "#i-pause");
}

export function options(select, entries) {
  select.replaceChildren(...entries.map(([value, text]) => make("option", { value }, text)));
}

/** For people who cannot see the picture: said once, when nothing else is being said. */
export function announce(text) {
  byId("announcements").textContent = text;
}

let hiding = 0;

/** A sentence above the page, for a while. */
export function toast(text, seconds = 6) {
  const place = byId("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (place.hidden = true), seconds * 1000);
}

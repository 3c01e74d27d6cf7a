// Every key of the page. Steering comes first, then the shortcuts; a form control in focus keeps its own keys.

const TYPED_INTO = "input, select, textarea, [contenteditable]";
const OWN_ARROWS = '[role="tablist"], .strip'; // there, arrow keys move the focus
const LETTERS = { KeyA: "ArrowLeft", KeyD: "ArrowRight", KeyW: "ArrowUp", KeyS: "ArrowDown" }; // by place, not by letter
const REPEATS = new Set(["rewind"]); // shortcuts that go on while they are held

/** Names of the shortcuts by key; a screen takes those that mean something to it. */
export const SHORTCUTS = [
  { key: " ", name: "pause", words: "pause, go on" },
  { key: ".", name: "step", words: "one tick of M, then stand still" },
  { key: "Backspace", also: ",", name: "rewind", words: "back in time; hold for more" },
  { key: "r", name: "restart", words: "begin again" },
  { key: "c", name: "drive", words: "let C play, or take over again" },
  { key: "b", name: "branch", words: "side by side: dream on from here" },
  { key: "m", name: "moment", words: "copy a link to this moment" },
  { key: "v", name: "record", words: "keep the last seconds as a video" },
  { key: "1", also: "4", name: "screen", words: "the four screens" },
  { key: "?", name: "help", words: "this list" },
];

export class Keyboard {
  #down = new Map(); // event.code of a held key → what it does

  /** steers() says whether the screen in view is steered; run(name, on) does a shortcut, or ends one that was held. */
  constructor(steering, { steers, run, choose }) {
    this.steering = steering;
    this.steers = steers;
    this.run = run;
    this.choose = choose;
    addEventListener("keydown", (event) => this.#press(event));
    addEventListener("keyup", (event) => this.#release(event));
    addEventListener("blur", () => this.#releaseAll());
    document.addEventListener("visibilitychange", () => document.hidden && this.#releaseAll());
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(TYPED_INTO)) return;
    const index = this.#steeringKey(event);
    if (index >= 0 && this.steers() && !(event.key.startsWith("Arrow") && target.closest(OWN_ARROWS))) {
      event.preventDefault(); // the page must not scroll
      if (event.repeat) return;
      this.#down.set(event.code, { release: () => this.steering.release(index) });
      this.steering.press(index, event.code, event.timeStamp);
      return;
    }
    if (event.key === " " && target.closest("button, summary, a, label")) return; // Space presses what is in focus
    this.#shortcut(event);
  }

  #shortcut(event) {
    if (/^[1-9]$/.test(event.key)) {
      if (this.choose(Number(event.key) - 1)) event.preventDefault();
      return;
    }
    const key = event.key.toLowerCase();
    const shortcut = SHORTCUTS.find((one) => one.key.toLowerCase() === key || one.also === key);
    if (!shortcut) return;
    event.preventDefault();
    if (event.repeat) return;
    if (this.run(shortcut.name, true) && REPEATS.has(shortcut.name)) {
      this.#down.set(event.code, { release: () => this.run(shortcut.name, false) });
    }
  }

  #steeringKey(event) {
    const named = this.steering.keys.findIndex(({ key }) => key.toLowerCase() === event.key.toLowerCase());
    if (named >= 0) return named;
    const arrow = LETTERS[event.code];
    return arrow ? this.steering.keys.findIndex(({ key }) => key === arrow) : -1;
  }

  #release(event) {
    this.#down.get(event.code)?.release();
    this.#down.delete(event.code);
  }

  #releaseAll() {
    for (const { release } of this.#down.values()) release();
    this.#down.clear();
    this.steering.releaseAll();
  }
}

let pointed = false; // whether the last thing that was touched was a pointer

/** After a click the picture has the focus again, so that the next key steers; whoever moves by keys stays where they are. */
export function returnFocus(steers, picture) {
  addEventListener("pointerdown", () => (pointed = true), true);
  addEventListener("keydown", () => (pointed = false), true);
  const back = (target) => {
    if (pointed && steers() && !target.closest("#recording, #moment")) picture()?.focus({ preventScroll: true });
  };
  addEventListener("click", ({ target }) => target.closest?.("main button, header button") && setTimeout(() => back(target)));
  addEventListener("change", ({ target }) => target.closest?.("main select, main input") && back(target));
  addEventListener("pointerup", ({ target }) => target.matches?.('main input[type="range"]') && setTimeout(() => back(target)));
}

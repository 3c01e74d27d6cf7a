// The page: chooses its engine, builds the screens when the engine says hello, and brings both together.

import { CheatingScreen } from "./cheating.js";
import { CompareScreen } from "./compare.js";
import { debug, frameDrawn } from "./debug.js";
import { DreamScreen } from "./dream.js";
import { announce, byId, setText, toast } from "./elements.js";
import { FrameQueue } from "./frames.js";
import { Gamepad } from "./gamepad.js";
import { buildHelp, openHelp } from "./help.js";
import { Keyboard, returnFocus } from "./keyboard.js";
import { LatentsScreen } from "./latents.js";
import { codeInAddress } from "./moments.js";
import { noticeFingers } from "./pads.js";
import { Steering } from "./steering.js";
import { Tabs } from "./tabs.js";
import { sayInTheGamesWords } from "./words.js";

const SCREENS = { dream: DreamScreen, compare: CompareScreen, latents: LatentsScreen, cheating: CheatingScreen };

class App {
  #hello = null;
  #screens = new Map();
  #screen = null;
  #shown = null; // header of the last frame that was drawn
  #pausedByHiding = false;

  constructor(engine) {
    this.engine = engine;
    this.send = (message) => engine.send(message);
    this.frames = new FrameQueue(
      (header, panes) => this.#draw(header, panes),
      (n) => this.send({ type: "ack", n }),
    );
    engine.onhello = (hello) => this.#greet(hello);
    engine.onframe = (header, panes) => this.#receive(header, panes);
    engine.onevent = (message) => this.#hear(message);
    engine.onstatus = (state, detail) => this.#tellStatus(state, detail);
  }

  #greet(hello) {
    const before = this.#hello;
    if (before && before.model !== hello.model) {
      location.reload(); // another run is being played here now
      return;
    }
    this.#hello = hello;
    this.frames.forget(); // what came over the old connection is not acknowledged over this one
    if (!before) this.#build(hello);
    else if (before.session === hello.session) this.#goOn();
    else this.#beginAgain();
  }

  #build(hello) {
    setText(byId("model"), hello.model);
    document.title = `Inside the dream · ${hello.model}`;
    sayInTheGamesWords(hello);
    this.steering = new Steering(hello, this.send);
    const context = { hello, send: this.send, steering: this.steering };
    for (const name of hello.screens) if (SCREENS[name]) this.#screens.set(name, new SCREENS[name](context));
    this.tabs = new Tabs([...this.#screens.keys()], (name) => this.#choose(name));
    this.steering.ontake = () => this.#screen.take();
    const steers = () => Boolean(this.#screen?.steers);
    new Keyboard(this.steering, {
      steers,
      run: (name, on) => this.#run(name, on),
      choose: (index) => this.#chooseNumber(index),
    });
    new Gamepad(this.steering, { steers, pause: () => this.#run("pause", true) });
    returnFocus(steers, () => this.#screen.picture);
    noticeFingers();
    buildHelp(hello);
    document.addEventListener("visibilitychange", () => this.#hide(document.hidden));
    addEventListener("hashchange", () => this.#restore());
    document.documentElement.dataset.ready = "";
    this.#enter("dream");
    this.#restore();
  }

  get #moves() {
    return this.#shown?.screen === this.#screen?.name && this.#shown?.paused === false;
  }

  /** The session stood still while the connection was away. */
  #goOn() {
    this.send({ type: "screen", name: this.#screen.name });
    this.steering.sayAgain();
    if (document.hidden) this.#hide(true);
    else if (this.#moves) this.send({ type: "pause", on: false });
    announce("Connected again.");
  }

  /** The old session is gone: tell the new one what was chosen. */
  #beginAgain() {
    this.send({ type: "screen", name: "dream" });
    this.#screens.get("dream").resend();
    if (this.#screen.name !== "dream") {
      this.send({ type: "screen", name: this.#screen.name });
      this.#screen.resend();
    }
    this.#screen.enter();
    if (document.hidden) this.#pauseUnseen();
    this.steering.sayAgain();
    toast("Connected again. The old dream is gone; this is another one.");
  }

  #enter(name) {
    this.#screen?.leave();
    this.steering.releaseAll();
    this.#screen = this.#screens.get(name);
    this.steering.enabled = this.#screen.steers;
    this.tabs.select(name);
    this.send({ type: "screen", name });
    this.#screen.enter();
  }

  #choose(name) {
    if (this.#screen.name !== name) this.#enter(name);
    if (!document.activeElement?.matches(":focus-visible")) this.#screen.picture.focus({ preventScroll: true });
  }

  #chooseNumber(index) {
    const name = [...this.#screens.keys()][index];
    if (!name) return false;
    this.#choose(name);
    return true;
  }

  #run(name, on) {
    if (name === "help") {
      openHelp();
      return true;
    }
    const command = this.#screen.commands[name];
    command?.(on);
    return Boolean(command);
  }

  #restore() {
    const code = codeInAddress();
    if (code === null) return;
    if (this.#screen.name !== "dream") this.#enter("dream");
    this.#screen.restore(code);
    toast("This is the moment of the link. Space goes on.");
  }

  #receive(header, panes) {
    debug.framesReceived += 1;
    if (header.n !== undefined) this.frames.offer(header, panes);
    else this.#draw(header, panes);
  }

  #draw(header, panes) {
    if (header.screen !== this.#screen?.name) return;
    this.#shown = header;
    this.#screen.show(header, panes);
    frameDrawn(header);
  }

  #hear(message) {
    if (message.type === "error") toast(message.message);
    this.#screen?.event(message);
  }

  #tellStatus(state, detail) {
    debug.status = state;
    const place = byId("status");
    place.dataset.state = document.documentElement.dataset.connection = state;
    setText(place, state === "open" ? RUNS_BY[detail] ?? "connected" : detail || state);
    if (state !== "open" && state !== "connecting") setText(byId("asleep"), `${detail[0]?.toUpperCase() ?? ""}${detail.slice(1)}`);
  }

  /** Nobody dreams in a tab that nobody sees. */
  #hide(hidden) {
    if (hidden && this.#moves) this.#pauseUnseen();
    else if (!hidden && this.#pausedByHiding) {
      this.#pausedByHiding = false;
      this.send({ type: "pause", on: false });
    }
  }

  #pauseUnseen() {
    this.#pausedByHiding = true;
    this.send({ type: "pause", on: true });
  }
}

const RUNS_BY = { wasm: "runs here, by WebAssembly", webgpu: "runs here, by WebGPU" };
const kind = document.querySelector('meta[name="engine"]').content;
const { connect } = await import(`./engine-${kind}.js`);
const engine = connect();
new App(engine);
engine.start();

// Latents: what V makes of a frame, number by number.

import { byId, make, options, setText, show, toast } from "./elements.js";
import { Between } from "./interpolation.js";
import { LatentSliders } from "./latent-sliders.js";
import { MixtureChart } from "./mixture-chart.js";
import { Painter } from "./painter.js";
import { pixelsOf } from "./upload.js";

const REACH = 10; // the engine takes latents within [-10, 10]

export class LatentsScreen {
  name = "latents";
  steers = false;
  picture = byId("picture-latents");

  #decodeId = 0;
  #shownId = 0;
  #wanted = null;
  #entered = false;
  #source = "";
  #mixture = null;

  constructor({ hello, send }) {
    Object.assign(this, { hello, send, latents: hello.latents });
    this.z = [...hello.latents.mean];
    this.frame = new Painter(byId("latents-frame"));
    this.decoded = new Painter(byId("latents-decoded"));
    this.sliders = new LatentSliders(byId("latent-sliders"), hello.latents, (z) => this.want(z));
    this.between = new Between(this);
    this.mixture = new MixtureChart(byId("latent-mixture"), hello.latents);
    setText(byId("latent-size"), String(hello.latent_size));
    this.#wire();
  }

  commands = {};

  enter() {
    if (!this.#entered) {
      this.send({ type: "examples" });
      this.#encode({ example: 0 }, "example 1");
    }
    this.#entered = true;
    this.#askMixture();
  }

  leave() {
    this.between.stop();
  }

  resend() {}
  take() {}

  event(message) {
    if (message.type !== "mixture") return;
    this.#mixture = message;
    this.#drawMixture();
  }

  /** Have a latent decoded; of several within one repaint, the last. */
  want(z) {
    this.z = z.map((value) => Math.min(REACH, Math.max(-REACH, value)));
    this.sliders.show(this.z);
    if (this.#wanted === null) requestAnimationFrame(() => this.#decode());
    this.#wanted = this.z;
  }

  /** Answers are not a stream: none may be left out. */
  show(header, panes) {
    if (header.kind === "examples") this.#showExamples(panes);
    else if (header.kind === "encoded") {
      this.z = header.z;
      this.sliders.show(this.z);
      this.frame.paint(panes[0]);
      this.decoded.paint(panes[1]);
      this.#shownId = this.#decodeId; // answers to older questions are out of date
      this.#from(this.#source, true);
    } else if (header.id > this.#shownId) {
      this.#shownId = header.id;
      this.decoded.paint(panes[0]);
    }
  }

  #decode() {
    const z = this.#wanted;
    this.#wanted = null;
    this.#decodeId += 1;
    this.send({ type: "decode", id: this.#decodeId, z });
  }

  #encode(what, source) {
    this.between.stop();
    this.#source = source;
    this.send({ type: "encode", ...what });
  }

  #from(words, framed) {
    setText(byId("frame-from"), words);
    show(byId("no-frame"), !framed);
    setText(byId("no-frame"), "No frame: a latent of its own");
  }

  #wire() {
    byId("random-latent").addEventListener("click", () => {
      this.between.stop();
      this.#from("", false);
      this.want(this.latents.mean.map((mean, dimension) => mean + this.latents.std[dimension] * normal()));
    });
    byId("to-mean").addEventListener("click", () => {
      this.between.stop();
      this.#from("", false);
      this.want(this.latents.mean);
    });
    byId("from-dream").addEventListener("click", () => this.#encode({ from: "dream" }, "from the dream"));
    const upload = byId("upload");
    upload.addEventListener("change", async () => {
      const [file] = upload.files;
      upload.value = ""; // so that the same file can be chosen again
      if (!file) return;
      try {
        this.#encode({ pixels: await pixelsOf(file) }, "yours");
      } catch {
        toast(`${file.name} is not a picture that this browser can read.`);
      }
    });
    const select = byId("latent-dimension");
    options(select, this.latents.order.map((dimension) => [dimension, `z${dimension}`]));
    select.addEventListener("change", () => this.#askMixture());
    addEventListener("themechange", () => this.#drawMixture());
    const all = byId("show-all");
    show(all, this.sliders.hasMore);
    setText(all, `Show all ${this.hello.latent_size}`);
    all.addEventListener("click", () => {
      const on = all.getAttribute("aria-expanded") !== "true";
      all.setAttribute("aria-expanded", String(on));
      this.sliders.showAll(on);
      setText(all, on ? "Show the largest" : `Show all ${this.hello.latent_size}`);
    });
  }

  #askMixture() {
    this.send({ type: "mixture", dimension: Number(byId("latent-dimension").value) });
  }

  #drawMixture() {
    if (this.#mixture) this.mixture.draw(this.#mixture, 1);
  }

  #showExamples(panes) {
    const buttons = panes.map((pixels, index) => {
      const canvas = make("canvas", { width: 64, height: 64, "aria-hidden": "true" });
      new Painter(canvas).paint(pixels);
      const choose = () => this.#encode({ example: index }, `example ${index + 1}`);
      return make("button", { "aria-label": `Example ${index + 1}`, onclick: choose }, canvas);
    });
    byId("examples").replaceChildren(...buttons);
  }
}

/** A draw from N(0, 1). */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

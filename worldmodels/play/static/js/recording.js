// The last seconds of a dream as a film to keep.

import { byId, make, options, show } from "./elements.js";
import { bytes, number } from "./wording.js";

const CHOICES = [5, 10, 20, 30, 60]; // seconds
const USUAL = 10;

export class Recording {
  constructor({ hello, send }) {
    this.send = send;
    this.formats = hello.recording?.formats ?? [];
    show(byId("recording-row"), this.formats.length > 0);
    if (this.formats.length === 0) return;
    const most = hello.recording.seconds ?? CHOICES.at(-1);
    const choices = CHOICES.filter((seconds) => seconds <= most);
    options(byId("record-seconds"), choices.map((seconds) => [seconds, `${seconds} s`]));
    byId("record-seconds").value = String(choices.includes(USUAL) ? USUAL : choices.at(-1));
    for (const format of ["mp4", "gif"]) {
      const button = byId(`record-${format}`);
      show(button, this.formats.includes(format));
      button.addEventListener("click", () => this.keep(format));
    }
    byId(`record-${this.formats[0]}`).append(make("kbd", {}, "V"));
  }

  keep(format = this.formats[0]) {
    if (!format) return;
    if (this.send({ type: "record", format, seconds: Number(byId("record-seconds").value) }) !== false) this.#say("Making the film…");
  }

  /** The engine has made it. */
  made({ url, bytes: count, seconds }) {
    const blob = url.startsWith("blob:");
    const link = byId("recording-link");
    link.href = blob ? url : new URL(url.replace(/^\/+/, ""), document.baseURI).href; // the page may live below a prefix
    if (!blob && new URL(link.href).origin !== location.origin) return this.failed();
    const format = blob ? "gif" : link.href.split(".").at(-1); // of the film that came, whatever was asked for since
    link.download = `dream.${format}`;
    link.textContent = `Save the ${format.toUpperCase()}: ${number(seconds, 1)} s, ${bytes(count)}`;
    this.#say("", true);
  }

  /** The engine refused; why stands elsewhere. */
  failed() {
    if (byId("recording-link").hidden) show(byId("recording"), false);
  }

  #say(text, done = false) {
    byId("recording-state").textContent = text;
    show(byId("recording-link"), done);
    show(byId("recording"), true);
  }
}

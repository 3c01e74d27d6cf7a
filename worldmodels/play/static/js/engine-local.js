// The engine of an exported page: the dream is dreamt in this browser, by a worker. Same interface as engine-socket.js.

export function connect() {
  return new LocalEngine();
}

class LocalEngine {
  onhello = () => {};
  onframe = () => {};
  onevent = () => {};
  onstatus = () => {};

  #worker = null;
  #recorded = null; // the address of the last film, given back when there is another

  start() {
    this.onstatus("connecting", "loading the dream");
    const address = new URL("local/worker.js", import.meta.url);
    const backend = new URLSearchParams(location.search).get("backend"); // to try one: ?backend=wasm or ?backend=webgpu
    if (backend) address.searchParams.set("backend", backend);
    const worker = new Worker(address, { type: "module" });
    worker.onmessage = ({ data }) => this.#hear(data);
    worker.onerror = ({ message }) => this.onstatus("failed", message || "this browser cannot run the dream");
    this.#worker = worker;
  }

  /** False where there was nobody to send it to. */
  send(message) {
    this.#worker?.postMessage(message);
    return this.#worker !== null;
  }

  #hear({ status, detail, event, frame, film }) {
    if (frame) this.onframe(frame.header, frame.panes);
    else if (status) this.onstatus(status, detail);
    else if (film) this.#record(film);
    else if (event.type === "hello") this.onhello(event);
    else this.onevent(event);
  }

  /** Encodes a film in a worker of its own, so that the dream goes on meanwhile. */
  #record({ pictures, rate }) {
    const encoder = new Worker(new URL("local/gif-worker.js", import.meta.url), { type: "module" });
    const seconds = pictures.length / rate;
    const done = (event) => {
      encoder.terminate();
      this.onevent(event);
    };
    encoder.onerror = () => done({ type: "error", message: "the GIF could not be made; try fewer seconds" });
    encoder.onmessage = ({ data }) => {
      if (this.#recorded) URL.revokeObjectURL(this.#recorded);
      this.#recorded = URL.createObjectURL(new Blob([data], { type: "image/gif" }));
      done({ type: "recording", url: this.#recorded, bytes: data.length, seconds });
    };
    encoder.postMessage({ pictures, rate }, pictures.map((picture) => picture.buffer));
  }
}

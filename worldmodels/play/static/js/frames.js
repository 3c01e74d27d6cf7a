// Between the engine and the screen: each repaint draws the newest frame, and every frame is acknowledged.

export class FrameQueue {
  #newest = null;
  #asked = false;

  /** draw(header, panes) paints; acknowledge(n) tells the engine. */
  constructor(draw, acknowledge) {
    this.draw = draw;
    this.acknowledge = acknowledge;
  }

  offer(header, panes) {
    if (this.#newest) this.acknowledge(this.#newest.header.n); // it is out of date before it was seen
    this.#newest = { header, panes };
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => this.#repaint());
  }

  /** Another connection begins: what waits is of the one before. */
  forget() {
    this.#newest = null;
  }

  #repaint() {
    this.#asked = false;
    if (!this.#newest) return;
    const { header, panes } = this.#newest;
    this.#newest = null;
    this.draw(header, panes);
    this.acknowledge(header.n);
  }
}
